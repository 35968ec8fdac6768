"""When somebody must look at leases: waits that are over, ends that are near.

What must be done is read from rows each time; only the moment is kept here, so a daemon that starts anew looks at once. Invariant:
`next_ms` is never later than the first moment at which the store has something to do about leases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tenure.model.commands import RELEASED, AcquireLease, Answer, Applied, CancelJob, Command, ReleaseLease, RenewLease, UpdateJob
from tenure.model.observations import Launch, Observation, Observations, Signal, SignalAction, SignalDone, TaskEnded, TaskStarted
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
    _released: set[int] = field(default_factory=set)
    _forgotten: list[Signal] = field(default_factory=list)

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

    def end(self, answers: Sequence[Answer], epoch: int) -> None:
        """Note which leases ended with their release: the executor is to forget them, and what it says of that is nothing new."""
        numbers = [answer.ended_attempt for answer in answers if isinstance(answer, Applied) and answer.ended_attempt]
        self._released.update(numbers)
        self._launched.difference_update(numbers)
        self._forgotten += [Signal(number, 0, epoch, SignalAction.STOP, grace_ms=0, reason=RELEASED) for number in numbers]

    def forgotten(self) -> list[Signal]:
        """What the executor is to be told of them; once."""
        told, self._forgotten = self._forgotten, []
        return told

    def news(self, seen: Observations) -> Observations:
        """Without what is recorded already: that a lease which was given back is over."""
        if not self._released or not seen.items:
            return seen
        told = {item.attempt_id for item in seen.items if isinstance(item, TaskEnded)} & self._released
        self._released -= told
        return replace(seen, items=tuple(item for item in seen.items if item.attempt_id not in told)) if told else seen

    def meet(self) -> None:
        """The executor is another one, which may never report what it was told before; the store ignores what it knows."""
        self._released.clear()

    def launched(self, launches: Sequence[Launch]) -> None:
        """Remember which of these are leases."""
        self._launched.update(launch.attempt_id for launch in launches if launch.spec.holder is not None)

    def are_all(self, commands: Sequence[Command], seen: Sequence[Observation]) -> bool:
        """Whether these say of leases alone, and something of them, that they are held, kept for longer or given back: what is known
        anyway should the machine end now, since nobody holds anything then. Leases that another daemon launched count as
        something else."""
        known = all(item.attempt_id in self._launched and isinstance(item, TaskStarted | SignalDone) for item in seen)
        self._launched.difference_update(item.attempt_id for item in seen if isinstance(item, TaskEnded))
        return known and bool(commands or seen) and all(isinstance(command, ReleaseLease) for command in commands)


def brings_nobody(commands: Sequence[Command], seen: Sequence[Observation]) -> bool:
    """Whether nobody new waits for these: a task that was launched runs, a lease is kept for longer or given back."""
    return all(isinstance(command, RenewLease | ReleaseLease) for command in commands) and all(
        isinstance(item, TaskStarted) for item in seen
    )
