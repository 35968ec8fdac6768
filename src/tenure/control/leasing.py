"""When somebody must look at leases: waits that are over, ends that are near.

What must be done is read from rows each time; only the moment is kept here, so a daemon that starts anew looks at once. Invariant:
`next_ms` is never later than the first moment at which the store has something to do about leases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tenure.model.commands import RELEASED, AcquireLease, CancelJob, Command, ReleaseLease, RenewLease, UpdateJob
from tenure.model.observations import Launch, Observation, SignalDone, TaskEnded, TaskStarted
from tenure.model.outcomes import JobChange
from tenure.ports import Store

_CONCERNED = (RenewLease, ReleaseLease, CancelJob, UpdateJob)


@dataclass(slots=True)
class LeaseWatch:
    """The moment of the next look; 0 means now. ``awaited``: a lease was asked for, renewed or given back, and somebody waits for what
    the executor says next."""

    next_ms: int = 0
    awaited: bool = False
    _launched: set[int] = field(default_factory=set)

    def note(self, commands: Sequence[Command], now_ms: int) -> list[JobChange]:
        """Take these into account, and name the jobs of which a holder may want to know something."""
        self.awaited = any(isinstance(command, AcquireLease | RenewLease | ReleaseLease) for command in commands)
        for command in commands:
            if isinstance(command, AcquireLease):
                request = command.request
                soonest_ms = min(command.wait_ms, request.limit_ms - request.grace_ms)
                self.next_ms = min(self.next_ms, now_ms + max(0, soonest_ms))
            elif isinstance(command, RenewLease | UpdateJob):
                self.next_ms = 0
        return [JobChange(command.job_id, "") for command in commands if isinstance(command, _CONCERNED)]

    def look(self, store: Store, now_ms: int) -> Sequence[JobChange]:
        """Do what is due; which leases changed."""
        if now_ms < self.next_ms:
            return ()
        self.next_ms, changes = store.expire_leases(now_ms)
        return changes

    def launched(self, launches: Sequence[Launch]) -> None:
        """Remember which of these are leases."""
        self._launched.update(launch.attempt_id for launch in launches if launch.spec.holder is not None)

    def are_all(self, seen: Sequence[Observation]) -> bool:
        """Whether these say of leases alone that they are held, or over as their holders wanted: what is known anyway should the
        machine end now, since nobody holds anything then. Leases that another daemon launched count as something else."""
        ended = {item.attempt_id for item in seen if isinstance(item, TaskEnded)}
        known = all(item.attempt_id in self._launched and _is_known_anyway(item) for item in seen)
        self._launched -= ended
        return known


def _is_known_anyway(item: Observation) -> bool:
    return isinstance(item, TaskStarted | SignalDone) or (isinstance(item, TaskEnded) and item.stop_reason == RELEASED)


def frees_nothing(commands: Sequence[Command], seen: Sequence[Observation]) -> bool:
    """Whether nobody can start, and nobody new waits, for these: a task that was launched runs, a lease is kept for longer or is to end
    (which its executor will report)."""
    return all(isinstance(command, RenewLease | ReleaseLease) for command in commands) and all(
        isinstance(item, TaskStarted) for item in seen
    )
