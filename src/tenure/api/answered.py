"""Answers about one job that are given again: as long as nothing was written to the store, the same question has the same answer.

Working an answer out takes a dozen queries; that nothing was written takes one look (`Queries.stamp`), which sees the writes of other
processes too. So nothing has to say what it changes, and nothing can be forgotten in saying it: any write forgets everything. Time
alone changes why a job waits: such an answer is given for `AGE_S` and no longer. When the job should start is not part of it and kept
apart, for whoever asks: the control thread is to say it, which plans meanwhile.
Invariant: an answer is given only while the stamp is the one that was read before it was worked out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from tenure.model.access import Caller
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.wire.dto import JobView

MOST = 256
MOST_BYTES = 16 * 1024
"""So many answers of at most so many bytes each: 4 MiB."""
AGE_S = 1.0
"""So old may be what is said of a job that waits, as far as time alone changes it: that its earliest start has come, say."""
UNKNOWN_S = 0.1
"""So long an expected start is not asked for again that the control thread had no time to say, or does not know."""
_WAITING = (JobState.HELD, JobState.PENDING)


class Said(NamedTuple):
    """An answer as it is sent, and its entity tag. ``until_s``: time alone makes another one of it then; ``pending``: the number of the
    job if it is one whose expected start is to be added each time, else 0."""

    body: bytes
    tag: str
    until_s: float = float("inf")
    pending: int = 0


class Stamped(Protocol):
    """Where the answers come from."""

    def stamp(self) -> object:
        """What is another thing once anybody has written."""
        ...


class Answers:
    """The last answers by who asked and what for. Everything is called in the event loop."""

    def __init__(self, store: Stamped, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self.clock = clock
        self._stamp: object = None
        self._said: dict[tuple[Caller, str], Said] = {}
        self._starts: dict[int, tuple[int, float]] = {}

    def known(self, caller: Caller, ref: str) -> tuple[Said | None, object]:
        """The answer if it still holds; and the stamp to keep the one with that is worked out instead."""
        stamp = self._store.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._said.clear()
            self._starts.clear()
        said = self._said.get((caller, ref))
        return said if said is not None and self.clock() < said.until_s else None, stamp

    def keep(self, caller: Caller, ref: str, said: Said, stamp: object) -> None:
        """Keep an answer that was worked out after the stamp was read."""
        if stamp != self._stamp or len(said.body) > MOST_BYTES:
            return
        self._said.pop((caller, ref), None)
        if len(self._said) >= MOST:
            del self._said[next(iter(self._said))]
        self._said[caller, ref] = said

    def start_of(self, number: int) -> int | None:
        """When a job should start, 0 where that is not known; None if it is to be asked for."""
        start_ms, until_s = self._starts.get(number, (0, 0.0))
        return start_ms if self.clock() < until_s else None

    def expect(self, number: int, start_ms: int, asked_s: float, stamp: object) -> None:
        """Keep when a job should start, as asked for at that time after the stamp was read; 0: nobody could say."""
        if stamp == self._stamp:
            if len(self._starts) >= MOST:
                self._starts.clear()
            self._starts[number] = start_ms, asked_s + (AGE_S if start_ms else UNKNOWN_S)


def until_s(job: JobView, asked_s: float) -> float:
    """Until when what was read of a job at that time is to be given, if nothing is written."""
    return float("inf") if _is_lasting(job) else asked_s + AGE_S


def _is_lasting(job: JobView) -> bool:
    """Whether what is said of a job changes by a write alone. Of an array that has not ended, elements may wait."""
    if job.reason is not None:
        return False
    return job.state in ENDED_STATES or (job.array is None and job.state not in _WAITING)
