"""Driving a store in tests: submit, start, report and look, each in a line, with time that moves only when told.

Nothing here plans: a test says where a job goes. Invariant: the rig knows the store only through its port, so that one suite runs
over every store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tenure.model.allocation import DeviceShare, Placement
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Answer, Applied, Caller, Command, JobRequest, JobSpec, SubmitJob
from tenure.model.job import PendingJob, RunningJob
from tenure.model.observations import (
    RETURNED,
    DeviceFound,
    EndReason,
    Launch,
    LaunchRejected,
    NodeFound,
    Observation,
    Signal,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.model.outcomes import Committed, Recorded
from tenure.model.plan import Decision, Plan, Rejection, Start
from tenure.model.project import Bundle, Project
from tenure.model.shape import Shape
from tenure.ports import Store

ADA = Caller(1000, "ada")
BEN = Caller(1001, "ben")
ONE_CPU = Shape(Amounts(cpu_milli=1000))
ONE_GPU = Shape(Amounts(cpu_milli=1000), gpu_milli=1000)
HALF_GPU = Shape(Amounts(cpu_milli=1000), gpu_milli=500)
SPEC = JobSpec(("python", "train.py"), "/data", {"LANG": "C"})
GPU_MEMORY = 80 * GIB
CAPPED = (
    Project(0, "capped", maximum=Bundle(cpu_milli=3000, memory_bytes=-1, gpu_milli=1000)),
    Project(0, "frugal", quota=Bundle(cpu_milli=2000, memory_bytes=-1, gpu_milli=-1), borrow=False),
)
"""The projects that a store under the contract is told of."""


def node(name: str, cpus: int = 8, gpus: int = 0, **changes: Any) -> NodeFound:
    """A node as an executor finds it, with whole cpus, 64 GiB and 80 GiB GPUs."""
    devices = tuple(DeviceFound(f"GPU-{name}-{i}", i, "H100", GPU_MEMORY) for i in range(gpus))
    return NodeFound(name, changes.pop("amounts", Amounts(cpus * 1000, 64 * GIB)), changes.pop("devices", devices), **changes)


class StoreRig:
    """A store of one node with 8 cpus and 2 GPUs (unless told otherwise), a leader, and a clock."""

    def __init__(self, open_store: Callable[[], Store], nodes: Sequence[NodeFound] | None = None) -> None:
        self._open = open_store
        self.now_ms = 1_000_000
        self.store = open_store()
        self.epoch = self.lead("first")
        self._keys = 0
        self.define(*(nodes if nodes is not None else (node("n1", gpus=2),)))

    def lead(self, holder: str) -> int:
        """Become the leader under a name, whoever led before."""
        self.now_ms += 60_000
        epoch = self.store.elect(holder, 30_000, self.now_ms)
        assert epoch is not None
        return epoch

    def define(self, *nodes: NodeFound) -> None:
        """What the executor offers from now on."""
        self.store.define_nodes("local", nodes, self.now_ms)

    def reopen(self) -> None:
        """Let go of the store as a crash would, and open it again."""
        self.store.close()
        self.store = self._open()

    def key(self) -> str:
        """A fresh idempotency key."""
        self._keys += 1
        return f"key-{self._keys}"

    def apply(self, command: Command) -> Answer:
        """One command, one answer."""
        return self.store.apply([command], self.now_ms)[0]

    def act(self, kind: Callable[..., Command], job_id: int, caller: Caller = ADA, **changes: Any) -> Answer:
        """Do something to a job."""
        return self.apply(kind(key=self.key(), caller=caller, job_id=job_id, **changes))

    def submit(self, shape: Shape = ONE_CPU, spec: JobSpec = SPEC, caller: Caller = ADA, **request: Any) -> int:
        """Queue a job; its id. Fails when it is refused."""
        answer = self.apply(SubmitJob(self.key(), caller, JobRequest(request.pop("name", "job"), shape, **request), spec))
        assert isinstance(answer, Applied), answer
        return answer.job_id

    def pending(self, job_id: int) -> PendingJob | None:
        """The job as the next plan would see it waiting."""
        return self.store.snapshot(self.now_ms).job(job_id)

    def running(self, job_id: int) -> RunningJob | None:
        """The job as the next plan would see it holding something."""
        return next((job for job in self.store.snapshot(self.now_ms).running if job.id == job_id), None)

    def placements(self, shape: Shape, nodes: Sequence[int], devices: Sequence[Sequence[int]] = ()) -> tuple[Placement, ...]:
        """One task per entry of ``nodes``, on the devices given for it."""
        share = shape.device_share(GPU_MEMORY)
        return tuple(
            Placement(task, node_id, tuple(DeviceShare(number, *share) for number in (devices[task] if devices else ())))
            for task, node_id in enumerate(nodes)
        )

    def commit(self, *decisions: Decision, epoch: int | None = None, **plan: Any) -> Committed:
        """Commit decisions as the leader."""
        revision = self.store.snapshot(self.now_ms).revision
        return self.store.commit(Plan(revision, tuple(decisions), **plan), self.epoch if epoch is None else epoch, self.now_ms)

    def try_start(
        self,
        job_id: int,
        shape: Shape = ONE_CPU,
        position: int = -1,
        nodes: Sequence[int] = (1,),
        devices: Sequence[Sequence[int]] = (),
    ) -> tuple[Rejection | None, tuple[Launch, ...]]:
        """Commit one start; why it was rejected, or what must be launched."""
        done = self.commit(Decision((Start(job_id, self.placements(shape, nodes, devices), position),)))
        return done.rejections[0], done.launches

    def start(self, job_id: int, shape: Shape = ONE_CPU, **where: Any) -> tuple[Launch, ...]:
        """Commit one start that must succeed."""
        rejection, launches = self.try_start(job_id, shape, **where)
        assert rejection is None, rejection
        return launches

    def run(self, job_id: int, shape: Shape = ONE_CPU, **where: Any) -> Launch:
        """Start a job of one task and report that it runs."""
        launch = self.start(job_id, shape, **where)[0]
        self.record(started(launch, self.now_ms))
        return launch

    def record(self, *observations: Observation) -> Recorded:
        """Report as the executor does."""
        return self.store.record(observations, self.epoch, self.now_ms)

    def states(self, recorded: Recorded) -> dict[int, str]:
        """The last new state of each job that changed."""
        return {change.job_id: change.state for change in recorded.changes}

    def kinds(self, job_id: int = 0) -> list[str]:
        """The kinds of all events, or of those of one job."""
        return [event.kind for event in self.store.events(0, 100_000, job_id)[0]]

    def due(self) -> list[Signal]:
        """The signals that the executor would be sent now."""
        return list(self.store.claim_commands(self.epoch, self.now_ms).signals)

    def sound(self) -> None:
        """Fail unless every invariant holds."""
        assert self.store.check() == []


def started(launch: Launch, at_ms: int = 0, pid: int = 4711) -> TaskStarted:
    """The report that a launched task runs."""
    return TaskStarted(launch.attempt_id, launch.task, launch.fence, at_ms, pid)


def ended(launch: Launch, exit_code: int | None = 0, reason: EndReason = EndReason.EXIT, **changes: Any) -> TaskEnded:
    """The report that a launched task is gone."""
    return TaskEnded(launch.attempt_id, launch.task, launch.fence, reason, exit_code, **changes)


def emptied(launch: Launch) -> TaskEmptied:
    """The report that nothing of it is left."""
    return TaskEmptied(launch.attempt_id, launch.task, launch.fence)


def done(signal: Signal) -> SignalDone:
    """The report that a signal was carried out."""
    return SignalDone(signal.attempt_id, signal.task, signal.fence, signal.number)


def rejected(launch: Launch, *, job_fault: bool, why: str = "no such directory") -> LaunchRejected:
    """The report that it was not started and will not be."""
    return LaunchRejected(launch.attempt_id, launch.task, launch.fence, job_fault, "cannot_start", why)


def returned(launch: Launch) -> LaunchRejected:
    """The report that its turn to have a room did not come."""
    return LaunchRejected(launch.attempt_id, launch.task, launch.fence, False, RETURNED, "it waited too long")
