"""Which shapes a cycle has sought and not found, and which jobs must leave the head's reservation alone.

Room only shrinks within a cycle, so a shape that was not found is not sought again; with a long queue this settles most of the turns.
Invariant: a shape that is not marked may still be found, a shape that is marked cannot be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenure.core.backfill import Window
from tenure.core.columns import Bools, Ints
from tenure.core.rooms import FOREVER
from tenure.core.waiting import LIMIT, SHAPE, Waiting


class Sought:
    """``blocked`` shapes have no room anywhere, ``delayed`` ones none beside the head's reservation (``window``, once it is made)."""

    def __init__(self, waiting: Waiting, now_ms: int) -> None:
        self.waiting = waiting
        self.now_ms = now_ms
        self.window: Window | None = None
        self.blocked: set[int] = set()
        self.delayed: set[int] = set()
        self.shapes = sorted(waiting.shapes)
        self._marks: _Marks | None = None
        self._careful: dict[int, bool] = {}

    def block(self, shape: int) -> None:
        """There is no room for the shape."""
        self.blocked.add(shape)
        if self._marks is not None:
            self._marks.is_blocked[self._marks.position[shape]] = True

    def delay(self, shape: int) -> None:
        """There is no room for the shape beside the reservation."""
        self.delayed.add(shape)
        if self._marks is not None:
            self._marks.is_delayed[self._marks.position[shape]] = True

    def reserve(self, window: Window | None) -> None:
        """From now on this reservation counts."""
        self.window = window
        self._careful.clear()

    def may_find(self, shape: int, *, careful: bool) -> bool:
        """False when the shape was sought in this cycle and not found."""
        return shape not in self.blocked and not (careful and shape in self.delayed)

    def is_careful(self, limit_ms: int) -> bool:
        """Whether a job with that limit may take only what the head's reservation leaves."""
        found = self._careful.get(limit_ms)
        if found is None:
            window = self.window
            found = window is not None and window.firm and not window.ends_before(self.now_ms, limit_ms)
            self._careful[limit_ms] = found
        return found

    def are_careful(self, limits_ms: Ints) -> Bools:
        """`is_careful` of many limits."""
        window = self.window
        if window is None or not window.firm:
            return np.zeros(len(limits_ms), dtype=np.bool_)
        if window.start_ms >= FOREVER:
            return np.ones(len(limits_ms), dtype=np.bool_)
        careful: Bools = (limits_ms == 0) | (limits_ms > window.start_ms - self.now_ms)
        return careful

    def are_due(self, slots: Ints) -> Bools:
        """`may_find` of the groups in these slots."""
        limits_ms = self.waiting.columns[LIMIT, slots]
        marks = self._marks = self._marks or _Marks.of(self)
        positions = marks.positions[slots]
        return ~(marks.is_blocked[positions] | (marks.is_delayed[positions] & self.are_careful(limits_ms)))


@dataclass(frozen=True, slots=True)
class _Marks:
    """The same as arrays by position among the shapes, ``position``; ``positions`` are those of the groups, by slot. Kept only once
    somebody asks for many groups: few are looked at one by one."""

    position: dict[int, int]
    positions: Ints
    is_blocked: Bools
    is_delayed: Bools

    @staticmethod
    def of(sought: Sought) -> _Marks:
        """As it is now."""
        shapes = np.array(sought.shapes, dtype=np.int64)
        blocked, delayed = sought.blocked, sought.delayed
        return _Marks(
            {shape: position for position, shape in enumerate(sought.shapes)},
            np.searchsorted(shapes, sought.waiting.columns[SHAPE]),
            np.array([shape in blocked for shape in sought.shapes], dtype=np.bool_),
            np.array([shape in delayed for shape in sought.shapes], dtype=np.bool_),
        )
