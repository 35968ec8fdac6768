"""The orders in plain words, one job at a time: what `tenure.testing.naive` sorts by."""

from __future__ import annotations

import math
from collections.abc import Callable

from tenure.model.job import PendingJob
from tenure.model.snapshot import Snapshot
from tenure.policies.points import level_points
from tenure.testing.naive_shares import left_of_quota

FOREVER_MS = 2**61
DAY_S = 86_400.0


def score_of(order: str, job: PendingJob, snapshot: Snapshot) -> float:
    """The score of a job in the order of that name. Raises KeyError for an order that is not known here."""
    return _SCORES[order](job, snapshot)


def _age_ms(job: PendingJob, snapshot: Snapshot) -> int:
    return max(snapshot.now_ms - job.submitted_ms, 0)


def _seconds(job: PendingJob) -> float:
    return max(job.limit_ms / 1000.0, 1.0) if job.limit_ms else DAY_S


def _processors(job: PendingJob, snapshot: Snapshot) -> float:
    shape = snapshot.shapes[job.shape]
    return max(shape.amounts.cpu_milli * shape.tasks, shape.gpu_milli * shape.tasks * 16, 1) / 1000.0


def _points(job: PendingJob, snapshot: Snapshot) -> float:
    settings, shape = snapshot.settings, snapshot.shapes[job.shape]
    bonus = sum(queue.bonus for queue in snapshot.queues if queue.id == job.queue)
    points = (level_points(job.priority, settings) + bonus) * 1000 - shape.gpu_milli * shape.tasks * settings.gpu_penalty
    waited_ms = min(_age_ms(job, snapshot), settings.wait_full_ms)
    points += settings.quota_bonus * left_of_quota(job, snapshot)
    return points + waited_ms * settings.wait_bonus * 1000 // max(settings.wait_full_ms, 1)


def _wfp3(job: PendingJob, snapshot: Snapshot) -> float:
    slowdown = _age_ms(job, snapshot) / 1000.0 / _seconds(job)
    return slowdown * slowdown * slowdown * _processors(job, snapshot)


def _unicep(job: PendingJob, snapshot: Snapshot) -> float:
    return _age_ms(job, snapshot) / 1000.0 / (math.log2(max(_processors(job, snapshot), 2.0)) * _seconds(job))


def _f1(job: PendingJob, snapshot: Snapshot) -> float:
    return -(math.log10(_seconds(job)) * _processors(job, snapshot) + 870.0 * math.log10(max(job.submitted_ms // 1000, 1)))


def _share(job: PendingJob, snapshot: Snapshot) -> int:
    shape = snapshot.shapes[job.shape]
    cpus = sum(node.capacity.cpu_milli for node in snapshot.nodes)
    gpus = sum(1000 for node in snapshot.nodes for _ in node.devices)
    return max(shape.amounts.cpu_milli * shape.tasks * 10**6 // max(cpus, 1), shape.gpu_milli * shape.tasks * 10**6 // max(gpus, 1))


def _backlog_ms(snapshot: Snapshot) -> int:
    paused = {queue.id for queue in snapshot.queues if queue.paused}
    promised = {claim.job_id for claim in snapshot.claims}
    found = 0
    for job in snapshot.pending.jobs():
        stopped = job.held or job.blocked or job.queue in paused or job.id in promised or job.eligible_ms > snapshot.now_ms
        if not stopped and job.array_left > 0 and job.array_room > 0:
            share, length_ms = min(_share(job, snapshot), 10**6), min(job.expected_ms or job.limit_ms, 2**40)
            found += share * length_ms // 10**6 * job.array_left
    return found


def _patience(job: PendingJob, snapshot: Snapshot) -> float:
    weight, share, base_ms = 2.0 ** (5 - job.priority), _share(job, snapshot), snapshot.settings.patience_ms
    overload = _backlog_ms(snapshot) / (2 * base_ms) if base_ms else 0
    over = max(overload, 1)
    patience_ms = math.floor(base_ms * over * over * over * (1.0 - math.sqrt(min(share / 10**6, 1.0))) * weight)
    if base_ms and _age_ms(job, snapshot) > patience_ms:
        return 2.0**52 - job.submitted_ms - patience_ms
    return -weight * (job.expected_ms or job.limit_ms or 2**40) * (max(share, 1) if overload > 1 else 1)


def _least_attained(job: PendingJob, snapshot: Snapshot) -> float:
    shape, limit = snapshot.shapes[job.shape], snapshot.settings.las_queue_ms
    service = job.attained_ms * (shape.gpu_milli or shape.amounts.cpu_milli) * shape.tasks // 1000
    return -(int(service >= limit) + int(service >= 10 * limit)) if job.attained_ms else 0


_SCORES: dict[str, Callable[[PendingJob, Snapshot], float]] = {
    "fair": lambda _job, _snapshot: 0,
    "fifo": lambda _job, _snapshot: 0,
    "least_attained": _least_attained,
    "patience": _patience,
    "points": _points,
    "shortest": lambda job, _snapshot: -(job.limit_ms or FOREVER_MS),
    "shortest_predicted": lambda job, _snapshot: -(job.expected_ms or job.limit_ms or FOREVER_MS),
    "smallest_area": lambda job, snapshot: -_processors(job, snapshot) * (job.limit_ms or FOREVER_MS),
    "largest": _processors,
    "response_ratio": lambda job, snapshot: (_age_ms(job, snapshot) / 1000.0 + _seconds(job)) / _seconds(job),
    "wfp3": _wfp3,
    "unicep": _unicep,
    "f1": _f1,
    "earliest_deadline": lambda job, _snapshot: -(job.deadline_ms or FOREVER_MS),
}
