"""What becomes of a snapshot when a plan is committed, or when time passes: the store's part, over plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tenure.core.ledger import Ledger, held_by
from tenure.model.allocation import Allocation, Claim, Eviction
from tenure.model.job import JobTable, PendingJob, RunningJob, limit_until
from tenure.model.plan import Plan, Start
from tenure.model.project import Usage
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot

ELEMENT_IDS = 1_000_000
"""Elements of arrays become jobs with ids from here on: above those of any test's own jobs."""


def committed(snapshot: Snapshot, plan: Plan) -> tuple[Snapshot, Changes]:
    """The snapshot after the plan was committed at its own time, and the difference. Successors do not wait, and hold nothing yet."""
    rows = {job.id: job for job in snapshot.pending.jobs()}
    running: dict[int, RunningJob] = {}
    changed: dict[int, PendingJob] = {}
    removed: list[int] = []
    next_id = max([ELEMENT_IDS, *rows, *(job.id for job in snapshot.running)]) + 1
    for start in (start for decision in plan.decisions for start in decision.starts):
        job = rows[start.job_id]
        job_id = next_id if job.is_array else job.id
        next_id += job.is_array
        running[job_id] = run_of(snapshot.shapes, job, job_id, start, snapshot.now_ms)
        taken = (start.position, *start.successors)
        if job.is_array and job.array_left > len(taken):
            count = len(taken)
            rest = replace(job, array_next=taken[-1] + 1, array_left=job.array_left - count, array_room=job.array_room - count)
            rows[job.id] = changed[job.id] = rest
        else:
            changed.pop(job.id, None)
            removed.append(job.id)
    changes = Changes(
        since=snapshot.revision,
        revision=snapshot.revision + 1,
        now_ms=snapshot.now_ms,
        pending=changed,
        pending_removed=tuple(removed),
        running=running | _stopped(snapshot, plan),
        claims=_claims(snapshot, plan),
        evictions=_evictions(snapshot, plan),
        usage=_settled(snapshot, running.values(), snapshot.now_ms),
    )
    return applied(snapshot, changes), changes


def _stopped(snapshot: Snapshot, plan: Plan) -> dict[int, RunningJob]:
    """The jobs that the plan evicts: they hold what they hold until they have ended."""
    rows = {job.id: job for job in snapshot.running}
    return {evict.job_id: replace(rows[evict.job_id], stopping=1) for decision in plan.decisions for evict in decision.evicts}


def _claims(snapshot: Snapshot, plan: Plan) -> tuple[Claim, ...]:
    """The promises that stand afterwards: those that were not kept, and the new ones."""
    rows = {job.id: job for job in snapshot.pending.jobs()}
    kept = {start.claim for decision in plan.decisions for start in decision.starts}
    found = [claim for claim in snapshot.claims if claim.id not in kept]
    for decision in plan.decisions:
        victims = tuple(evict.job_id for evict in decision.evicts)
        for made in decision.claims:
            number = 1 + max([0, *(claim.id for claim in (*snapshot.claims, *found))])
            amounts = snapshot.shapes[rows[made.job_id].shape].amounts
            found.append(Claim(number, made.job_id, made.placements, amounts, made.deadline_ms, victims))
    return tuple(found)


def _evictions(snapshot: Snapshot, plan: Plan) -> tuple[Eviction, ...]:
    new = [Eviction(snapshot.now_ms, evict.job_id, evict.beneficiary) for decision in plan.decisions for evict in decision.evicts]
    return tuple(sorted((*snapshot.evictions, *new)))


def run_of(shapes: Mapping[int, Shape], job: PendingJob, job_id: int, start: Start, now_ms: int) -> RunningJob:
    """A start that was committed at that time; ``job_id`` is the job's own, or that of the array's element."""
    amounts = shapes[job.shape].amounts
    limit_ms = limit_until(job.deadline_ms, job.limit_ms, now_ms) if job.deadline_ms else job.limit_ms
    allocations = tuple(
        Allocation(job_id * 1000 + place.task, job_id, job_id, place.task, place.node_id, amounts, place.devices)
        for place in start.placements
    )
    return RunningJob(
        id=job_id,
        attempt_id=job_id,
        shape=job.shape,
        queue=job.queue,
        project=job.project,
        user=job.user,
        priority=job.priority,
        started_ms=now_ms,
        ends_by_ms=now_ms + limit_ms if limit_ms else 0,
        allocations=allocations,
        array_id=job.id if job.is_array else 0,
        attained_ms=job.attained_ms,
    )


def applied(snapshot: Snapshot, changes: Changes) -> Snapshot:
    """The snapshot at the changes' revision."""
    over = frozenset(changes.running_removed)
    running = {job.id: job for job in snapshot.running if job.id not in over} | dict(changes.running)
    touched = {array_id: positions for array_id, positions in {**snapshot.touched, **changes.touched}.items() if positions}
    return replace(
        snapshot,
        revision=changes.revision,
        now_ms=changes.now_ms,
        nodes=snapshot.nodes if changes.nodes is None else changes.nodes,
        shapes={**snapshot.shapes, **changes.shapes},
        pending=JobTable.of({**{job.id: job for job in _kept(snapshot, changes)}, **changes.pending}.values()),
        running=tuple(running[job_id] for job_id in sorted(running)),
        claims=snapshot.claims if changes.claims is None else changes.claims,
        evictions=snapshot.evictions if changes.evictions is None else changes.evictions,
        queues=snapshot.queues if changes.queues is None else changes.queues,
        usage=_with_usage(snapshot, changes),
        touched={array_id: positions for array_id, positions in touched.items() if array_id not in changes.pending_removed},
    )


def _kept(snapshot: Snapshot, changes: Changes) -> list[PendingJob]:
    gone = frozenset(changes.pending_removed)
    return [job for job in snapshot.pending.jobs() if job.id not in gone]


def ended(snapshot: Snapshot, job_ids: tuple[int, ...], now_ms: int) -> Changes:
    """The difference when these running jobs have ended and released all they held."""
    gone = [job for job in snapshot.running if job.id in job_ids]
    usage = _settled(snapshot, gone, now_ms)
    return Changes(since=snapshot.revision, revision=snapshot.revision + 1, now_ms=now_ms, running_removed=job_ids, usage=usage)


def _settled(snapshot: Snapshot, jobs: Iterable[RunningJob], now_ms: int) -> tuple[Usage, ...]:
    """The accounts of these jobs carried forward to now."""
    ledger = Ledger(snapshot.settings.half_life_ms)
    for usage in snapshot.usage:
        ledger.know(usage)
    for job in snapshot.running:
        ledger.hold((job.project, job.user), held_by(job))
    return tuple(ledger.settle(account, now_ms) for account in sorted({(job.project, job.user) for job in jobs}))


def _with_usage(snapshot: Snapshot, changes: Changes) -> tuple[Usage, ...]:
    rows = {(row.project, row.user): row for row in (*snapshot.usage, *changes.usage)}
    return tuple(rows[account] for account in sorted(rows))
