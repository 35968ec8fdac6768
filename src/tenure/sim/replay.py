"""Replay a workload: from event to event on one board, with the planning cycle that decides in production.

At each point in time everything that happens then is applied first (ends, beliefs that proved too short, arrivals), then the policy
plans once and its starts take effect. The board learns of this by `Changes`, as from a store, of starts when the next thing happens.
What the planner believes about run times (`tenure.sim.runtimes`) is kept apart from when jobs really end. Invariants: the same
workload, policy and rules give the same actions; a job's number in the board is its position in the workload plus one, so ties end as
the workload's own order does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Protocol

from tenure.core.board import Board
from tenure.core.ledger import Account, Ledger, held_by
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob, RunningJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.plan import Decision, Plan, Start
from tenure.model.project import Bundle, Project
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.sim.clock import VirtualClock
from tenure.sim.displaced import Displaced
from tenure.sim.faults import Faults, Outages
from tenure.sim.news import News, attempt_of
from tenure.sim.resting import Turns
from tenure.sim.results import DROP, END, FAIL, NOT_YET, PREEMPT, START, Action, Replayed
from tenure.sim.runtimes import Exact, RunTimes
from tenure.sim.sampling import Sampler
from tenure.sim.windows import WindowSpec, windows_of
from tenure.sim.workload import Workload

QUEUE = 1
MANY = 2**62
Progress = Callable[[int, int], None]
"""Told now and then: how many jobs have arrived, of how many."""


class Planner(Protocol):
    """A policy that plans on a kept board; `tenure.policies.StagedPolicy` is one."""

    name: str
    distinguishes: tuple[str, ...]

    def plan_on(self, board: Board, now_ms: int, *, decisions_only: bool) -> Plan:
        """Decide, and leave the board as it was."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How a workload is replayed.

    ``enforce_limits`` ends a job at the time its user requested. ``drop`` is the rule of placement studies: a job that does not start
    as it arrives is gone. ``full`` runs every step of production (`tenure.sim.full`). ``one_by_one`` lets nothing happen together, as
    some published protocols do: of what happens in the same millisecond the policy sees one thing after another, arrivals first, and
    each start before it decides on the next. ``lots`` lets a lot decide between nodes that are equally good to a policy, 0 their order
    (`tenure.core.stages.Stages.lots`). ``faults`` let nodes fail. ``settings`` are the planner's; the depth of backfilling and the
    number of promises are unlimited unless they say otherwise. ``projects`` have weights, quotas and maxima by name; their numbers are
    given here. ``windows`` set nodes aside for a time.
    """

    enforce_limits: bool = False
    drop: bool = False
    full: bool = False
    one_by_one: bool = False
    lots: int = 0
    faults: Faults | None = None
    seed: int = 0
    settings: PlanSettings = PlanSettings(backfill_depth=2**31, promises=2**31)
    projects: tuple[Project, ...] = ()
    windows: tuple[WindowSpec, ...] = ()


class Replay:
    """One replay; used once."""

    def __init__(self, workload: Workload, policy: Planner, runtimes: RunTimes | None = None, rules: Rules = Rules()) -> None:
        self.workload = workload
        self.policy = policy
        self.runtimes = (runtimes or Exact()).suited(policy.distinguishes)
        self.rules = rules
        self.clock = VirtualClock()
        self.result = Replayed.of(workload, policy.name, self.runtimes.name)
        self._shapes: dict[Shape, int] = {}
        for job in workload.jobs:
            self._shapes.setdefault(job.shape, len(self._shapes) + 1)
        self._users: dict[str, int] = {}
        self._projects: dict[str, int] = {project.name: number for number, project in enumerate(rules.projects, 1)}
        self.ledger = Ledger(rules.settings.half_life_ms)
        self._counts = bool(rules.projects) or "project" in policy.distinguishes
        first_ms = workload.jobs[0].submitted_ms if workload.jobs else 0
        self.windows = windows_of(rules.windows, workload.nodes, first_ms, self._project)
        self.board = Board.of(self._empty(), policy.distinguishes)
        self._news = News()
        self._arrived = 0
        self._ends: list[tuple[int, int]] = []
        self._expiries: list[tuple[int, int, int]] = []
        self._placements: dict[int, tuple[Placement, ...]] = {}
        self._held: dict[int, tuple[Account, Bundle]] = {}
        self._displaced = Displaced(rules.settings)
        self._turns = Turns()
        self._retry_ms = 0
        self._outages = Outages(rules.faults, workload.nodes, rules.seed) if rules.faults is not None else None
        self._sampler = Sampler(workload, self.board) if any(node.devices for node in workload.nodes) else None

    def _project(self, name: str) -> int:
        """The number of a project."""
        return self._projects.setdefault(name, len(self._projects) + 1)

    def _empty(self) -> Snapshot:
        """The machines before the first job."""
        return Snapshot(
            revision=0,
            now_ms=0,
            seed=self.rules.seed,
            nodes=tuple(sorted(self.workload.nodes, key=lambda node: node.id)),
            shapes={number: shape for shape, number in self._shapes.items()},
            queues=(Queue(QUEUE, "default"),),
            projects=tuple(replace(project, id=self._projects[project.name]) for project in self.rules.projects),
            settings=self.rules.settings,
            reservations=self.windows,
        )

    def run(self, progress: Progress | None = None) -> Replayed:
        """Go through the whole workload. Jobs for which there never is room are left waiting."""
        began = time.perf_counter()
        tell_at = 0
        while (now_ms := self.next_ms()) is not None:
            self.step(now_ms)
            if progress is not None and self._arrived >= tell_at:
                progress(self._arrived, len(self.workload.jobs))
                tell_at = self._arrived + max(len(self.workload.jobs) // 200, 1)
        self._tell_board(self.clock.now_ms())
        if self._sampler is not None:
            self._sampler.take(self.clock.now_ms(), self._arrived)
            self.result.samples = self._sampler.samples
        self.result.elapsed_s = time.perf_counter() - began
        return self.result

    def next_ms(self) -> int | None:
        """When the next thing happens, None for never."""
        jobs = self.workload.jobs
        found_ms = jobs[self._arrived].submitted_ms if self._arrived < len(jobs) else None
        if self._retry_ms and (found_ms is None or self._retry_ms < found_ms):
            found_ms = self._retry_ms
        while self._displaced.void and self._ends and self._displaced.is_void(self._ends[0]):
            heappop(self._ends)
        for queue in (self._ends, self._expiries):
            if queue and (found_ms is None or queue[0][0] < found_ms):
                found_ms = queue[0][0]
        if self._outages is not None and found_ms != 0 and (found_ms is not None or self.board.waiting.rows or self._news.pending):
            found_ms = min(filter(None, (found_ms, self._outages.next_ms(idle=self._is_idle))), default=None)
        return found_ms

    @property
    def _is_idle(self) -> bool:
        """Whether nothing runs that ends, and nothing comes."""
        return not self._ends and self._arrived == len(self.workload.jobs)

    def step(self, now_ms: int) -> None:
        """Let everything of this moment happen, then plan."""
        self.clock.move_to(now_ms)
        self.result.events += 1
        self._retry_ms = 0
        first, idle = self._arrived, self._is_idle
        if not self.rules.one_by_one:
            self._end(now_ms)
            self._extend(now_ms)
            self._fail(now_ms, idle=idle)
            self._arrive(now_ms)
        elif not self._arrive(now_ms, 1):
            self._end(now_ms, 1)
            self._extend(now_ms)
            self._fail(now_ms, idle=idle)
        self._tell_board(now_ms)
        if self.board.waiting.groups or self.board.standing or self.board.resting:
            self._decide(now_ms)
            if self.rules.drop:
                self._drop(first, now_ms)
        if self._sampler is not None and self._sampler.is_due(now_ms, self._arrived):
            self._tell_board(now_ms)
            self._sampler.take(now_ms, self._arrived)

    def _decide(self, now_ms: int) -> None:
        """Plan, and let the decisions take effect."""
        self.result.plans += 1
        plan = self.policy.plan_on(self.board, now_ms, decisions_only=True)
        self._retry_ms, self.board.strategy = plan.next_ms, plan.strategy or self.board.strategy
        if plan.promises != self.board.promises:
            self._news.promises = plan.promises
        for decision in plan.decisions[:1] if self.rules.one_by_one else plan.decisions:
            for start in decision.starts:
                self._start(start, now_ms)
            if decision.evicts:
                self._displace(decision, now_ms)
            for suspend in decision.suspends:
                self._suspend(suspend.job_id, now_ms)
            for resume in decision.resumes:
                self._resume(resume.job_id, now_ms)
        if plan.decisions and (plan.truncated_at is not None or self.rules.one_by_one):
            self._tell_board(now_ms)
            self._decide(now_ms)

    def _displace(self, decision: Decision, now_ms: int) -> None:
        """End runs at once, so that another may start; they wait again in their old places."""
        row = self.board.waiting.rows[decision.claims[0].job_id]
        self._displaced.promise(decision, self.board.shapes[row.shape].amounts, now_ms)
        for evict in decision.evicts:
            self.result.preemptions += 1
            self._stop(evict.job_id, now_ms, requeue=True)

    def _suspend(self, job_id: int, now_ms: int) -> None:
        """Let a job rest at once."""
        if not self.workload.jobs[job_id - 1].lives:
            self._displaced.void[self.result.started_ms[job_id - 1] + self._lasts_ms(job_id - 1), job_id] += 1
        ran_ms = self.result.rest(job_id - 1, self._placements[job_id], now_ms)
        self._displaced.keep_work(job_id, ran_ms)
        self._changed(self._turns.rest(self.board.running[job_id], ran_ms, now_ms), now_ms)

    def _resume(self, job_id: int, now_ms: int) -> None:
        """Let a job that rests go on."""
        self.result.go_on(job_id - 1, self._placements[job_id], now_ms)
        row = self.board.running[job_id]
        row = self._turns.go_on(row, self.board.shapes[row.shape].amounts, now_ms)
        self._changed(row, now_ms)
        self._expect(row, now_ms)

    def _changed(self, row: RunningJob, now_ms: int) -> None:
        """The job runs on, or rests, with what it holds now."""
        self._news.running[row.id] = row
        if self._counts:
            self._give_back(row.id, now_ms)
            self._take(row, now_ms)

    def _expect(self, row: RunningJob, now_ms: int) -> None:
        """When the run ends that begins now, and when that is known to be later than was believed."""
        lasts_ms = self._lasts_ms(row.id - 1)
        if not self.workload.jobs[row.id - 1].lives:
            heappush(self._ends, (now_ms + lasts_ms, row.id))
        if now_ms < row.ends_by_ms < now_ms + lasts_ms:
            heappush(self._expiries, (row.ends_by_ms, row.id, 0))

    def _fail(self, now_ms: int, *, idle: bool) -> None:
        """Let nodes fail, and with them what runs there, and let them work again."""
        outages = self._outages
        if outages is None or not (changed := outages.until(now_ms, idle=idle)):
            return
        self.result.failures += sum(node_id in outages.down for node_id in changed)
        for job_id in sorted(job for job, places in self._placements.items() if any(place.node_id in outages.down for place in places)):
            self._stop(job_id, now_ms, requeue=outages.faults.requeue and self._displaced.goes_on(job_id))
        nodes = sorted(self.workload.nodes, key=lambda node: node.id)
        self._news.nodes = tuple(replace(node, status=NodeStatus.DOWN) if node.id in outages.down else node for node in nodes)

    def _stop(self, job_id: int, now_ms: int, *, requeue: bool) -> None:
        """End a run before its time; the job waits again in its old place, or it has failed."""
        result, position = self.result, job_id - 1
        began_ms = result.started_ms[position]
        result.actions.append(Action(now_ms, PREEMPT if requeue else FAIL, position, self._placements.pop(job_id)))
        if began_ms != NOT_YET and not self.workload.jobs[position].lives:
            self._displaced.void[began_ms + self._lasts_ms(position), job_id] += 1
        before_ms = self._turns.forget(job_id)
        self._displaced.stop(job_id, now_ms - began_ms if began_ms != NOT_YET else 0, before_ms, result)
        result.started_ms[position] = NOT_YET
        if self._news.running.pop(job_id, None) is None or job_id in self.board.running:
            self._news.running_removed.append(job_id)
        if requeue:
            self._news.pending[job_id] = self._waits(position, now_ms)
        if self._counts:
            self._give_back(job_id, now_ms)

    def _end(self, now_ms: int, most: int = MANY) -> None:
        """End what ends by now, at most so many jobs."""
        ends, jobs, result = self._ends, self.workload.jobs, self.result
        while ends and ends[0][0] <= now_ms and most:
            end = heappop(ends)
            if self._displaced.void and self._displaced.is_void(end):
                continue
            most -= 1
            job_id = end[1]
            job = jobs[job_id - 1]
            result.ended_ms[job_id - 1] = now_ms
            result.actions.append(Action(now_ms, END, job_id - 1, self._placements.pop(job_id)))
            # Else it began and ended in no time, and the board never knew.
            if self._news.running.pop(job_id, None) is None or job_id in self.board.running:
                self._news.running_removed.append(job_id)
            if self._counts:
                self._give_back(job_id, now_ms)
            self._turns.forget(job_id)
            self.runtimes.ended(job, now_ms - result.started_ms[job_id - 1] + self._displaced.saved_ms.get(job_id, 0))

    def _take(self, attempt: RunningJob, now_ms: int) -> None:
        """Add what a job holds from now on to its account."""
        account, bundle = self._held[attempt.id] = (attempt.project, attempt.user), held_by(attempt)
        self.ledger.settle(account, now_ms)
        self.ledger.hold(account, bundle)
        self._news.moved[account] = None

    def _give_back(self, job_id: int, now_ms: int) -> None:
        """Take what an ended job held from its account."""
        account, bundle = self._held.pop(job_id)
        self.ledger.settle(account, now_ms)
        self.ledger.drop(account, bundle)
        self._news.moved[account] = None

    def _extend(self, now_ms: int) -> None:
        """Believe something else of jobs that run longer than was believed."""
        expiries, running = self._expiries, self.board.running
        while expiries and expiries[0][0] <= now_ms:
            at_ms, job_id, times = heappop(expiries)
            row = self._news.running.get(job_id) or running.get(job_id)
            if row is None or row.ends_by_ms != at_ms:
                continue  # that run was displaced
            longer_ms = self.runtimes.longer_ms(self.workload.jobs[job_id - 1], row.ends_by_ms - row.started_ms, times)
            self._believe(row, longer_ms, times + 1)

    def _believe(self, row: RunningJob, limit_ms: int, times: int) -> None:
        """Tell the planner that a running job has this limit, and look at it again when that proves too short."""
        changed = replace(row, ends_by_ms=row.started_ms + limit_ms)
        self._news.running[row.id] = changed
        if limit_ms < self._lasts_ms(row.id - 1):
            heappush(self._expiries, (changed.ends_by_ms, row.id, times))

    def _lasts_ms(self, position: int) -> int:
        """How long the job really holds its room, if it starts from what it has saved."""
        job = self.workload.jobs[position]
        if job.lives:
            return 2**62
        left_ms = job.run_ms - self._displaced.saved_ms.get(position + 1, 0)
        if self.rules.enforce_limits and job.requested_ms:
            return min(left_ms, job.requested_ms - self._turns.ran_ms.get(position + 1, 0))
        return left_ms

    def _arrive(self, now_ms: int, most: int = MANY) -> int:
        """Let those come that have been submitted by now, at most so many; how many came."""
        jobs, first = self.workload.jobs, self._arrived
        while self._arrived < len(jobs) and jobs[self._arrived].submitted_ms <= now_ms and self._arrived < first + most:
            self.result.believed_ms[self._arrived] = self.runtimes.limit_ms(jobs[self._arrived], now_ms)
            self._arrived += 1
            self._news.pending[self._arrived] = self._waits(self._arrived - 1, now_ms)
        return self._arrived - first

    def _waits(self, position: int, now_ms: int) -> PendingJob:
        """The job as it waits from now on."""
        job = self.workload.jobs[position]
        return PendingJob(
            id=position + 1,
            shape=self._shapes[job.shape],
            queue=QUEUE,
            project=self._project(job.project),
            user=self._users.setdefault(job.user, len(self._users) + 1),
            priority=job.priority,
            submitted_ms=job.submitted_ms,
            limit_ms=self.result.believed_ms[position],
            deadline_ms=job.deadline_ms,
            expected_ms=self.result.expect(position, self.runtimes.expected_ms(job, now_ms)),
        )

    def _tell_board(self, now_ms: int) -> None:
        """Let the board know what has happened."""
        if not self._news.is_empty:
            self.board.advance(self._news.changes(self.board.revision, now_ms, self.ledger, self._displaced))
            self._news, self._displaced.has_news = News(), False

    def _start(self, start: Start, now_ms: int) -> None:
        job_id = start.job_id
        limit_ms = self.result.believed_ms[job_id - 1]
        self.result.started_ms[job_id - 1] = now_ms
        self.result.actions.append(Action(now_ms, START, job_id - 1, start.placements))
        self._placements[job_id] = start.placements
        self._news.pending_removed.append(job_id)
        row = self.board.waiting.rows[job_id]
        attempt = self._news.running[job_id] = attempt_of(row, start, self.board.shapes[row.shape].amounts, limit_ms, now_ms)
        if self._counts:
            self._take(attempt, now_ms)
        self._displaced.keep(start)
        self._expect(attempt, now_ms)

    def _drop(self, first: int, now_ms: int) -> None:
        """What has just arrived and was not started is gone."""
        for position in range(first, self._arrived):
            if self.result.started_ms[position] < 0:
                self.result.actions.append(Action(now_ms, DROP, position))
                self._news.pending_removed.append(position + 1)
