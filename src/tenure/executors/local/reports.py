"""Reports on their way to the control loop, and what the supervisor may forget once they are recorded.

A report's cursor is ours and counts from 1 in every daemon: reports that were not acknowledged come again after a restart, under new
cursors, so `observe` starts at 0. The supervisor numbers its records too; one may be held back here (a device is not yet free) while
later ones pass. Invariant: the supervisor is told to forget a record only when it and every earlier one were acknowledged.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from tenure.model.observations import Observation, Observations


class Reports:
    """The reports that were not acknowledged, in order, with the supervisor's numbers (0: it knows nothing of the report)."""

    def __init__(self) -> None:
        self._items: deque[Observation] = deque()
        self._seqs: deque[int] = deque()
        self._before = 0
        self._last_seq = 0
        self._held: dict[int, int] = {}

    def add(self, item: Observation, seq: int = 0) -> None:
        """Report it."""
        self._items.append(item)
        self._seqs.append(seq)
        self._last_seq = max(self._last_seq, seq)

    def hold(self, seq: int) -> None:
        """The record came, but its report must wait; call `let_go` when it was added after all."""
        self._held[seq] = self._held.get(seq, 0) + 1
        self._last_seq = max(self._last_seq, seq)

    def let_go(self, seq: int) -> None:
        """The report that waited is added now."""
        self._held[seq] -= 1
        if not self._held[seq]:
            del self._held[seq]

    @property
    def end(self) -> int:
        """The cursor of the youngest report."""
        return self._before + len(self._items)

    def since(self, cursor: int) -> Observations:
        """Reports after ``cursor``; all, if that is no cursor of ours."""
        end = self.end
        skip = max(cursor - self._before, 0) if cursor <= end else 0
        return Observations(end, tuple(islice(self._items, skip, None)) if skip else tuple(self._items))

    def acknowledge(self, cursor: int) -> list[Observation]:
        """Forget reports up to ``cursor``; which."""
        count = min(max(cursor - self._before, 0), len(self._items))
        gone = [self._items.popleft() for _ in range(count)]
        for _ in range(count):
            self._seqs.popleft()
        self._before += count
        return gone

    @property
    def forgettable(self) -> int:
        """The highest number up to which the supervisor may forget its records."""
        waiting = [seq for seq in self._seqs if seq]
        waiting += self._held
        return min(waiting) - 1 if waiting else self._last_seq

    def clear(self) -> None:
        """The supervisor will tell everything again that was not acknowledged: drop what came from it. Cursors go on."""
        kept = [item for item, seq in zip(self._items, self._seqs, strict=True) if not seq]
        self._before += len(self._items) - len(kept)
        self._items = deque(kept)
        self._seqs = deque([0] * len(kept))
        self._held.clear()
