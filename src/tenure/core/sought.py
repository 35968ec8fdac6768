"""Which shapes a cycle has sought and not found, and which jobs must leave the head's reservation alone.

Room only shrinks within a cycle, so a shape that was not found is not sought again; with a long queue this settles most of the turns.
Invariant: a shape that is not marked may still be found, a shape that is marked cannot be.
"""

from __future__ import annotations

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
        self._position = {shape: position for position, shape in enumerate(self.shapes)}
        self._is_blocked = np.zeros(len(self.shapes), dtype=np.bool_)
        self._is_delayed = np.zeros(len(self.shapes), dtype=np.bool_)
        self._positions: Ints | None = None
        self._careful: dict[int, bool] = {}

    def block(self, shape: int) -> None:
        """There is no room for the shape."""
        self.blocked.add(shape)
        self._is_blocked[self._position[shape]] = True

    def delay(self, shape: int) -> None:
        """There is no room for the shape beside the reservation."""
        self.delayed.add(shape)
        self._is_delayed[self._position[shape]] = True

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
        columns = self.waiting.columns
        if self._positions is None:
            self._positions = np.searchsorted(np.array(self.shapes, dtype=np.int64), columns[SHAPE])
        positions = self._positions[slots]
        return ~(self._is_blocked[positions] | (self._is_delayed[positions] & self.are_careful(columns[LIMIT, slots])))
