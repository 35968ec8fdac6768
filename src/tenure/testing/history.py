"""A made-up past and present of a small busy cluster: jobs come, start as the policy says, end early, in time or never.

Unlike the strategies of `tenure.testing.strategies` it nearly always has a queue, and most of what waits could run: it is for looking
at what waits. Invariant: the same seed and policy give the same history; nothing here decides anything, the policy does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tenure.model.amounts import GIB, Amounts
from tenure.model.job import NO_CAP, PendingJob, RunningJob
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.project import Bundle
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy
from tenure.testing.builders import Cluster
from tenure.testing.outcome import applied, committed, ended

MINUTE_MS = 60_000
QUEUES = ("default", "night", "urgent", "closed")
ODD_BYTES = 1_234_567_891


def end_ms(job: RunningJob) -> int:
    """When a running job is gone if it takes all of its limit; 0 for nobody knows."""
    return job.started_ms if job.stopping else job.ends_by_ms


def passed(snapshot: Snapshot, gone: tuple[int, ...], now_ms: int) -> Snapshot:
    """The snapshot at a later time, these running jobs having ended; their arrays may run that many elements more."""
    arrays = [job.array_id for job in snapshot.running if job.array_id and job.id in gone]
    rows = {job.id: job for job in snapshot.pending.jobs()}
    roomier = {one: replace(rows[one], array_room=rows[one].array_room + arrays.count(one)) for one in set(arrays) & rows.keys()}
    return applied(snapshot, replace(ended(snapshot, gone, now_ms), pending=roomier))


@dataclass(slots=True)
class History:
    """One history under one policy. ``steady``: who is older is ready sooner, and whoever was asked to end has ended
    by the next moment; else some jobs come of age late, arrays have caps, and runs outlive their limits. ``bounded``: jobs are of
    projects, which have quotas and maxima."""

    policy: StagedPolicy
    seed: int
    steady: bool = False
    bounded: bool = False
    random: Random = field(init=False)
    cluster: Cluster = field(default_factory=Cluster)
    shapes: list[Shape] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def moments(self, steps: int) -> Iterator[Snapshot]:
        """What is there just after each of so many plans was committed."""
        self._found()
        self._submit(self.random.randint(3, 8))
        snapshot = self.cluster.snapshot()
        for _ in range(steps):
            snapshot, _ = committed(snapshot, self.policy.plan(snapshot))
            yield snapshot
            snapshot = self._later(snapshot)

    def _found(self) -> None:
        """The nodes, the queues, and what jobs ask for."""
        chance, cluster = self.random, self.cluster
        for name in QUEUES:
            cluster.queue(
                name,
                paused=name == "closed",
                bonus=300 * (name == "urgent"),
                max_limit_ms=10 * MINUTE_MS * (name == "night"),
            )
        for number in range(chance.randint(1, 4)):
            gpus = chance.choice((0, 2, 4, 4))
            cluster.node(
                f"n{number}",
                Amounts(chance.choice((4000, 8000)), chance.choice((16 * GIB, 13 * ODD_BYTES)), 4 * GIB),
                gpus,
                model=chance.choice(("NVIDIA A100", "NVIDIA A100", "Tesla T4")),
                gpu_memory_bytes=chance.choice((40, 80)) * GIB,
                per_group=chance.choice((0, 2)),
                labels=chance.choice(((), ("ssd",))),
                status=chance.choice([NodeStatus.UP] * 6 + [NodeStatus.DRAINING]),
                device_status={0: chance.choice([DeviceStatus.OK] * 4 + [DeviceStatus.FOREIGN])},
            )
        self.shapes = [self._shape() for _ in range(chance.randint(1, 4))]
        for name in ("red", "blue") if self.bounded else ():
            most = Bundle(chance.choice((-1, 2000, 6000)), -1, chance.choice((-1, 1000, 2000)))
            quota = Bundle(chance.choice((-1, 0, 2000)), -1, chance.choice((-1, 0, 1000)))
            cluster.project(name, maximum=most, quota=quota, borrow=chance.random() < 0.8)

    def _shape(self) -> Shape:
        chance = self.random
        node = chance.choice(list(self.cluster.nodes.values()))
        most = len(node.devices)
        gpu_milli = chance.choice((0, 250, 500, 600, 1000, 1000 * max(1, most // 2), 1000 * most)) if most else 0
        tasks = chance.choice((1, 1, 1, 2, 3))
        return Shape(
            Amounts(
                chance.choice((500, 1000, 3000)), chance.choice((0, GIB, 5 * GIB, 3 * ODD_BYTES)), chance.choice((0, 0, 0, 3 * GIB))
            ),
            gpu_milli=gpu_milli,
            gpu_memory_bytes=chance.choice((0, 0, 0, 10 * GIB, 3 * ODD_BYTES)) if gpu_milli else 0,
            gpu_model=chance.choice(("", "", node.devices[0].model)) if gpu_milli else "",
            tasks=tasks,
            nodes=chance.choice((0, 0, 1, 2)) if tasks > 1 else 0,
            labels=chance.choice(((), (), node.labels)),
        )

    def _submit(self, count: int) -> list[PendingJob]:
        chance, cluster = self.random, self.cluster
        fresh = []
        for _ in range(count):
            elements = chance.choice((0, 0, 0, 3))
            job = cluster.wait(
                f"j{len(cluster.jobs)}",
                chance.choice(self.shapes),
                queue=chance.choice((*QUEUES[:3], *QUEUES)),
                priority=chance.choice((5, 5, 5, 2, 8, 10)),
                limit_ms=chance.choice((0, 1, 2, 5, 10, 20)) * MINUTE_MS if chance.random() < 0.9 else 1,
                expected_ms=chance.choice((0, 1, 4)) * MINUTE_MS,
                deadline_ms=cluster.now_ms + chance.choice((1, 5, 30)) * MINUTE_MS if chance.random() < 0.2 else 0,
                user=chance.choice((0, 1, 2)),
                project=chance.choice((0, 1, 1, 2)) if self.bounded else 0,
                held=int(chance.random() < 0.05),
                blocked=int(chance.random() < 0.05),
                eligible_ms=cluster.now_ms + MINUTE_MS if not self.steady and chance.random() < 0.05 else 0,
                is_array=int(elements > 0),
                array_left=elements or 1,
                array_room=chance.choice((NO_CAP, 2, 1)) if elements and not self.steady else NO_CAP,
            )
            fresh.append(job)
        return fresh

    def _later(self, snapshot: Snapshot) -> Snapshot:
        """Some time passes: what is due ends, some end early, some are told to stop, others come."""
        chance = self.random
        now_ms = snapshot.now_ms + chance.choice((0, 1, MINUTE_MS, 3 * MINUTE_MS))
        due = {job.id for job in snapshot.running if 0 < end_ms(job) <= now_ms and (self.steady or chance.random() < 0.9)}
        early = {job.id for job in snapshot.running if chance.random() < 0.15}
        stopped = {job.id for job in snapshot.running if not self.steady and chance.random() < 0.05}
        running = tuple(replace(job, stopping=1) if job.id in stopped else job for job in snapshot.running)
        snapshot = passed(replace(snapshot, running=running), tuple(sorted(due | early)), now_ms)
        self.cluster.now_ms = now_ms
        fresh = {job.id: job for job in self._submit(chance.randint(0, 4))}
        shapes = {number: shape for shape, number in self.cluster.shapes.items()}
        return replace(snapshot, shapes=shapes, pending=snapshot.pending.changed(fresh, ()))
