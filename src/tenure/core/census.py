"""Who runs, asked for by age: the shapes of the oldest running jobs, as many as the largest power of two.

Kept with the board, because sorting all who run in every cycle costs more than deciding does, and from the first question on, because
most policies never ask. Invariant: the answer is a function of who runs, not of how they came; it changes only when their number
passes a power of two, or one of the oldest comes or goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from tenure.model.job import RunningJob


class Census:
    """The running jobs by id. ``running``, which its owner keeps up to date beside it, has them until somebody asks."""

    def __init__(self, running: Mapping[int, RunningJob]) -> None:
        self._running: Mapping[int, RunningJob] | None = running
        self._changes = 0
        self._ids: list[int] = []
        self._shapes: dict[int, int] = {}
        self._asked = 0

    def __len__(self) -> int:
        return len(self._ids) if self._running is None else len(self._running)

    def _begin(self) -> None:
        """Keep count from now on."""
        if self._running is not None:
            self._shapes = {job_id: job.shape for job_id, job in self._running.items()}
            self._running, self._ids = None, sorted(self._shapes)
            self._settle(0)

    def copy(self) -> Census:
        """One of its own, which nobody else keeps up to date."""
        self._begin()
        other = Census({})
        other._running, other._changes, other._asked = None, self._changes, self._asked
        other._ids, other._shapes = self._ids.copy(), self._shapes.copy()
        return other

    def shapes(self) -> Counter[int]:
        """How many have each shape."""
        if self._running is None:
            return Counter(self._shapes.values())
        return Counter(job.shape for job in self._running.values())

    @property
    def changes(self) -> int:
        """How often the answer of `oldest` may have changed."""
        self._begin()
        return self._changes

    def add(self, job_id: int, shape: int) -> None:
        """A job runs; one that did already has this shape now."""
        if self._running is not None:
            return
        known = self._shapes.get(job_id)
        if known == shape:
            return
        self._shapes[job_id] = shape
        at = bisect_left(self._ids, job_id)
        if known is None:
            self._ids.insert(at, job_id)
        self._settle(at)

    def remove(self, job_id: int) -> None:
        """A job runs no more."""
        if self._running is not None:
            return
        del self._shapes[job_id]
        at = bisect_left(self._ids, job_id)
        del self._ids[at]
        self._settle(at)

    def _settle(self, at: int) -> None:
        asked = 1 << (len(self._ids).bit_length() - 1) if self._ids else 0
        if asked != self._asked or at < asked:
            self._asked = asked
            self._changes += 1

    def oldest(self) -> Counter[int]:
        """How many of the oldest have each shape."""
        self._begin()
        return Counter(map(self._shapes.__getitem__, self._ids[: self._asked]))
