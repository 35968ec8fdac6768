"""Hypothesis strategies for snapshots and what happens to them.

Amounts come from short lists, so that the interesting things (a job that just fits, two that compete for one device) are common and
shrink well. Ids are given by a `Cluster`, never drawn.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tenure.model.amounts import GIB, Amounts
from tenure.model.job import NO_CAP, RunningJob
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.project import Bundle
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot
from tenure.policies import StagedPolicy
from tenure.testing.builders import Cluster
from tenure.testing.outcome import committed, ended

QUEUES = ("default", "night", "urgent")
MINUTE_MS = 60_000
UPKEEP = ("power_idle_w=90", "power_sleep_w=5", "power_w=700", "price_per_hour=1.25", "ssd")
ODD_BYTES = 3_333_333_333
"""A size that nobody types, as free memory is."""


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """A request: cpu only, a fraction, whole devices or a gang."""
    gpu_milli = draw(st.sampled_from([0, 0, 250, 500, 600, 1000, 2000, 4000]))
    tasks = draw(st.sampled_from([1, 1, 1, 2, 3, 5]))
    app = draw(st.sampled_from(["", "", "", "web", "db"]))
    prefer = draw(st.sampled_from([(), (), (), ("ssd",), ("nvlink",) if gpu_milli > 1000 else ()]))
    return Shape(
        amounts=Amounts(
            draw(st.sampled_from([0, 500, 1000, 4000])),
            draw(st.sampled_from([0, GIB, 4 * GIB, 8 * GIB, ODD_BYTES])),
            draw(st.sampled_from([0, 0, 0, 2 * GIB])),
        ),
        gpu_milli=gpu_milli,
        gpu_memory_bytes=draw(st.sampled_from([0, 0, 10, 41])) * GIB if gpu_milli else 0,
        gpu_model=draw(st.sampled_from(["", "", "a100", "Tesla T4", "8.0+"])) if gpu_milli else "",
        tasks=tasks,
        nodes=draw(st.sampled_from([0, 0, 1, 2])) if tasks > 1 else 0,
        labels=draw(st.sampled_from([(), (), (), ("ssd",)])),
        app=app,
        max_per_node=draw(st.sampled_from([0, 1, 2])) if app else 0,
        prefer=prefer,
        prefer_wait_ms=draw(st.sampled_from([0, 30_000])) if prefer else 0,
    )


def _add_nodes(draw: st.DrawFn, cluster: Cluster, count: int) -> None:
    for number in range(count):
        gpus = draw(st.sampled_from([0, 1, 2, 4]))
        states = st.sampled_from([DeviceStatus.OK] * 6 + [DeviceStatus.FOREIGN])
        cluster.node(
            f"n{number}",
            Amounts(draw(st.sampled_from([2000, 8000])), draw(st.sampled_from([8 * GIB, 16 * GIB, 3 * ODD_BYTES])), 3 * GIB),
            gpus,
            model=draw(st.sampled_from(["NVIDIA A100", "Tesla T4"])),
            gpu_memory_bytes=draw(st.sampled_from([40, 80])) * GIB,
            capability=draw(st.sampled_from([0, 75, 80, 90])),
            per_group=draw(st.sampled_from([0, 2])),
            labels=draw(st.sampled_from([(), ("ssd",), UPKEEP])),
            status=draw(st.sampled_from([NodeStatus.UP] * 8 + [NodeStatus.DRAINING])),
            device_status={index: draw(states) for index in range(gpus)},
        )


def _add_jobs(draw: st.DrawFn, cluster: Cluster, count: int) -> None:
    kinds = draw(st.lists(shapes(), min_size=1, max_size=4))
    for number in range(count):
        elements = draw(st.sampled_from([0, 0, 0, 3]))
        job = cluster.wait(
            f"j{len(cluster.jobs)}-{number}",
            draw(st.sampled_from(kinds)),
            queue=draw(st.sampled_from(QUEUES)),
            age_ms=draw(st.sampled_from([0, 0, 1, 30, 90])) * MINUTE_MS,
            priority=draw(st.sampled_from([5, 5, 1, 8])),
            limit_ms=draw(st.sampled_from([0, 1, 5, 20])) * MINUTE_MS,
            expected_ms=draw(st.sampled_from([0, 0, 1, 4])) * MINUTE_MS,
            deadline_ms=draw(st.sampled_from([0, 0, cluster.now_ms + MINUTE_MS, cluster.now_ms + 2 * MINUTE_MS])),
            user=draw(st.sampled_from([0, 1, 2])),
            attained_ms=draw(st.sampled_from([0, 0, 15, 60, 300])) * MINUTE_MS,
            project=draw(st.sampled_from([0, 1, 1, 2])),
            held=draw(st.sampled_from([0] * 9 + [1])),
            blocked=draw(st.sampled_from([0] * 9 + [1])),
            eligible_ms=draw(st.sampled_from([0, 0, 0, cluster.now_ms + MINUTE_MS, cluster.now_ms - 1])),
            is_array=int(elements > 0),
            array_left=elements or 1,
            array_room=draw(st.sampled_from([NO_CAP, 1, 0])) if elements else NO_CAP,
        )
        if elements and draw(st.booleans()):
            cluster.touched[job.id] = (1,)


def _add_projects(draw: st.DrawFn, cluster: Cluster) -> None:
    """Two projects; in half of the clusters with quotas and maxima, in half with a past."""
    has_bounds, has_past = draw(st.sampled_from([(False, False), (True, False), (False, True), (True, True)]))
    cpus, gpus = st.sampled_from([-1, 0, 1000, 4000]), st.sampled_from([-1, 0, 1000, 3000])
    for name in ("red", "blue"):
        cluster.project(name, weight_milli=draw(st.sampled_from([1000, 1000, 2500])))
        if has_bounds:
            quota = Bundle(draw(cpus), draw(st.sampled_from([-1, 4 * GIB])), draw(gpus))
            maximum = Bundle(draw(st.sampled_from([-1, -1, 6000])), -1, draw(st.sampled_from([-1, -1, 4000])))
            cluster.project(name, quota=quota, maximum=maximum, borrow=draw(st.booleans()))
        if has_past:
            cluster.used(name, "ann", Bundle(draw(st.sampled_from([0, 500, 3000])), 0, draw(st.sampled_from([0, 1500]))))


@st.composite
def clusters(draw: st.DrawFn, max_nodes: int = 4, max_jobs: int = 8) -> Cluster:
    """Nodes, queues and waiting jobs; nothing runs yet."""
    depth, guard_ms = draw(st.sampled_from([10_000, 10_000, 10_000, 1])), draw(st.sampled_from([0, 0, 0, 20])) * MINUTE_MS
    cluster = Cluster(settings=PlanSettings(backfill_depth=depth, guard_ms=guard_ms))
    for name in QUEUES:
        cluster.queue(
            name,
            paused=draw(st.sampled_from([False] * 8 + [True])),
            bonus=draw(st.sampled_from([0, 0, 300])),
            max_limit_ms=draw(st.sampled_from([0, 0, 0, 10])) * MINUTE_MS,
        )
    _add_projects(draw, cluster)
    _add_nodes(draw, cluster, draw(st.integers(1, max_nodes)))
    _add_jobs(draw, cluster, draw(st.integers(1, max_jobs)))
    return cluster


@st.composite
def snapshots(draw: st.DrawFn, policy: StagedPolicy, max_nodes: int = 4, max_jobs: int = 8) -> Snapshot:
    """A cluster in which earlier jobs were started by the policy itself and others have come since."""
    cluster = draw(clusters(max_nodes, max_jobs))
    snapshot = cluster.snapshot()
    snapshot, _ = committed(snapshot, policy.plan(snapshot))
    snapshot = _perturbed(draw, snapshot)
    for job in snapshot.pending.jobs():
        cluster.pending[job.id] = job
    _add_jobs(draw, cluster, draw(st.integers(0, max_jobs)))
    running = {job.id for job in snapshot.running}
    arrays = {job.array_id for job in snapshot.running}
    waiting = {job.id: job for job in snapshot.pending.jobs()}
    fresh = {i: job for i, job in cluster.pending.items() if i not in running and (i in waiting or i not in arrays)}
    merged = replace(cluster.snapshot(), running=snapshot.running, now_ms=snapshot.now_ms)
    return replace(merged, pending=merged.pending.changed({}, [i for i in cluster.pending if i not in fresh]))


def lowered(job: RunningJob) -> RunningJob:
    """The same job, left with half of its cpus and memory."""
    held = [
        replace(
            one, amounts=replace(one.amounts, cpu_milli=-(-one.amounts.cpu_milli // 2), memory_bytes=-(-one.amounts.memory_bytes // 2))
        )
        for one in job.allocations
    ]
    return replace(job, allocations=tuple(held), cpu_milli=max((one.amounts.cpu_milli for one in held), default=0))


def _perturbed(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    """Some time later: some jobs are being stopped, some have ended, some are overdue, some were left less than they asked for."""
    running = []
    for job in snapshot.running:
        fate = draw(st.sampled_from(["runs", "runs", "lowered", "stops", "gone"]))
        if fate != "gone":
            running.append(replace(lowered(job) if fate == "lowered" else job, stopping=int(fate == "stops")))
    later = draw(st.sampled_from([0, 1, 3, 30])) * MINUTE_MS
    return replace(snapshot, running=tuple(running), now_ms=snapshot.now_ms + later)


@st.composite
def changes_after(draw: st.DrawFn, snapshot: Snapshot) -> Changes:
    """Something that happens next: ends, new jobs, other priorities, a queue or node that changes."""
    ids = [job.id for job in snapshot.running]
    gone = tuple(sorted(draw(st.sets(st.sampled_from(ids))))) if ids else ()
    later = snapshot.now_ms + draw(st.sampled_from([0, 1, MINUTE_MS, 2 * MINUTE_MS]))
    waiting = list(snapshot.pending.jobs())
    changed = {}
    removed: tuple[int, ...] = ()
    if waiting:
        picked = draw(st.lists(st.sampled_from(waiting), unique=True, max_size=3))
        for job in picked:
            changed[job.id] = replace(job, priority=draw(st.sampled_from([1, 9])), held=draw(st.sampled_from([0, 1])))
        removed = tuple(sorted(draw(st.sets(st.sampled_from([job.id for job in waiting]), max_size=2))))
        copied = draw(st.sampled_from(waiting))
        new_id = max(job.id for job in waiting) + 500
        changed[new_id] = replace(copied, id=new_id, submitted_ms=later)
    queues = snapshot.queues
    if draw(st.sampled_from([False, False, True])):
        queues = tuple(replace(queue, paused=not queue.paused) for queue in queues)
    nodes = snapshot.nodes
    if draw(st.sampled_from([False, False, True])):
        nodes = tuple(replace(node, status=NodeStatus.UP) for node in nodes)
    return replace(
        ended(snapshot, gone, later),
        pending={job_id: job for job_id, job in changed.items() if job_id not in removed},
        pending_removed=removed,
        queues=draw(st.sampled_from([None, queues])),
        nodes=draw(st.sampled_from([None, nodes])),
    )
