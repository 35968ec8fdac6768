"""Who runs, asked for by age: the shapes of the oldest running jobs, as many as the largest power of two.

Kept with the board, because sorting all who run in every cycle costs more than deciding does. Invariant: the answer is a function of
who runs, not of how they came; it changes only when their number passes a power of two, or one of the oldest comes or goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter


class Census:
    """The running jobs by id. ``changes`` counts how often the answer of `oldest` may have changed."""

    def __init__(self) -> None:
        self.changes = 0
        self._ids: list[int] = []
        self._shapes: dict[int, int] = {}
        self._asked = 0

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, job_id: int, shape: int) -> None:
        """A job runs; one that did already has this shape now."""
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
        del self._shapes[job_id]
        at = bisect_left(self._ids, job_id)
        del self._ids[at]
        self._settle(at)

    def _settle(self, at: int) -> None:
        asked = 1 << (len(self._ids).bit_length() - 1) if self._ids else 0
        if asked != self._asked or at < asked:
            self._asked = asked
            self.changes += 1

    def oldest(self) -> Counter[int]:
        """How many of the oldest have each shape."""
        return Counter(map(self._shapes.__getitem__, self._ids[: self._asked]))
