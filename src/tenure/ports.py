"""Every protocol between the parts of Tenure. The docstrings are the contract; `tenure.testing` has one suite per protocol.

Everything here is synchronous: a step of the control loop is a plain function of its ports and of the time, so the simulator runs the
same steps with another clock and another executor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from tenure.model.commands import Answer, Command
from tenure.model.observations import Capabilities, Launch, LiveTask, NodeFound, Observation, Observations, Signal
from tenure.model.outcomes import Commands, Committed, Event, JobChange, Recorded, Violation
from tenure.model.plan import Plan
from tenure.model.simulation import SimulationNote
from tenure.model.snapshot import Changes, Snapshot


class Clock(Protocol):
    """Time for people and rows. Durations that must survive a jump of the wall clock are measured by the executor, not here."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class Budget(Protocol):
    """How much work a plan may do, in units; one unit is one (shape, node) judgement or its like. It never reads a clock.

    ``cancelled`` may be set from outside (by a clock); the plan then stops and says after how many units, so that a replay with that
    many units gives the same plan.
    """

    def spend(self, units: int) -> bool:
        """Spend units; False when the budget is used up and the plan must stop."""
        ...

    @property
    def spent(self) -> int:
        """Units spent so far."""
        ...


@runtime_checkable
class Policy(Protocol):
    """A pure function from a snapshot to a plan: same snapshot, seed included, same plan."""

    name: str

    def plan(self, snapshot: Snapshot, budget: Budget | None = None) -> Plan:
        """Decide. Never blocks, never reads a clock, never changes the snapshot."""
        ...


class Store(Protocol):
    """The truth. Every method is one transaction and durable when it returns, unless called inside `group`.

    ``epoch`` is the leader's fencing token from `elect`; a stale one raises `StaleEpoch` and changes nothing. Invariants: allocation
    rows are the only truth of use; an event's cursor is dense and in commit order; the revision is the cursor of the last event.
    """

    single_writer: bool
    """Nobody else writes to it: a plan made inside an open transaction delays nobody, and saves a write to disk per turn."""

    def group(self, *, lasting: bool = True) -> AbstractContextManager[None]:
        """Make the calls inside one transaction and one write to disk. If one of them raises, none took effect.

        One that is not ``lasting`` survives every process, but perhaps not the machine: it is for what is known anyway once that has
        happened. Its events are told once it lasts, with the next group that does or by `settle`."""
        ...

    def settle(self) -> bool:
        """Make what was written by groups that were not lasting last; whether there was any."""
        ...

    def apply(self, commands: Sequence[Command], now_ms: int) -> list[Answer]:
        """Carry out user commands, one answer each, in order; a refused one has no effect and does not hinder the others."""
        ...

    def snapshot(self, now_ms: int) -> Snapshot:
        """A consistent read of everything a plan may depend on."""
        ...

    def changes(self, since: int, now_ms: int) -> Changes | None:
        """What changed after revision ``since``; None when that is too long ago and a snapshot must be taken."""
        ...

    def commit(self, plan: Plan, epoch: int, now_ms: int) -> Committed:
        """Verify each decision on locked rows and make it true, or reject it; store changed holds."""
        ...

    def record(self, observations: Sequence[Observation], epoch: int, now_ms: int) -> Recorded:
        """Apply the lifecycle tables to what executors report. Repeated or stale reports are counted and ignored."""
        ...

    def claim_commands(self, epoch: int, now_ms: int, *, launches: bool = True) -> Commands:
        """Launches and signals that rows call for and no executor has confirmed: what is (re)sent after a start or a reconnect, and
        what user commands caused. Asking twice gives the same answer until observations settle it. Without ``launches``: signals
        alone."""
        ...

    def missing(self, keys: Sequence[tuple[int, int]], epoch: int, now_ms: int) -> Recorded:
        """Tasks (attempt, task) that rows believe alive and no executor knows: their end is unknown, the jobs are lost."""
        ...

    def expire_leases(self, now_ms: int) -> tuple[int, Sequence[JobChange]]:
        """Cancel leases that have waited for as long as they may, and note that holders are warned of an end that is near; when to
        call it again (a new or renewed lease may make that sooner), and which leases changed."""
        ...

    def expire_guidance(self, now_ms: int) -> tuple[int, int]:
        """End guidance that has stood for its time; when to call it again (new guidance may make that sooner), and how much ended."""
        ...

    def foretell(self, now_ms: int) -> bool:
        """Keep what is foretold of how long jobs will run that nothing was said of yet, a batch of them; whether there are more."""
        ...

    def note_simulation(self, told: SimulationNote, now_ms: int) -> None:
        """Keep how a simulation in the background stands, or how it ended; one that is over stays as it is."""
        ...

    def live_tasks(self) -> list[tuple[int, int]]:
        """The (attempt, task) pairs whose allocation is not released, sorted."""
        ...

    def define_nodes(self, executor: str, nodes: Sequence[NodeFound], now_ms: int) -> int:
        """Make the rows of nodes and devices agree with what an executor found; those that are gone go down. Returns the revision."""
        ...

    def elect(self, holder: str, lease_ms: int, now_ms: int) -> int | None:
        """Take or renew the leadership; the epoch, or None while somebody else holds it."""
        ...

    def events(self, after: int, limit: int, job_id: int = 0) -> tuple[list[Event], bool]:
        """Events with a greater cursor, and whether ``after`` is older than what is retained (then the reader must start anew)."""
        ...

    def retain(self, now_ms: int) -> int:
        """Remove what is older than the retention settings, in a bounded batch; how many rows went."""
        ...

    def check(self) -> list[Violation]:
        """Re-derive every invariant from rows."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...


class Executor(Protocol):
    """What runs tasks. Every call is idempotent by (attempt, task) and refuses a fence lower than the highest it has seen."""

    name: str

    @property
    def generation(self) -> int:
        """Grows whenever the executor's side was started anew or reached again: the loop then reconciles."""
        ...

    @property
    def descriptor(self) -> int:
        """A file descriptor that is readable when `observe` has something new, -1 for none: then `subscribe` alone tells."""
        ...

    @property
    def devices_revision(self) -> int:
        """Grows when the status of a device was seen to change: the loop then asks for `nodes`."""
        ...

    def capabilities(self) -> Capabilities:
        """What it can do and what it enforces."""
        ...

    def nodes(self) -> list[NodeFound]:
        """The nodes it offers now, devices probed afresh (foreign processes included)."""
        ...

    def launch(self, batch: Sequence[Launch]) -> None:
        """Start tasks. Outcomes come through `observe`; a task that is known already is only reported again."""
        ...

    def signal(self, batch: Sequence[Signal]) -> None:
        """Ask tasks to stop, pause, go on or keep another time limit, in order. A task that is gone already is reported again; of a
        living one it is reported when what was asked under a number is done, so that it need not be asked again. Asking twice has the
        effect of asking once."""
        ...

    def observe(self, since: int) -> Observations:
        """Reports after cursor ``since``, without waiting."""
        ...

    def acknowledge(self, cursor: int) -> None:
        """Everything up to ``cursor`` is recorded for good; the executor may forget it."""
        ...

    def discover(self) -> list[LiveTask]:
        """All tasks it knows to be alive."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` (from any thread) whenever `observe` may have something new."""
        ...

    def close(self) -> None:
        """Let go of connections; tasks go on."""
        ...


class StaleEpoch(Exception):
    """A write carried the epoch of a leader that is no longer the leader."""


class StoreUnavailable(Exception):
    """The store cannot be reached or cannot be written now (gone, locked, disk full). ``code`` is stable; nothing took effect."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
