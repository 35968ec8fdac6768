"""What both naive planners ask of a snapshot: who may start, and what is held until when, each answered by going through all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenure.core.rooms import FOREVER
from tenure.model.allocation import DeviceShare
from tenure.model.job import PendingJob
from tenure.model.snapshot import Snapshot


@dataclass(slots=True)
class Use:
    """Something held on a node from some time to another; promised beside at most ``most`` tasks of the app in all (0: any number)."""

    node_id: int
    end_ms: int
    need: tuple[int, int, int, int]
    devices: tuple[DeviceShare, ...]
    app: str = ""
    start_ms: int = 0
    most: int = 0


def uses_of(snapshot: Snapshot) -> Iterator[Use]:
    """All that is held."""
    for job in snapshot.running:
        ends_ms = job.started_ms if job.stopping else job.ends_by_ms or FOREVER
        for held in job.allocations:
            yield Use(held.node_id, ends_ms, held.amounts.as_tuple(), held.devices, snapshot.shapes[job.shape].app)


def may_start(snapshot: Snapshot, job: PendingJob) -> bool:
    """Whether nothing but time and room keeps it."""
    paused = any(queue.paused for queue in snapshot.queues if queue.id == job.queue)
    return not job.held and not job.blocked and not paused and job.array_left > 0 and job.array_room > 0


def is_ready(snapshot: Snapshot, job: PendingJob) -> bool:
    """Whether nothing but room keeps it."""
    return may_start(snapshot, job) and job.eligible_ms <= snapshot.now_ms


def is_guarded(snapshot: Snapshot, job: PendingJob) -> bool:
    """Whether it has waited so long that it goes before all others."""
    return 0 < snapshot.settings.guard_ms < snapshot.now_ms - job.submitted_ms


def positions(snapshot: Snapshot, job: PendingJob) -> Iterator[int]:
    """The elements of an array that may start; -1 for a plain job."""
    if not job.is_array:
        yield -1
        return
    position = job.array_next
    for _ in range(min(job.array_left, job.array_room)):
        while position in snapshot.touched.get(job.id, ()):
            position += 1
        yield position
        position += 1
