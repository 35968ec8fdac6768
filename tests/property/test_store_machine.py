"""Any order of submissions, plans, reports, acts, reservations, lies, crashes and aborted groups: the store agrees with a small
reference, every invariant holds after each step, and following the changes gives what a fresh snapshot gives."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import (
    Applied,
    CancelJob,
    DependsOn,
    HoldJob,
    JobRequest,
    MakeReservation,
    ReleaseJob,
    RemoveReservation,
    RequeueJob,
    SubmitJob,
    SuspendJob,
)
from tenure.model.job import RunningJob
from tenure.model.observations import EndReason, Launch, Observation
from tenure.model.plan import Decision, Start
from tenure.model.shape import Shape
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import (
    ADA,
    CAPPED,
    HALF_GPU,
    ONE_CPU,
    ONE_GPU,
    SPEC,
    StoreRig,
    emptied,
    ended,
    node,
    rejected,
    returned,
    started,
)
from tests.property.store_reference import NEVER_RAN, Job, Reference
from tests.support.examples import examples

SHAPES = {"cpu": ONE_CPU, "gpu": ONE_GPU, "half": HALF_GPU, "gang": Shape(Amounts(cpu_milli=1000), tasks=2)}
BOUNDS = {"capped": (3_000, 1_000), "frugal": (2_000, 10**9)}
"""The most cpus and GPUs that `CAPPED` gives these projects."""
RESULTS = ("ok", "ok", "bad", "unknown", "timeout", "stopped", *NEVER_RAN)
MINUTE_MS = 60_000
PICK = st.integers(0, 10**6)
FAST = "/dev/shm"


class StoreMachine(RuleBasedStateMachine):
    """The real store beside the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=FAST if os.path.isdir(FAST) else None)
        path = str(Path(self.folder.name) / "tenure.db")
        # Jobs take whole cpus: the half is for the little that reservations of GPUs take.
        machine = node("n1", gpus=2, amounts=Amounts(8_500, 64 * GIB))
        settings_ = StoreSettings(log_dir="/logs", ballast_bytes=0, projects=CAPPED)
        self.rig = StoreRig(lambda: open_sqlite(path, settings_), [machine])
        self.reference = Reference()
        self.shapes: dict[int, Shape] = {}
        self.projects: dict[int, str] = {}
        self.limits: dict[int, int] = {}
        self.launches: dict[int, tuple[Launch, ...]] = {}
        self.past: list[Observation] = []
        self.aside: dict[int, tuple[int, int, str, tuple[int, ...]]] = {}
        self.followed = self.rig.store.snapshot(self.rig.now_ms)

    def teardown(self) -> None:
        self.rig.store.close()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.submit("cpu", 0, False, 0, 1, "ok", 0, "default")

    @rule(
        kind=st.sampled_from(sorted(SHAPES)),
        retries=st.integers(0, 1),
        hold=st.booleans(),
        array=st.sampled_from([0, 0, 1, 3]),
        cap=st.sampled_from([1, 2, 2**31]),
        condition=st.sampled_from(["", "", "ok", "any", "failed"]),
        on=PICK,
        project=st.sampled_from(["default", "default", *BOUNDS]),
        minutes=st.sampled_from([0, 0, 2, 10]),
    )
    def submit(
        self, kind: str, retries: int, hold: bool, array: int, cap: int, condition: str, on: int, project: str, minutes: int = 0
    ) -> None:
        known = sorted(self.reference.jobs)
        after = {known[on % len(known)]: condition} if condition and known else {}
        request = JobRequest(
            kind,
            SHAPES[kind],
            after=tuple(DependsOn(*item) for item in after.items()),
            array=((0, array - 1, 1),) if array else (),
            array_cap=cap,
            retries=retries,
            hold=hold,
            project=project,
            limit_ms=minutes * MINUTE_MS,
        )
        answer = self.rig.apply(SubmitJob(self.rig.key(), ADA, request, SPEC))
        assert isinstance(answer, Applied)
        job = Job(answer.job_id, SHAPES[kind].tasks, retries, "held" if hold else "pending", after)
        if array:
            job.left, job.cap = list(range(array)), cap
        self.shapes[job.id], self.projects[job.id], self.limits[job.id] = SHAPES[kind], project, minutes * MINUTE_MS
        self.reference.add(job)

    def _job(self, pick: int) -> Job:
        known = sorted(self.reference.jobs)
        return self.reference.jobs[known[pick % len(known)]]

    def _shape(self, job: Job) -> Shape:
        return self.shapes[job.array or job.id]

    @rule(pick=PICK, place=PICK)
    def start_honestly(self, pick: int, place: int) -> None:
        """Start what may start, and let it report that it runs."""
        ready = [job.id for job in self.reference.jobs.values() if self.reference.is_ready(job)]
        if ready:
            known = sorted(self.reference.jobs)
            self.start(known.index(ready[pick % len(ready)]), place | 1)

    @rule(pick=PICK, place=PICK)
    def start(self, pick: int, place: int) -> None:
        """Start a job somewhere: accepted exactly when it is ready and there is room, however wrong the planner."""
        job = self._job(pick)
        shape = self._shape(job)
        self.rig.now_ms += 60_000 * (place % 2)
        position = job.left[place % len(job.left)] if job.left else -1
        devices = [[1 + place % 2]] if shape.gpu_milli else ()
        snapshot = self.rig.store.snapshot(self.rig.now_ms)
        fits = self._fits(snapshot.running, shape, 1 + place % 2) and self._is_within_bounds(snapshot.running, job)
        waiting = snapshot.job(job.id)
        due = waiting is not None and waiting.eligible_ms <= self.rig.now_ms
        successors = self._successors(job, position, place)
        where = self.rig.placements(shape, (1,) * shape.tasks, devices)
        device = 1 + place % 2 if shape.gpu_milli else 0
        kept_out = self._is_kept_out(job, device, 1 + len(successors))
        done = self.rig.commit(Decision((Start(job.id, where, position, successors=successors),)))
        rejection, launches = done.rejections[0], done.launches
        assert (rejection is None) == (self.reference.is_ready(job, len(successors)) and due and fits and not kept_out), rejection
        if not successors and rejection is None:
            running = self.reference.start(job, launches[0].job_id, position)
            self.launches[running.id] = launches
        elif rejection is None:
            for launch, taken in zip(launches, (position, *successors), strict=True):
                self.reference.start(job, launch.job_id, taken, launches[0].attempt_id)
                self.launches[launch.job_id] = (launch,)

    def _successors(self, job: Job, position: int, place: int) -> tuple[int, ...]:
        """Other waiting elements of the array to follow the one that starts, where that is allowed."""
        shape = self._shape(job)
        if not job.left or shape.tasks > 1 or shape.gpu_milli:
            return ()
        return tuple(one for one in job.left if one != position)[: place // 2 % 3]

    def _is_within_bounds(self, running: tuple[RunningJob, ...], job: Job) -> bool:
        """Whether the job's project may hold one more of its kind."""
        project, shape = self.projects[job.array or job.id], self._shape(job)
        cpus, gpus = BOUNDS.get(project, (10**9, 10**9))
        own = [one for one in running if self.projects[one.array_id or one.id] == project]
        cpus -= sum(held.amounts.cpu_milli for one in own for held in one.allocations)
        gpus -= sum(share.milli for one in own for held in one.allocations for share in held.devices)
        return shape.tasks * shape.amounts.cpu_milli <= cpus and shape.gpu_milli <= gpus

    @staticmethod
    def _fits(running: tuple[object, ...], shape: Shape, device: int) -> bool:
        cpus = gpu = 0
        for job in running:
            for allocation in job.allocations:  # type: ignore[attr-defined]
                cpus += allocation.amounts.cpu_milli
                gpu += sum(share.milli for share in allocation.devices if share.device_id == device)
        return cpus + shape.tasks * shape.amounts.cpu_milli <= 8_000 and gpu + shape.gpu_milli <= 1_000

    def _is_kept_out(self, job: Job, device: int, runs: int) -> bool:
        """Whether it would run into what is set aside for others: all of the node, or that device."""
        project, limit_ms = self.projects[job.array or job.id], self.limits[job.array or job.id]
        ends_ms = self.rig.now_ms + runs * limit_ms if limit_ms else 2**62
        return any(
            from_ms < ends_ms and until_ms > self.rig.now_ms and owner != project and (not devices or device in devices)
            for from_ms, until_ms, owner, devices in self.aside.values()
        )

    @rule(
        begins=st.integers(-1, 8), minutes=st.integers(0, 9), owner=st.sampled_from(["", "default", "capped"]), gpus=st.integers(0, 3)
    )
    def reserve(self, begins: int, minutes: int, owner: str, gpus: int) -> None:
        """Set the node or so many of its GPUs aside: refused exactly when it makes no sense or somebody has that already."""
        gpus = gpus if owner else 0
        from_ms = self.rig.now_ms + begins * MINUTE_MS
        until_ms = from_ms + minutes * MINUTE_MS
        what = MakeReservation(
            self.rig.key(), ADA, "", from_ms, until_ms, 0, (), not owner, owner, devices=gpus, cpu_milli=min(gpus, 1)
        )
        answer = self.rig.apply(what)
        from_ms = max(from_ms, self.rig.now_ms)
        beside = [devices for start, end, _, devices in self.aside.values() if start < until_ms and end > from_ms]
        taken = {device for devices in beside for device in devices}
        fits = all(beside) and 2 - len(taken) >= gpus if gpus else not beside
        assert isinstance(answer, Applied) == (fits and until_ms > from_ms), answer
        if isinstance(answer, Applied):
            found = max(self.rig.store.snapshot(self.rig.now_ms).reservations, key=lambda window: window.id)
            self.aside[found.id] = (from_ms, until_ms, owner, found.parts[0].devices)

    @rule(pick=PICK)
    def unreserve(self, pick: int) -> None:
        number = sorted(self.aside)[pick % len(self.aside)] if self.aside else 7
        stands = number in self.aside and self.aside[number][1] > self.rig.now_ms
        assert isinstance(self.rig.apply(RemoveReservation(self.rig.key(), ADA, str(number))), Applied) == stands
        if stands:
            del self.aside[number]

    @precondition(lambda self: self.launches)
    @rule(pick=PICK, result=st.sampled_from(["started", *RESULTS]), empty=st.booleans(), both=st.booleans())
    def report(self, pick: int, result: str, empty: bool, both: bool) -> None:
        """A task reports something, or two things at once."""
        known = sorted(self.launches)
        job = self.reference.jobs[known[pick % len(known)]]
        number = pick % len(job.tasks)
        launch = self.launches[job.id][number]
        result = "node_fault" if result == "returned" and len(job.tasks) > 1 else result
        news = 0
        items: list[Observation] = []
        if result == "started" or (both and result not in NEVER_RAN):
            items.append(started(launch, self.rig.now_ms))
            news += self.reference.task_started(job, number)
        if result != "started":
            items.append(_report(launch, job, result, empty=empty))
            news += self.reference.task_ended(job, number, result, empty=empty or result in NEVER_RAN)
        recorded = self.rig.record(*items)
        assert recorded.ignored == len(items) - news
        self.past += items

    @precondition(lambda self: self._open())
    @rule(pick=PICK, result=st.sampled_from(RESULTS), empty=st.booleans())
    def end(self, pick: int, result: str, empty: bool) -> None:
        """Some task that has not ended does."""
        number = self._open()[pick % len(self._open())]
        self.report(sorted(self.launches).index(number), result, empty, True)

    def _open(self) -> list[int]:
        """Jobs of which some task has not ended."""
        return [number for number in sorted(self.launches) if not all(task.result for task in self.reference.jobs[number].tasks)]

    @precondition(lambda self: self.launches)
    @rule(pick=PICK)
    def empty(self, pick: int) -> None:
        known = sorted(self.launches)
        job = self.reference.jobs[known[pick % len(known)]]
        number = pick % len(job.tasks)
        recorded = self.rig.record(emptied(self.launches[job.id][number]))
        assert recorded.ignored == (0 if self.reference.task_emptied(job, number) else 1)

    @precondition(lambda self: self.past)
    @rule(pick=PICK)
    def repeat(self, pick: int) -> None:
        """What was said of an attempt that is over is ignored."""
        item = self.past[pick % len(self.past)]
        if item.attempt_id in {self.launches[number][0].attempt_id for number in self._open()}:
            return
        before = self.rig.store.snapshot(self.rig.now_ms)
        assert self.rig.record(item).ignored == 1
        assert self.rig.store.snapshot(self.rig.now_ms) == before

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        job = self._job(pick)
        assert isinstance(self.rig.act(CancelJob, job.id), Applied)
        self.reference.cancel(job)

    @rule(pick=PICK, release=st.booleans())
    def hold(self, pick: int, release: bool) -> None:
        job = self._job(pick)
        self.rig.act(ReleaseJob if release else HoldJob, job.id)
        self.reference.hold(job, release=release)

    @rule(pick=PICK, wish=st.sampled_from(["cancelled", "held"]))
    def touch(self, pick: int, wish: str) -> None:
        """Act on an element before it starts."""
        job = self._job(pick)
        if not job.left:
            return
        position = job.left[pick % len(job.left)]
        self.rig.act(CancelJob if wish == "cancelled" else HoldJob, job.id, position=position)
        element = self._ids()[-1]
        self.reference.touch(job, position, element, wish)

    @rule(pick=PICK)
    def requeue(self, pick: int) -> None:
        job = self._job(pick)
        if job.left is not None:
            return
        self.rig.act(RequeueJob, job.id)
        self.reference.requeue(job)

    @rule(pick=PICK, resume=st.booleans())
    def suspend(self, pick: int, resume: bool) -> None:
        job = self._job(pick)
        if job.left is not None:
            return
        self.rig.act(SuspendJob, job.id, resume=resume)
        self.reference.suspend(job, resume=resume)

    @rule()
    def crash(self) -> None:
        self.rig.reopen()

    @rule()
    def new_leader(self) -> None:
        self.rig.epoch = self.rig.lead(f"leader-{self.rig.now_ms}")

    @rule(pick=PICK)
    def aborted_group(self, pick: int) -> None:
        """Whatever happens in a group that fails has not happened."""
        before = self.rig.store.snapshot(self.rig.now_ms)
        job = self._job(pick)
        with pytest.raises(ZeroDivisionError), self.rig.store.group():  # noqa: PT012 - what precedes the error is the point
            self.rig.submit(array=((0, 3, 1),))
            self.rig.act(CancelJob, job.id)
            self.rig.try_start(job.id, self._shape(job))
            raise ZeroDivisionError
        assert self.rig.store.snapshot(self.rig.now_ms) == before

    def _ids(self) -> list[int]:
        return sorted(self._states())

    def _states(self) -> dict[int, str]:
        store = self.rig.store
        assert isinstance(store, SqlStore)
        cursor = store.database.link.cursor
        cursor.execute("SELECT id, state FROM job")
        return dict(cursor.fetchall())

    @invariant()
    def agrees(self) -> None:
        self.rig.sound()
        assert self._states() == {job.id: job.state for job in self.reference.jobs.values()}
        snapshot = self.rig.store.snapshot(self.rig.now_ms)
        assert [job.id for job in snapshot.pending.jobs()] == self.reference.waiting()
        assert [job.id for job in snapshot.running] == self.reference.holding()
        windows = {window.id: window for window in snapshot.reservations}
        assert sorted(windows) == [number for number in sorted(self.aside) if self.aside[number][1] > self.rig.now_ms]
        changes = self.rig.store.changes(self.followed.revision, self.rig.now_ms)
        assert changes is not None
        assert self.followed.pending.changed(changes.pending, changes.pending_removed) == snapshot.pending
        running = {job.id: job for job in self.followed.running if job.id not in changes.running_removed} | dict(changes.running)
        assert tuple(running[number] for number in sorted(running)) == snapshot.running
        known = self.followed.reservations if changes.reservations is None else changes.reservations
        assert tuple(window for window in known if window.until_ms > self.rig.now_ms) == snapshot.reservations
        self.followed = snapshot


def _report(launch: Launch, job: Job, result: str, *, empty: bool) -> Observation:
    if result == "returned":
        return returned(launch)
    if result in NEVER_RAN:
        return rejected(launch, job_fault=result == "job_fault")
    if result == "ok":
        return ended(launch, 0, empty=empty)
    if result == "bad":
        return ended(launch, 1, empty=empty)
    reason = {"unknown": EndReason.UNKNOWN, "timeout": EndReason.TIMEOUT, "stopped": EndReason.STOPPED}[result]
    return ended(launch, None, reason, empty=empty, signal=15, stop_reason=job.stop if result == "stopped" else "")


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=examples(60), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
