"""The working state of planning: rooms and waiting jobs, kept from cycle to cycle.

`Board.of` builds it from a snapshot; `advance` applies what changed since. Property: both ways give the same board, so a plan made on
a kept board is the plan that a fresh reading of the same snapshot gives. A plan may try things on the board and rolls them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenure.core import claims
from tenure.core.census import Census
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.ledger import Account, Ledger
from tenure.core.quotas import has_bounds
from tenure.core.rooms import FOREVER, NOBODY, RUNNING, Holding, Key, Rooms, Who
from tenure.core.shares import capacity_of
from tenure.core.waiting import GroupKey, Waiting
from tenure.core.wishes import know
from tenure.model.allocation import Claim, Eviction
from tenure.model.job import PendingJob, RunningJob
from tenure.model.node import Node
from tenure.model.plan import Reservation
from tenure.model.project import Bundle, Project, Usage
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot
from tenure.model.window import TimeWindow

LOG_LIMIT, LOG_LIMIT_PER_NODE = 10_000, 256
"""When the log of touched nodes is longer than this, it is dropped: working everything out anew now and then is cheap."""

SCORES = "candidates:"
"""Names in `Board.caches` that begin so are dropped with the log."""


def end_of(job: RunningJob) -> int:
    """When a running job's resources come back: by its limit, at once when it is being stopped, `FOREVER` when nothing is known."""
    if job.stopping:
        return job.started_ms
    return job.ends_by_ms or FOREVER


@dataclass(frozen=True, slots=True)
class Content:
    """A board's content, to compare: see `Board.content`."""

    revision: int
    nodes: tuple[tuple[NodeRoom, dict[Key, Holding]], ...]
    rows: dict[int, PendingJob]
    ready: dict[GroupKey, tuple[tuple[int, int], ...]]
    later: tuple[tuple[int, int], ...]
    queues: dict[int, Queue]
    touched: dict[int, tuple[int, ...]]
    projects: dict[int, Project]
    held: dict[Account, Bundle]
    used: dict[Account, Usage]
    promises: tuple[Reservation, ...]
    windows: tuple[TimeWindow, ...]


class Board:
    """Rooms, waiting jobs and running jobs at one revision. ``caches`` is for figures derived from the rooms (`Rooms.log`).

    ``claims`` are all promises that have not ended; those of jobs that wait are ``standing``, by id, and hold their room.
    ``resting`` are the running jobs that rest, or are asked to.
    ``promises`` are those of the last plan; whoever plans on a kept board puts them there when the plan has taken effect. What people
    hold (``ledger``) and who runs by age (``census``) are kept from the first time somebody asks: most policies read neither.
    """

    def __init__(self, snapshot: Snapshot, distinguishing: tuple[str, ...] = ()) -> None:
        self.revision = snapshot.revision
        self.settings: PlanSettings = snapshot.settings
        self.strategy = snapshot.strategy
        self.shapes: dict[int, Shape] = dict(snapshot.shapes)
        self.asks: dict[int, Ask] = {}
        for number, shape in self.shapes.items():
            know(self.asks, number, shape)
        self.touched: dict[int, tuple[int, ...]] = dict(snapshot.touched)
        self.running: dict[int, RunningJob] = {}
        self.resting: dict[int, RunningJob] = {}
        self.census = Census(self.running)
        self.claims: dict[int, Claim] = {claim.id: claim for claim in snapshot.claims}
        self.standing: tuple[Claim, ...] = ()
        self.evictions: tuple[Eviction, ...] = snapshot.evictions
        self.projects: dict[int, Project] = {project.id: project for project in snapshot.projects}
        self.ledger = Ledger(snapshot.settings.half_life_ms, self.running)
        for usage in snapshot.usage:
            self.ledger.know(usage)
        self.promises: tuple[Reservation, ...] = snapshot.promises
        self.windows: tuple[TimeWindow, ...] = snapshot.reservations
        self._told = distinguishing
        self.caches: dict[str, Any] = {}
        self.nodes: tuple[Node, ...] = snapshot.nodes
        self.capacity = capacity_of(snapshot.nodes)
        self.rooms = Rooms(snapshot.nodes)
        self.waiting = self._waiting(snapshot.queues, snapshot.now_ms)
        for job in snapshot.running:
            self._run(job)
        self.waiting.fill(snapshot.pending, self.asks)
        self._let_stand()

    @staticmethod
    def of(snapshot: Snapshot, distinguishing: tuple[str, ...] = ()) -> Board:
        """A board of that snapshot. ``distinguishing``: what the orders that plan on it read of a job (`Stages.distinguishes`)."""
        return Board(snapshot, distinguishing)

    def advance(self, changes: Changes) -> None:
        """Apply changes since this board's revision. Raises ValueError when they are since another one."""
        if changes.since != self.revision:
            raise ValueError(f"the board is at revision {self.revision}, the changes are since {changes.since}; take a snapshot")
        self.revision = changes.revision
        if changes.settings is not None:
            self.settings = changes.settings
        if changes.strategy is not None:
            self.strategy = changes.strategy
        for number, shape in changes.shapes.items():
            self.shapes[number] = shape
            know(self.asks, number, shape)
        self.waiting.move_to(changes.now_ms, self.asks)
        self._let_lie()
        self._advance_rooms(changes)
        self._advance_waiting(changes)
        if changes.claims is not None:
            self.claims = {claim.id: claim for claim in changes.claims}
        if changes.evictions is not None:
            self.evictions = changes.evictions
        if changes.reservations is not None:
            self._replace_windows(changes.reservations)
        if changes.promises is not None:
            self.promises = changes.promises
        self._let_stand()
        if len(self.rooms.log) > LOG_LIMIT + LOG_LIMIT_PER_NODE * len(self.rooms.nodes):
            self._forget()

    def _forget(self) -> None:
        """Drop the log and the scores derived with it, those of shapes that nobody asks for any more included."""
        self.rooms.forget_log()
        for name in [name for name in self.caches if name.startswith(SCORES)]:
            del self.caches[name]

    def mark(self) -> int:
        """Begin a trial on the rooms."""
        return self.rooms.mark()

    def rollback(self, mark: int) -> None:
        """Undo the trial."""
        self.rooms.rollback(mark)

    @property
    def next_deadline_ms(self) -> int:
        """When the next promise ends, 0 for never."""
        return min([claim.deadline_ms for claim in self.claims.values()]) if self.claims else 0

    def expire(self, now_ms: int) -> None:
        """Let the promises go that end by then."""
        for claim_id in [claim.id for claim in self.claims.values() if claim.deadline_ms <= now_ms] if self.claims else ():
            self.redeem(claim_id)

    def redeem(self, claim_id: int) -> None:
        """Let one promise go: it was kept, or its time is over."""
        self._let_lie()
        self.claims = {claim.id: claim for claim in self.claims.values() if claim.id != claim_id}
        self._let_stand()

    def recall(self, known: dict[int, Claim], standing: tuple[Claim, ...]) -> None:
        """Have these claims again, after a trial that let some go was rolled back."""
        self.claims, self.standing = known, standing
        self.waiting.park(self._parked(), self.asks)

    def content(self) -> Content:
        """Everything a plan can depend on, as plain values: two boards with the same content give the same plans."""
        rooms = self.rooms
        return Content(
            revision=self.revision,
            nodes=tuple((node.copy(), dict(holdings)) for node, holdings in zip(rooms.nodes, rooms.holdings, strict=True)),
            rows=dict(self.waiting.rows),
            ready={key: tuple(group.entries) for key, group in self.waiting.groups.items()},
            later=self.waiting.later,
            queues=dict(self.waiting.queues),
            touched=dict(self.touched),
            projects=dict(self.projects),
            held=dict(self.ledger.held),
            used=dict(self.ledger.used),
            promises=self.promises,
            windows=self.windows,
        )

    def windows_at(self, now_ms: int) -> tuple[TimeWindow, ...]:
        """The windows that are not over then."""
        return tuple(window for window in self.windows if window.until_ms > now_ms)

    def owner(self, job_id: int) -> Who:
        """Whose job it is, whether it waits or runs."""
        job = self.running.get(job_id) or self.waiting.rows.get(job_id)
        return Who(job.project, job.user) if job is not None else NOBODY

    @property
    def next_ms(self) -> int:
        """When time alone may next change a plan, 0 for never: a job becomes eligible, a window begins or ends."""
        if not self.windows:
            return self.waiting.next_ms
        now_ms = self.waiting.now_ms
        times = [at for window in self.windows for at in (window.from_ms, window.until_ms) if at > now_ms]
        return min([*times, *([self.waiting.next_ms] if self.waiting.next_ms else [])], default=0)

    def _advance_rooms(self, changes: Changes) -> None:
        for job_id in changes.running_removed:
            self._end(job_id)
        for job_id, job in changes.running.items():
            self._end(job_id)
            self._run(job)
        for usage in changes.usage:
            self.ledger.know(usage)
        if changes.nodes is not None and changes.nodes != self.nodes:
            self._rebuild_rooms(changes.nodes)

    def _advance_waiting(self, changes: Changes) -> None:
        if changes.queues is not None:
            self._replace_queues(changes.queues)
        for job_id in changes.pending_removed:
            self.waiting.drop(job_id)
            self.touched.pop(job_id, None)
        for job in changes.pending.values():
            self.waiting.put(job, self.asks)
        self._replace_touched(changes.touched)

    def _replace_touched(self, touched: Mapping[int, tuple[int, ...]]) -> None:
        for array_id, positions in touched.items():
            if positions:
                self.touched[array_id] = positions
            else:
                self.touched.pop(array_id, None)

    def _replace_queues(self, queues: tuple[Queue, ...]) -> None:
        replaced = {queue.id: queue for queue in queues}
        if replaced != self.waiting.queues:
            self._regroup(queues)

    def _replace_windows(self, windows: tuple[TimeWindow, ...]) -> None:
        """Where it begins or ceases to matter whose a job is, the groups are other ones."""
        self.windows = windows
        if self._distinguishing() != self.waiting.distinguishing:
            self._regroup(tuple(self.waiting.queues.values()))

    def _distinguishing(self) -> tuple[str, ...]:
        owners = ("project", "user") if any(not window.is_maintenance for window in self.windows) else ()
        bounds = ("project",) if has_bounds(self.projects) else ()
        return tuple(sorted({*self._told, *owners, *bounds}))

    def _regroup(self, queues: tuple[Queue, ...]) -> None:
        rows = self.waiting.rows
        self.waiting = self._waiting(queues, self.waiting.now_ms)
        for job in rows.values():
            self.waiting.put(job, self.asks)

    def _waiting(self, queues: tuple[Queue, ...], now_ms: int) -> Waiting:
        """An empty queue beside these nodes."""
        waiting = Waiting(queues, now_ms, self._distinguishing())
        waiting.measure_by(self.capacity.cpu_milli, self.capacity.gpu_milli)
        return waiting

    def _rebuild_rooms(self, nodes: tuple[Node, ...]) -> None:
        running = tuple(self.running.values())
        self.nodes, self.rooms, self.caches = nodes, Rooms(nodes), {}
        self.capacity = capacity_of(nodes)
        self.waiting.measure_by(self.capacity.cpu_milli, self.capacity.gpu_milli)
        for job in running:
            self._occupy(job)

    def _run(self, job: RunningJob) -> None:
        self.ledger.began(job)
        self.census.add(job.id, job.shape)
        self._occupy(job)

    def _occupy(self, job: RunningJob) -> None:
        """Enter a running job's holdings in the rooms."""
        self.running[job.id] = job
        if job.rest:
            self.resting[job.id] = job
        ends_ms, app, who = end_of(job), self.shapes[job.shape].app, Who(job.project, job.user)
        rooms = self.rooms
        for allocation in job.allocations:
            index = rooms.index.get(allocation.node_id)
            if index is not None:
                holding = Holding(job.id, ends_ms, allocation.amounts.as_tuple(), allocation.devices, app, who)
                rooms.hold(index, (RUNNING, job.id, allocation.task), holding)

    def _end(self, job_id: int) -> None:
        job = self.running.pop(job_id, None)
        if job is None:
            return
        self.resting.pop(job_id, None)
        self.census.remove(job_id)
        self.ledger.ended(job)
        for allocation in job.allocations:
            index = self.rooms.index.get(allocation.node_id)
            if index is not None:
                self.rooms.release(index, (RUNNING, job_id, allocation.task))

    def _let_stand(self) -> None:
        """Let the claims of jobs that wait hold their room. A job that has one takes no turn; of an array, only one element has it."""
        if self.claims:
            self.standing = tuple(claim for _, claim in sorted(self.claims.items()) if claim.job_id in self.waiting.rows)
            for claim in self.standing:
                claims.hold(self, claim)
            self.waiting.park(self._parked(), self.asks)

    def _let_lie(self) -> None:
        """The inverse."""
        for claim in self.standing:
            claims.lift(self, claim)
        self.standing = ()
        if self.waiting.parked:
            self.waiting.park((), self.asks)

    def _parked(self) -> list[int]:
        rows = self.waiting.rows
        return [claim.job_id for claim in self.standing if not rows[claim.job_id].is_array]
