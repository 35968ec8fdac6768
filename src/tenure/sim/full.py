"""The slow way to replay a workload: every step of production, on a store of its own and an executor in memory, at a virtual time.

What `tenure.sim.replay` leaves out for speed is all here: commands are written, plans are verified and committed, tasks are launched,
reported and recorded, and the board follows the store's revisions. Nothing but the clock is pretended, so that whoever doubts the
replay can compare. Invariant: with the same limits enforced, jobs start and end when and where the replay says (a property test).

Two things of production are left out. Reports are gathered until a moment is complete: a virtual moment has no order of its own. And
nobody submits a deadline: production ends a job by it, where a replay measures how late it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from tenure.control.steps import REPLANS, Planner, Ports, commit_step, intake_step, plan_step, signal_step
from tenure.executors.fake import FOREVER_MS, Behaviour, FakeExecutor
from tenure.model.allocation import Placement
from tenure.model.commands import Applied, Caller, Command, JobRequest, JobSpec, SubmitJob
from tenure.model.lifecycle import ENDED_STATES
from tenure.model.node import Node
from tenure.model.observations import DeviceFound, Launch, NodeFound, Observations
from tenure.model.plan import Decision
from tenure.policies.staged import StagedPolicy
from tenure.ports import Store
from tenure.sim.clock import VirtualClock
from tenure.sim.replay import MANY, Progress, Rules
from tenure.sim.results import END, START, Action, Replayed
from tenure.sim.runtimes import RunTimes
from tenure.sim.workload import BadWorkload, TraceJob, Workload
from tenure.store.opening import open_sqlite
from tenure.store.settings import StoreSettings

BEGINNING_MS = 1
"""The store takes 0 for no time; the workload's time 0 is here."""

SPEC = JobSpec(("true",), "/")
BELIEFS = ("exact", "requested")
READ_ELSEWHERE = {"deadline_ms", "expected_ms"}
"""What an order may read of a job that is not submitted here."""

UNKNOWN_HERE = (
    "the full mode replays exact or requested run times, under orders that go by limits; "
    "leave --full away for orders by forecast or deadline, for policies that displace, for faults and for placement studies"
)


class Full:
    """One run of production; used once. The rules' limits are always enforced, as in production.

    Raises BadWorkload for rules, beliefs or policies that production has no counterpart for.
    """

    def __init__(self, workload: Workload, policy: StagedPolicy, runtimes: RunTimes, rules: Rules) -> None:
        self.workload = workload
        self.runtimes = runtimes
        self.policy = policy
        self.rules = rules
        missing = READ_ELSEWHERE.intersection(policy.distinguishes)
        if (
            policy.stages.reclaim is not None
            or rules.drop
            or rules.one_by_one
            or rules.lots
            or rules.faults is not None
            or self.runtimes.name not in BELIEFS
            or missing
        ):
            raise BadWorkload(UNKNOWN_HERE)
        self.clock = VirtualClock(BEGINNING_MS)
        self.executor = FakeExecutor(self.clock, [_found(node) for node in workload.nodes], self._behaviour)
        self.result = Replayed.of(workload, policy.name, self.runtimes.name)
        self._planner = Planner()
        self._cursor = 0
        self._arrived = 0
        self._nodes: dict[int, int] = {}
        self._devices: dict[int, int] = {}
        self._placements: dict[int, tuple[Placement, ...]] = {}

    def run(self, progress: Progress | None = None) -> Replayed:
        """Go through the whole workload."""
        began = time.perf_counter()
        plan = replace(self.rules.settings, policy=self.policy.name)  # the planner takes the store's word for it
        projects = self.rules.projects
        settings = StoreSettings(plan=plan, seed=self.rules.seed, ballast_bytes=0, keep_released_ms=MANY, projects=projects)
        with closing(open_sqlite(":memory:", settings)) as store:
            store.define_projects(BEGINNING_MS)
            ports = self._ports(store)
            while (now_ms := self._next_ms()) is not None:
                self.clock.move_to(now_ms)
                self._moment(ports, now_ms)
                if progress is not None:
                    progress(self._arrived, len(self.workload.jobs))
        self.result.elapsed_s = time.perf_counter() - began
        return self.result

    def _ports(self, store: Store) -> Ports:
        """Lead the store, and tell it of the nodes."""
        epoch = store.elect("replay", MANY, BEGINNING_MS)
        assert epoch is not None, "nobody else knows this store"
        store.define_nodes(self.executor.name, self.executor.nodes(), BEGINNING_MS)
        for node in store.snapshot(BEGINNING_MS).nodes:
            self._nodes[node.id] = int(node.name)
            self._devices |= {device.id: int(device.uuid) for device in node.devices}
        return Ports(store, self.executor, self.policy, epoch)

    def _behaviour(self, launch: Launch) -> Behaviour:
        """A task lasts as long as the log says."""
        job = self.workload.jobs[launch.job_id - 1]
        return Behaviour(FOREVER_MS if job.lives else job.run_ms)

    def _next_ms(self) -> int | None:
        """When the next thing happens, None for never."""
        jobs = self.workload.jobs
        arrival = [jobs[self._arrived].submitted_ms + BEGINNING_MS] if self._arrived < len(jobs) else []
        event, planned = self.executor.next_event_ms(), self._planner.next_ms
        turn = [planned] if self.policy.stages.slices and planned > self.clock.now_ms() else []
        return min([*arrival, *turn, *([event] if event is not None else [])], default=None)

    def _moment(self, ports: Ports, now_ms: int) -> None:
        """Take in everything of this moment, plan and launch; then what comes of that at once, until nothing more does."""
        self.result.events += 1
        commands = self._arrivals(now_ms)
        due = 0 < self._planner.next_ms <= now_ms
        while True:
            seen = self.executor.observe(self._cursor)
            if not seen.items and not commands and not due:
                return
            self._turn(ports, commands, seen, now_ms)
            commands, due = [], False

    def _turn(self, ports: Ports, commands: list[Command], seen: Observations, now_ms: int) -> None:
        launches: list[Launch] = []
        turns = 0
        with ports.store.group():
            intake = intake_step(ports, commands, seen, now_ms)
            for answer in intake.answers:
                assert isinstance(answer, Applied), answer
            if intake.recorded is not None:
                self._note_ends([change.job_id for change in intake.recorded.changes if change.state in ENDED_STATES], now_ms)
            for _ in range(REPLANS):
                plan = plan_step(ports, self._planner, now_ms)
                committed = commit_step(ports, self._planner, plan, now_ms) if plan is not None else None
                if plan is None or committed is None:
                    break
                done = [plan.decisions[place] for place, why in enumerate(committed.rejections) if why is None]
                self._note_starts(done, now_ms)
                turns += self._note_turns(done, now_ms)
                launches.extend(committed.launches)
        self._cursor = seen.cursor
        self.executor.acknowledge(seen.cursor)
        if turns:
            signal_step(ports, now_ms)
        self.executor.launch(launches)

    def _arrivals(self, now_ms: int) -> list[Command]:
        """The submissions of this moment."""
        jobs = self.workload.jobs
        found: list[Command] = []
        while self._arrived < len(jobs) and jobs[self._arrived].submitted_ms + BEGINNING_MS <= now_ms:
            job = jobs[self._arrived]
            limit_ms = self.runtimes.limit_ms(job, now_ms - BEGINNING_MS)
            self.result.believed_ms[self._arrived] = limit_ms
            self._arrived += 1
            found.append(_submission(self._arrived, job, limit_ms))
        return found

    def _note_ends(self, job_ids: list[int], now_ms: int) -> None:
        result, at_ms = self.result, now_ms - BEGINNING_MS
        for job_id in sorted(job_ids):
            result.ended_ms[job_id - 1] = at_ms
            result.actions.append(Action(at_ms, END, job_id - 1, self._placements.pop(job_id)))
            ran_ms = at_ms - result.started_ms[job_id - 1] + result.earlier_ms.get(job_id - 1, 0)
            self.runtimes.ended(self.workload.jobs[job_id - 1], ran_ms)

    def _note_turns(self, done: Sequence[Decision], now_ms: int) -> int:
        """Who rests and who goes on from now on; how many."""
        suspends = [suspend.job_id for decision in done for suspend in decision.suspends]
        resumes = [resume.job_id for decision in done for resume in decision.resumes]
        for job_id in suspends:
            self.result.rest(job_id - 1, self._placements[job_id], now_ms - BEGINNING_MS)
        for job_id in resumes:
            self.result.go_on(job_id - 1, self._placements[job_id], now_ms - BEGINNING_MS)
        return len(suspends) + len(resumes)

    def _note_starts(self, done: Sequence[Decision], now_ms: int) -> None:
        at_ms = now_ms - BEGINNING_MS
        self.result.plans += 1
        for start in [start for decision in done for start in decision.starts]:
            placements = tuple(self._in_workload(placement) for placement in start.placements)
            self.result.started_ms[start.job_id - 1] = at_ms
            self.result.actions.append(Action(at_ms, START, start.job_id - 1, placements))
            self._placements[start.job_id] = placements

    def _in_workload(self, placement: Placement) -> Placement:
        """The same place by the workload's numbers."""
        shares = tuple(replace(share, device_id=self._devices[share.device_id]) for share in placement.devices)
        return Placement(placement.task, self._nodes[placement.node_id], shares)


def _found(node: Node) -> NodeFound:
    """A node as an executor finds it. Its name is its number, so that the store numbers nodes in the order of the workload."""
    devices = tuple(
        DeviceFound(str(device.id), device.index, device.model, device.memory_bytes, device.group, capability=device.capability)
        for device in node.devices
    )
    return NodeFound(f"{node.id:09d}", node.capacity, devices, node.labels)


def _submission(number: int, job: TraceJob, limit_ms: int) -> SubmitJob:
    request = JobRequest(
        job.name,
        job.shape,
        project=job.project or "default",
        priority=job.priority,
        limit_ms=limit_ms,
    )
    return SubmitJob(f"{number}", Caller(1000, job.user or "somebody"), request, SPEC)
