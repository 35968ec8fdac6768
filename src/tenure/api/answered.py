"""Answers about one job that are given again: as long as nothing was written to the store, the same question has the same answer.

Working an answer out takes a dozen queries; that nothing was written takes one look (`Queries.stamp`), which sees the writes of other
processes too. So nothing has to say what it changes, and nothing can be forgotten in saying it: any write forgets everything. Kept is
only what time alone does not change: why a job waits and when it should start do, so jobs that wait are always read.
Invariant: an answer is given only while the stamp is the one that was read before it was worked out.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tenure.model.access import Caller
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.wire.dto import JobView

MOST = 256
MOST_BYTES = 16 * 1024
"""So many answers of at most so many bytes each: 4 MiB."""
_WAITING = (JobState.HELD, JobState.PENDING)


class Said(NamedTuple):
    """An answer as it is sent, and its entity tag."""

    body: bytes
    tag: str


class Stamped(Protocol):
    """Where the answers come from."""

    def stamp(self) -> object:
        """What is another thing once anybody has written."""
        ...


class Answers:
    """The last answers by who asked and what for. Everything is called in the event loop."""

    def __init__(self, store: Stamped) -> None:
        self._store = store
        self._stamp: object = None
        self._said: dict[tuple[Caller, str], Said] = {}

    def known(self, caller: Caller, ref: str) -> tuple[Said | None, object]:
        """The answer if it still holds; and the stamp to keep the one with that is worked out instead."""
        stamp = self._store.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._said.clear()
        return self._said.get((caller, ref)), stamp

    def keep(self, caller: Caller, ref: str, said: Said, stamp: object) -> None:
        """Keep an answer that was worked out after the stamp was read."""
        if stamp != self._stamp or len(said.body) > MOST_BYTES:
            return
        if len(self._said) >= MOST:
            del self._said[next(iter(self._said))]
        self._said[caller, ref] = said


def is_lasting(job: JobView) -> bool:
    """Whether what is said of a job changes by a write alone. Of an array that has not ended, elements may wait."""
    if job.reason is not None:
        return False
    return job.state in ENDED_STATES or (job.array is None and job.state not in _WAITING)
