"""Reading everything a plan may depend on: whole, or only what events since a revision name.

Both use the same functions for jobs that wait, for what holds resources and for claims, so they cannot disagree (a property test
advances a board by changes and rebuilds it from a snapshot).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import select

from tenure.model.allocation import Allocation, Claim, DeviceShare, Eviction, Placement
from tenure.model.amounts import Amounts
from tenure.model.commands import LEASE
from tenure.model.guidance import ClassGuidance
from tenure.model.job import NO_CAP, NO_TURNS, RESTS, PendingJob, RunningJob
from tenure.model.lifecycle import AllocationState
from tenure.model.settings import PlanSettings
from tenure.model.snapshot import Changes, Snapshot
from tenure.model.window import TimeWindow
from tenure.store import arrays
from tenure.store.accounts import read_projects, read_usage
from tenure.store.guided import as_guided
from tenure.store.intern import Names
from tenure.store.nodes import read_nodes
from tenure.store.pending import TOUCHED_ARRAYS, read_pending
from tenure.store.plan_schema import claim
from tenure.store.rows import JobRow, pending_of, read_jobs, waiting_elements
from tenure.store.schema import allocation, allocation_device, attempt, event, job
from tenure.store.settings import StoreSettings
from tenure.store.sql import InList, Link, Rows, Statement, const, param
from tenure.store.tx import READ_REVISION, Touch

_HELD_COLUMNS = (
    allocation.c.attempt_id,
    allocation.c.task,
    allocation.c.id,
    allocation.c.node_id,
    allocation.c.cpu_milli,
    allocation.c.memory_bytes,
    allocation.c.storage_bytes,
    allocation.c.bandwidth_bps,
    allocation.c.state,
    allocation.c.devices,
    attempt.c.started_ms,
    attempt.c.committed_ms,
    attempt.c.limit_ms,
    attempt.c.stop_reason,
    attempt.c.ended_ms,
    job.c.id,
    job.c.shape_id,
    job.c.queue_id,
    job.c.project_id,
    job.c.user_id,
    job.c.priority,
    job.c.array_id,
    job.c.grace_ms,
    job.c.ran_ms,
    job.c.state,
    allocation.c.room,
    attempt.c.rest,
    attempt.c.slice_ms,
    attempt.c.stood_ms,
    job.c.kind,
    attempt.c.checkpoint_ms,
    attempt.c.resize_cpu_milli,
    attempt.c.resize_due,
)


def _held() -> Any:
    return (
        select(*_HELD_COLUMNS)
        .select_from(allocation.join(attempt, attempt.c.id == allocation.c.attempt_id).join(job, job.c.id == attempt.c.job_id))
        .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    )


HELD_ALL = Statement(_held().order_by(allocation.c.attempt_id, allocation.c.task))
HELD_BY_ATTEMPT = InList(lambda keys: _held().where(attempt.c.id.in_(keys)).order_by(attempt.c.id, allocation.c.task))
_SHARES = (
    allocation_device.c.attempt_id,
    allocation_device.c.task,
    allocation_device.c.device_id,
    allocation_device.c.milli,
    allocation_device.c.memory_bytes,
)
SHARES_ALL = Statement(
    select(*_SHARES)
    .where(allocation_device.c.released_at_ms.is_(None))
    .order_by(allocation_device.c.attempt_id, allocation_device.c.task, allocation_device.c.device_id)
)
SHARES_BY_ATTEMPT = InList(
    lambda keys: (
        select(*_SHARES)
        .where(allocation_device.c.released_at_ms.is_(None), allocation_device.c.attempt_id.in_(keys))
        .order_by(allocation_device.c.attempt_id, allocation_device.c.task, allocation_device.c.device_id)
    )
)
HELD_ON = InList(lambda keys: _held().where(allocation.c.node_id.in_(keys)).order_by(allocation.c.attempt_id, allocation.c.task))
CLAIMS = Statement(
    select(claim.c.id, claim.c.job_id, claim.c.placements, claim.c.deadline_ms, claim.c.victims, job.c.shape_id)
    .join(job, job.c.id == claim.c.job_id)
    .where(claim.c.deadline_ms > param("now"), job.c.attempt_id == const(0), job.c.ended_ms.is_(None))
    .order_by(claim.c.id),
    "now",
)
MADE = Statement(
    select(claim.c.made_ms, claim.c.job_id, claim.c.victims).where(claim.c.made_ms > param("since")).order_by(claim.c.id), "since"
)
TOUCHED_SINCE = Statement(select(event.c.job_id, event.c.kind).where(event.c.cursor > param("since")).order_by(event.c.cursor), "since")


_MOVING = {
    "job.starting",
    "job.requeued",
    "job.ended",
    "job.task",
    "job.released",
    "job.rests",
    "job.resumed",
    "job.resizing",
    "job.resized",
}
"""The events that may come with a change of what somebody holds."""

_RESERVING = {"reservation.made", "reservation.removed"}
GUIDING = {"guidance.made", "guidance.ended"}
"""After these any waiting job may count for more or less: the rows of all of them are read afresh."""


def read_snapshot(link: Link, names: Names, settings: StoreSettings, now_ms: int) -> Snapshot:
    """Everything a plan may depend on; the caller keeps the read consistent."""
    revision, _ = link.row(READ_REVISION) or (0, 0)
    held = _running(link.rows(HELD_ALL), link.rows(SHARES_ALL))
    return Snapshot(
        revision=revision,
        now_ms=now_ms,
        seed=settings.seed,
        nodes=read_nodes(link),
        shapes=names.all_shapes(link),
        pending=read_pending(link, names.guidance(link)),
        running=tuple(held[number] for number in sorted(held)),
        claims=read_claims(link, names, now_ms),
        evictions=_evictions(link, names.plan(link, settings.plan), now_ms),
        queues=tuple(names.queues(link).values()),
        projects=read_projects(link, settings),
        usage=read_usage(link),
        settings=names.plan(link, settings.plan),
        strategy=names.strategy(link),
        reservations=_windows(link, names, now_ms),
        touched={number: arrays.touched_from(link, number, following) for number, following in sorted(link.rows(TOUCHED_ARRAYS))},
    )


def read_touches(link: Link, since: int) -> list[Touch]:
    """The events after ``since`` from their table."""
    return [(kind, job_id, None, False) for job_id, kind in link.rows(TOUCHED_SINCE, since)]


def read_changes(
    link: Link, names: Names, settings: StoreSettings, touches: Iterable[Touch], since: int, revision: int, now_ms: int
) -> Changes:
    """The rows that the events between two revisions name, read afresh."""
    kinds: set[str] = set()
    last: dict[int, bool] = {}
    for kind, job_id, array_id, is_gone in touches:
        kinds.add(kind)
        if job_id:
            last[job_id] = is_gone
        if array_id:
            last[array_id] = False
    gone = [number for number, is_gone in last.items() if is_gone]
    rows = read_jobs(link, sorted(last.keys() - gone))
    templates = {row.id: row for row in rows.values() if row.is_array}
    templates.update(read_jobs(link, sorted({row.array_id for row in rows.values() if row.array_id} - templates.keys())))
    rows.update(templates)
    for template in templates.values():
        if template.array_cap < NO_CAP:  # what one element takes or gives, the waiting ones see as their room
            rows.update((row.id, row) for row in waiting_elements(link, template.id))
    waiting = [row for row in rows.values() if row.waits]
    attempts = sorted(row.attempt_id for row in rows.values() if row.attempt_id)
    shared = link.rows_in(SHARES_BY_ATTEMPT, attempts) if _uses_devices(names, link, rows, attempts) else []
    running = _running(link.rows_in(HELD_BY_ATTEMPT, attempts), shared)
    return Changes(
        since,
        revision,
        now_ms,
        pending={row.id: _pending(row, templates, names.guidance(link)) for row in waiting},
        pending_removed=tuple(sorted((*gone, *(number for number, row in rows.items() if not row.waits)))),
        running=running,
        running_removed=tuple(sorted((*gone, *(rows.keys() - running.keys())))),
        nodes=read_nodes(link) if "node.changed" in kinds else None,
        queues=tuple(names.queues(link).values()) if "queue.changed" in kinds else None,
        claims=read_claims(link, names, now_ms) if "claim.changed" in kinds else None,
        evictions=_evictions(link, names.plan(link, settings.plan), now_ms) if "claim.changed" in kinds else None,
        usage=read_usage(link, since) if kinds & _MOVING else (),
        shapes={row.shape_id: names.shape(link, row.shape_id) for row in waiting},
        touched=arrays.touched_of(link, (row for row in waiting if row.is_array)),
        settings=names.plan(link, settings.plan) if "policy.changed" in kinds else None,
        reservations=_windows(link, names, now_ms) if kinds & _RESERVING else None,
        strategy=names.strategy(link) if "policy.changed" in kinds or "strategy.changed" in kinds else None,
    )


def _windows(link: Link, names: Names, now_ms: int) -> tuple[TimeWindow, ...]:
    return tuple(row.window for row in names.reservations(link) if row.until_ms > now_ms)


def _uses_devices(names: Names, link: Link, rows: dict[int, JobRow], attempts: Sequence[int]) -> bool:
    return bool(attempts) and any(names.shape(link, row.shape_id).gpu_milli for row in rows.values() if row.attempt_id)


def _pending(row: JobRow, templates: dict[int, JobRow], standing: Sequence[ClassGuidance]) -> PendingJob:
    found = pending_of(row, templates[row.array_id] if row.array_id else None)
    return replace(found, priority=as_guided(found, row.name, standing)) if standing else found


def _running(held: Rows, shares: Rows) -> dict[int, RunningJob]:
    """Allocations that are not released, as jobs by id."""
    devices: dict[tuple[int, int], list[DeviceShare]] = {}
    for attempt_id, task, device_id, milli, memory in shares:
        devices.setdefault((attempt_id, task), []).append(DeviceShare(device_id, milli, memory))
    grouped: dict[int, tuple[tuple[Any, ...], list[Allocation]]] = {}
    for row in held:
        attempt_id, task, number, node_id, cpu, memory, storage, bandwidth, state, _ = row[:10]
        parts = tuple(devices.get((attempt_id, task), ())) if devices else ()
        item = Allocation(
            number, attempt_id, row[15], task, node_id, Amounts(cpu, memory, storage, bandwidth), parts, AllocationState(state)
        )
        if attempt_id in grouped:
            grouped[attempt_id][1].append(item)
        else:
            grouped[attempt_id] = (row, [item])
    return {row[15]: _running_job(row, tuple(items)) for row, items in grouped.values()}


def _running_job(row: tuple[Any, ...], allocations: tuple[Allocation, ...]) -> RunningJob:
    attempt_id, started, committed, limit, stop, ended = row[0], *row[10:15]
    start = committed if started is None else started
    number, shape, queue, project, user, priority, array_id, grace_ms, ran_ms, state, room = row[15:26]
    rest, slice_ms, stood_ms, kind, saved_ms, cpu_milli, resize_due = row[26:]
    start += stood_ms  # as if it had begun later by as long as it has rested
    takes_turns = state in ("starting", "running") and room is None and kind != LEASE  # nobody can let its holder rest
    return RunningJob(
        number,
        attempt_id,
        shape,
        queue,
        project,
        user,
        priority,
        start,
        start + limit if limit and rest != RESTS else 0,
        allocations,
        array_id or 0,
        stopping=1 if stop or ended is not None else 0,
        grace_ms=grace_ms,
        attained_ms=ran_ms,
        rest=rest,
        slice_ms=(slice_ms or (NO_TURNS if rest else start)) if rest or takes_turns else NO_TURNS,
        checkpoint_ms=saved_ms,
        cpu_milli=0 if resize_due else cpu_milli,  # until that is confirmed its tasks may use what they asked for
    )


def read_claims(link: Link, names: Names, now_ms: int) -> tuple[Claim, ...]:
    """The promises to jobs that wait, by id."""
    found = []
    for number, job_id, text, deadline_ms, victims, shape_id in link.rows(CLAIMS, now_ms):
        placements = tuple(msgspec.json.decode(text, type=list[Placement]))
        left = tuple(msgspec.json.decode(victims, type=list[int]))
        found.append(Claim(number, job_id, placements, names.shape(link, shape_id).amounts, deadline_ms, left))
    return tuple(found)


def _evictions(link: Link, planned: PlanSettings, now_ms: int) -> tuple[Eviction, ...]:
    """Who was displaced of late: a claim names its victims, and is kept for as long as they count."""
    found = [
        Eviction(made_ms, victim, job_id)
        for made_ms, job_id, victims in link.rows(MADE, now_ms - planned.evictions_count_ms)
        for victim in msgspec.json.decode(victims, type=list[int])
    ]
    return tuple(sorted(found))


def read_holders(link: Link, node_ids: Sequence[int], attempts: Sequence[int]) -> dict[int, RunningJob]:
    """The jobs that hold something on these nodes, and those of these attempts, by id; of each all that was read."""
    held = {(row[0], row[1]): row for row in (*link.rows_in(HELD_ON, node_ids), *link.rows_in(HELD_BY_ATTEMPT, attempts))}
    rows = [held[key] for key in sorted(held)]
    return _running(rows, link.rows_in(SHARES_BY_ATTEMPT, sorted({row[0] for row in rows})))
