"""The rows a commit would lock, derived from a snapshot: what `tenure.core.verify` is given in tests without a store."""

from __future__ import annotations

from collections import Counter

from tenure.core.ledger import held_by
from tenure.core.set_aside import ends_of
from tenure.model.amounts import Amounts
from tenure.model.job import limit_until
from tenure.model.lifecycle import JobState
from tenure.model.plan import Decision, LockedDevice, LockedHolder, LockedJob, LockedNode, LockedProject, LockedRows
from tenure.model.project import NO_BOUNDS, Bundle
from tenure.model.snapshot import Snapshot

NOTHING = Decision()
"""A decision that evicts nobody."""


def locked_rows(snapshot: Snapshot, decision: Decision = NOTHING) -> LockedRows:
    """All nodes, devices and waiting jobs of a snapshot as locked rows; of the jobs that leave, those that the decision evicts too."""
    evicted = {evict.job_id for evict in decision.evicts}
    apps: dict[int, Counter[str]] = {node.id: Counter() for node in snapshot.nodes}
    used = {node.id: Amounts() for node in snapshot.nodes}
    device_used: dict[int, tuple[int, int]] = {}
    for app, held in ((snapshot.shapes[job.shape].app, held) for job in snapshot.running for held in job.allocations):
        apps[held.node_id][app] += 1
        used[held.node_id] += held.amounts
        for share in held.devices:
            milli, memory = device_used.get(share.device_id, (0, 0))
            device_used[share.device_id] = (milli + share.milli, memory + share.memory_bytes)
    return LockedRows(
        nodes={
            node.id: LockedNode(node.id, node.status, node.capacity, used[node.id], node.labels, tuple(apps[node.id].items()))
            for node in snapshot.nodes
        },
        devices={
            device.id: LockedDevice(
                device.id,
                device.node_id,
                device.status,
                device.model,
                device.capacity_milli,
                device.memory_bytes,
                *device_used.get(device.id, (0, 0)),
                device.capability,
            )
            for node in snapshot.nodes
            for device in node.devices
        },
        jobs=dict(_jobs(snapshot)),
        leaving=tuple(held for job in snapshot.running if job.stopping or job.id in evicted for held in job.allocations),
        claims=snapshot.claims,
        projects={
            project.id: LockedProject(project, _held(snapshot, project.id))
            for project in snapshot.projects
            if project.most != NO_BOUNDS
        },
        now_ms=snapshot.now_ms,
        windows=tuple(window for window in snapshot.reservations if window.until_ms > snapshot.now_ms),
        holders=tuple(
            LockedHolder(held.node_id, ends_of(job), held.amounts, job.project, job.user)
            for job in snapshot.running
            for held in job.allocations
        ),
    )


def _held(snapshot: Snapshot, project: int) -> Bundle:
    """What the jobs of a project hold."""
    held = Bundle()
    for job in (job for job in snapshot.running if job.project == project):
        held = held.plus(held_by(job))
    return held


def _jobs(snapshot: Snapshot) -> list[tuple[int, LockedJob]]:
    return [
        (
            job.id,
            LockedJob(
                job.id,
                JobState.HELD if job.held else JobState.PENDING,
                job.shape,
                ready=not (job.held or job.blocked) and job.eligible_ms <= snapshot.now_ms,
                is_array=bool(job.is_array),
                array_left=job.array_left,
                array_room=job.array_room,
                project=job.project,
                limit_ms=limit_until(job.deadline_ms, job.limit_ms, snapshot.now_ms) if job.deadline_ms else job.limit_ms,
                user=job.user,
            ),
        )
        for job in snapshot.pending.jobs()
    ]
