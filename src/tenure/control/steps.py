"""The use-cases as plain functions of their ports and of the time: intake, plan, commit, dispatch, reconcile, retain.

Each is synchronous, waits for nothing and keeps nothing but the planner's board; the loop (and the simulator) decide when to call them.
Invariant: whatever step a crash falls into, doing all steps again has the effect of doing them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from tenure.core.board import Board
from tenure.core.conflicts import conflicts_of
from tenure.model.access import SCHEDULER
from tenure.model.commands import Answer, CancelJob, Command, SetPolicy
from tenure.model.job import PendingJob
from tenure.model.node import Node
from tenure.model.observations import Observations, Signal, SignalAction
from tenure.model.outcomes import Committed, Recorded
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.model.snapshot import Changes, Snapshot
from tenure.optimize.words import policy_of
from tenure.policies.staged import StagedPolicy
from tenure.ports import Executor, Store

"""Who acts when nobody asked: the scheduler itself."""

REPLANS = 3
"""How often a cycle plans anew when a commit rejected something; after that the next event brings the next try."""


@dataclass(slots=True)
class Ports:
    """What the steps work on."""

    store: Store
    executor: Executor
    policy: StagedPolicy
    epoch: int = 0


@dataclass(slots=True)
class Planner:
    """The planner's own view: a board that follows the store's revisions. It may be dropped at any time; the store rebuilds it.

    ``unplanned`` says that the board holds changes that no plan has seen yet, whoever made it follow; ``next_ms`` is when a job comes
    of age (0: never). ``held`` says that reasons for waiting may be stored. ``last`` is the last plan, for whoever reports on it.
    """

    board: Board | None = None
    revision: int = -1
    nodes: tuple[Node, ...] = ()
    unplanned: bool = True
    next_ms: int = 0
    held: bool = True
    last: Plan | None = None
    deadlines: list[tuple[int, int]] = field(default_factory=list)

    def follow(self, ports: Ports, now_ms: int) -> Board:
        """Bring the board to the store's revision."""
        changes = ports.store.changes(self.revision, now_ms) if self.board is not None else None
        if self.board is None or changes is None:
            return self._rebuild(ports, ports.store.snapshot(now_ms))
        if changes.settings is not None and _follow_policy(ports, changes.settings):
            return self._rebuild(ports, ports.store.snapshot(now_ms))
        if not changes.is_empty:
            self._advance(self.board, changes)
            self.unplanned = True
        return self.board

    @property
    def leaves_nobody(self) -> bool:
        """Whether the last plan started all who waited, nothing rests and no promise stands: until somebody comes, the next one would
        decide nothing."""
        board, last = self.board, self.last
        if board is None or last is None or self.unplanned or board.resting or board.standing:
            return False
        if len(board.waiting.rows) > len(last.decisions):
            return False
        started = {start.job_id for decision in last.decisions for start in decision.starts}
        return all(job_id in started and not row.is_array for job_id, row in board.waiting.rows.items())

    def _rebuild(self, ports: Ports, snapshot: Snapshot) -> Board:
        _follow_policy(ports, snapshot.settings)
        self.board, self.revision, self.nodes = Board.of(snapshot, ports.policy.distinguishes), snapshot.revision, snapshot.nodes
        self.unplanned = True
        self.deadlines = []
        self._note_deadlines(snapshot.pending.jobs())
        return self.board

    def _note_deadlines(self, jobs: Iterable[PendingJob]) -> None:
        for job in jobs:
            if job.deadline_ms:
                heappush(self.deadlines, (job.deadline_ms, job.id))

    def overdue(self, now_ms: int) -> list[int]:
        """The waiting jobs whose deadline has passed, by deadline; each is named once."""
        found: list[int] = []
        while self.deadlines and self.deadlines[0][0] <= now_ms:
            deadline_ms, job_id = heappop(self.deadlines)
            row = self.board.waiting.rows.get(job_id) if self.board is not None else None
            if row is not None and row.deadline_ms == deadline_ms:
                found.append(job_id)
        return found

    def _advance(self, board: Board, changes: Changes) -> None:
        board.advance(changes)
        self.revision = changes.revision
        self._note_deadlines(changes.pending.values())
        if changes.nodes is not None:
            self.nodes = changes.nodes


def _follow_policy(ports: Ports, settings: PlanSettings) -> bool:
    """Let the policy that was chosen plan; whether it is another one than before."""
    if settings.policy == ports.policy.name:
        return False
    ports.policy = policy_of(settings)
    return True


def adopt_policy(store: Store, own: PlanSettings, now_ms: int) -> StagedPolicy:
    """When a daemon starts: let the store know which policy the settings name, which plans unless a person has chosen another.

    Raises BadPolicy when there is no such policy. The answer is that policy; the planner follows the store's from its first look on.
    """
    policy = policy_of(own)
    store.apply([SetPolicy("", SCHEDULER)], now_ms)
    return policy


@dataclass(slots=True)
class Intake:
    """What one intake did: answers to commands in order, and what the observations changed."""

    answers: list[Answer] = field(default_factory=list)
    recorded: Recorded | None = None


def intake_step(ports: Ports, commands: Sequence[Command], seen: Observations, now_ms: int) -> Intake:
    """Make user commands and executors' reports true; to be called inside a group of the store."""
    intake = Intake()
    if seen.items:
        intake.recorded = ports.store.record(seen.items, ports.epoch, now_ms)
    if commands:
        intake.answers = ports.store.apply(commands, now_ms)
    return intake


def plan_step(ports: Ports, planner: Planner, now_ms: int) -> Plan | None:
    """Decide on the store's present revision; None when nothing has changed since the last plan and no job has come of age."""
    board = planner.follow(ports, now_ms)
    if not planner.unplanned and not (0 < planner.next_ms <= now_ms):
        return None
    plan = ports.policy.plan_on(board, now_ms)
    if plan.decisions and ports.executor.capabilities().rooms:
        plan = ports.policy.with_successors(plan, board, now_ms)
    planner.unplanned = plan.truncated_at is not None
    planner.next_ms = plan.next_ms
    planner.last = plan
    return replace(plan, conflicts=conflicts_of(board, plan)) if plan.holds else plan


def commit_step(ports: Ports, planner: Planner, plan: Plan, now_ms: int) -> Committed | None:
    """Make a plan true. None when it says nothing, and the one before it left no reason behind that must go."""
    same = planner.board is None or plan.strategy == planner.board.strategy
    if planner.board is not None:
        planner.board.promises = plan.promises
    if not plan.decisions and not plan.holds and not planner.held and same:
        return None
    planner.held = bool(plan.holds)
    return ports.store.commit(plan, ports.epoch, now_ms)


def signal_step(ports: Ports, now_ms: int) -> int:
    """Tell the executor again everything that rows call for and it has not confirmed; how many messages."""
    due = ports.store.claim_commands(ports.epoch, now_ms)
    if due.launches:
        ports.executor.launch(due.launches)
    if due.signals:
        ports.executor.signal(due.signals)
    return len(due.launches) + len(due.signals)


def observe_step(ports: Ports, cursor: int, now_ms: int) -> tuple[int, Recorded | None]:
    """Record what the executor has reported since ``cursor``; the new cursor. Only then may the executor forget it."""
    seen = ports.executor.observe(cursor)
    if not seen.items:
        return seen.cursor, None
    recorded = ports.store.record(seen.items, ports.epoch, now_ms)
    ports.executor.acknowledge(seen.cursor)
    return seen.cursor, recorded


def expire_step(ports: Ports, planner: Planner, now_ms: int) -> int:
    """Cancel the waiting jobs that can no longer end by their deadline; how many."""
    planner.follow(ports, now_ms)  # a job that this very turn has started waits no more
    late = planner.overdue(now_ms)
    why = "its deadline passed before it could start"
    ports.store.apply([CancelJob(f"deadline:{job_id}:{now_ms}", SCHEDULER, job_id, why=why) for job_id in late], now_ms)
    return len(late)


def reconcile_step(ports: Ports, cursor: int, now_ms: int) -> int:
    """After a start or a reconnect, make rows and executor agree; the new cursor.

    The order matters. Reports first, so that ends of the meantime are known. Then all that rows call for is told again: a launch
    that the executor knows is only re-announced. Then its list is taken, and *after* it the reports once more: a task in neither
    has ended in a way nobody knows. A task without a row is stopped: whoever owned it has forgotten it.
    """
    cursor, _ = observe_step(ports, cursor, now_ms)
    signal_step(ports, now_ms)
    known = {(task.attempt_id, task.task): task for task in ports.executor.discover()}
    cursor, _ = observe_step(ports, cursor, now_ms)
    believed = ports.store.live_tasks()
    ports.store.missing([key for key in believed if key not in known], ports.epoch, now_ms)
    orphans = [task for key, task in sorted(known.items()) if key not in set(believed)]
    if orphans:
        ports.executor.signal([Signal(t.attempt_id, t.task, ports.epoch, SignalAction.STOP, reason="orphan") for t in orphans])
    return cursor
