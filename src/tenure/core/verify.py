"""The one check between a decision and its commit, over rows that the commit has locked.

It judges with the functions of `tenure.core.feasibility` that the planner used, on the truth instead of on a snapshot. A decision is
taken whole or rejected whole. Invariant: what it accepts can be written without over-committing any amount of any node or any device,
without a project exceeding what it may hold, and without anything running into what is set aside for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tenure.core import resizing
from tenure.core.feasibility import Ask, DeviceRoom, NodeRoom, ask_of, device_fits, give, is_allowed, places_left, take
from tenure.core.ledger import asked_by
from tenure.core.placement import is_dealt_evenly
from tenure.core.quotas import Quotas
from tenure.core.set_aside import entered, holders_of
from tenure.core.successors import can_be_taken_over
from tenure.model.allocation import DeviceShare, Placement
from tenure.model.lifecycle import DeviceStatus, JobState, NodeStatus
from tenure.model.plan import ClaimRequest, Decision, LockedDevice, LockedJob, LockedNode, LockedRows, Rejection, Resize, Resume, Start
from tenure.model.project import Bundle
from tenure.model.shape import Shape


def verify(decision: Decision, locked: LockedRows, shapes: Mapping[int, Shape]) -> Rejection | None:
    """None when the decision may be committed as it stands, else the first cause against it. ``locked`` must hold all it touches."""
    rejection = _check_jobs(decision, locked)
    if rejection is not None:
        return rejection
    now = _rooms(locked)
    # What is promised need not be free yet: it is judged as if all who leave were gone and all promises kept.
    later = _rooms_later(locked) if decision.claims else now
    for start in decision.starts:
        rejection = _check_item(start, shapes, [now, later] if decision.claims else [now], locked)
        if rejection is not None:
            return rejection
        if locked.windows:
            job = locked.jobs[start.job_id]
            more = holders_of(start, job, shapes[job.shape].amounts, locked.now_ms)
            locked = replace(locked, holders=(*locked.holders, *more))
    for claim in decision.claims:
        rejection = _check_item(claim, shapes, [later], locked)
        if rejection is not None:
            return rejection
    resumes = (_check_resume(resume, shapes, now, locked) for resume in decision.resumes)
    return _check_bounds(decision, locked, shapes) or next(filter(None, resumes), None) or _check_resizes(decision, shapes, locked)


def _check_resizes(decision: Decision, shapes: Mapping[int, Shape], locked: LockedRows) -> Rejection | None:
    """Whether attempts may hold other amounts, one after another, beside all that is promised."""
    if not decision.resizes:
        return None
    if decision != Decision(resizes=decision.resizes):
        return Rejection("malformed", decision.resizes[0].job_id, "what runs is resized in a decision of its own")
    rooms = _rooms_later(replace(locked, leaving=()))
    found = (resizing.refused(resize, shapes, rooms, locked) for resize in decision.resizes)
    return next(filter(None, found), None)


def _check_bounds(decision: Decision, locked: LockedRows, shapes: Mapping[int, Shape]) -> Rejection | None:
    """Whether projects may hold what starts and what is promised: nobody leaves for a job that may not start."""
    if not locked.projects:
        return None
    quotas = Quotas(
        {number: row.project for number, row in locked.projects.items()}, {number: row.held for number, row in locked.projects.items()}
    )
    wanted: tuple[Start | ClaimRequest | Resume | Resize, ...] = (
        *decision.starts,
        *decision.claims,
        *decision.resumes,
        *decision.resizes,
    )
    for item in wanted:
        job = locked.jobs[item.job_id]
        bundle = resizing.taken_by(item, locked) if isinstance(item, Resize) else asked_by(ask_of(shapes[job.shape]))
        if isinstance(item, Resume):
            bundle = Bundle(awake_milli(job, shapes))
        bar = quotas.bar(job.project, bundle)
        if bar is not None:
            return Rejection("maximum", item.job_id, f"its project would hold {bar.held + bar.needed} {bar.resource} of {bar.bound}")
        quotas.started(job.project, bundle)
    return None


def _check_resume(resume: Resume, shapes: Mapping[int, Shape], rooms: Mapping[int, NodeRoom], locked: LockedRows) -> Rejection | None:
    """Whether a job rests and all of its cpus are free; takes them."""
    job = locked.jobs.get(resume.job_id)
    held = [one for one in locked.resting if one.attempt_id == resume.attempt_id]
    if job is None or job.state != JobState.SUSPENDED or not held:
        return Rejection("job_changed", resume.job_id, "it does not rest any more")
    cpu_milli = awake_milli(job, shapes)
    for one in held:
        room = rooms.get(one.node_id)
        if room is None or room.free[0] < cpu_milli:
            return Rejection("no_room", one.node_id, "its cpus are no longer free")
        room.free[0] -= cpu_milli
    return None


def awake_milli(job: LockedJob, shapes: Mapping[int, Shape]) -> int:
    """The cpus of each task of a job when it goes on."""
    return job.cpu_milli or shapes[job.shape].amounts.cpu_milli


def _check_item(
    item: Start | ClaimRequest, shapes: Mapping[int, Shape], views: Iterable[Mapping[int, NodeRoom]], locked: LockedRows
) -> Rejection | None:
    shape = shapes.get(locked.jobs[item.job_id].shape)
    if shape is None:
        return Rejection("job_changed", item.job_id, "its shape is not known")
    ask = ask_of(shape)
    if isinstance(item, Start) and item.successors and not can_be_taken_over(ask):
        return Rejection("malformed", item.job_id, "only the room of one task without devices can be taken over")
    found = [_check_placements(item.job_id, ask, item.placements, rooms, locked) for rooms in views]
    if isinstance(item, Start) and locked.windows:
        found.append(_check_windows(item, shape, locked))
    return next(filter(None, found), None)


def _check_windows(start: Start, shape: Shape, locked: LockedRows) -> Rejection | None:
    window = entered(start, locked.jobs[start.job_id], shape.amounts, locked)
    return None if window is None else Rejection("reserved", window.id, "it would run into what is set aside for others")


def _rooms_later(locked: LockedRows) -> dict[int, NodeRoom]:
    rooms = _rooms(locked)
    for held in locked.leaving:
        if held.node_id in rooms:
            give(rooms[held.node_id], held.amounts.as_tuple(), held.devices)
    for claim in locked.claims:
        for place in claim.placements:
            if place.node_id in rooms:
                take(rooms[place.node_id], claim.amounts.as_tuple(), place.devices)
    return rooms


def _check_jobs(decision: Decision, locked: LockedRows) -> Rejection | None:
    positions: dict[int, list[int]] = {}
    for start in decision.starts:
        positions.setdefault(start.job_id, []).extend((start.position, *start.successors))
    for claim in decision.claims:
        waiting = locked.jobs.get(claim.job_id)
        if waiting is None or waiting.state != JobState.PENDING or not waiting.ready:
            return Rejection("job_changed", claim.job_id, "it does not wait any more")
    for job_id, wanted in positions.items():
        job = locked.jobs.get(job_id)
        if job is None:
            return Rejection("job_changed", job_id, "it is gone")
        rejection = _check_job(job, wanted)
        if rejection is not None:
            return rejection
    return None


def _check_job(job: LockedJob, positions: list[int]) -> Rejection | None:
    """Whether a job waits, is ready, and has so many elements (a plain job: one) to start now."""
    if job.state != JobState.PENDING or not job.ready:
        return Rejection("job_changed", job.id, f"it is {job.state.value}" if job.state != JobState.PENDING else "it is not ready")
    if job.is_array:
        if min(positions) < 0 or len(set(positions)) < len(positions):
            return Rejection("malformed", job.id, "each element of an array starts once, by its position")
        if len(positions) > min(job.array_left, job.array_room):
            return Rejection("job_changed", job.id, "the array has no such room left")
    elif positions != [-1]:
        return Rejection("malformed", job.id, "a plain job starts once and has no position")
    return None


def _rooms(locked: LockedRows) -> dict[int, NodeRoom]:
    """The locked rows as rooms."""
    devices: dict[int, list[DeviceRoom]] = {node_id: [] for node_id in locked.nodes}
    for row in sorted(locked.devices.values(), key=lambda row: row.id):
        if row.node_id in devices:
            devices[row.node_id].append(_device_room(row))
    return {node.id: _node_room(node, devices[node.id]) for node in locked.nodes.values()}


def _node_room(node: LockedNode, devices: list[DeviceRoom]) -> NodeRoom:
    free = list((node.capacity - node.used).as_tuple())
    return NodeRoom(
        node.id, str(node.id), node.labels, node.status == NodeStatus.UP, node.capacity.as_tuple(), free, devices, _counted(node.apps)
    )


def _counted(apps: tuple[tuple[str, int], ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for app, count in apps:
        found[app] = found.get(app, 0) + count
    return found


def _device_room(device: LockedDevice) -> DeviceRoom:
    return DeviceRoom(
        id=device.id,
        group=0,
        model=device.model.lower(),
        memory_bytes=device.memory_bytes,
        capacity_milli=device.capacity_milli,
        free_milli=device.capacity_milli - device.used_milli,
        free_memory_bytes=device.memory_bytes - device.used_memory_bytes,
        offered=device.status == DeviceStatus.OK,
        capability=device.capability,
    )


def _check_placements(
    job_id: int,
    ask: Ask,
    placements: tuple[Placement, ...],
    rooms: Mapping[int, NodeRoom],
    locked: LockedRows,
) -> Rejection | None:
    if [placement.task for placement in placements] != list(range(ask.tasks)):
        return Rejection("malformed", job_id, f"{ask.tasks} tasks need one placement each, sorted by task")
    if ask.nodes and not is_dealt_evenly(ask, [placement.node_id for placement in placements]):
        return Rejection("malformed", job_id, f"its tasks are not dealt evenly over {ask.nodes} nodes")
    for placement in placements:
        room = rooms.get(placement.node_id)
        if room is None or not room.offered:
            return Rejection("node_gone", placement.node_id, "the node takes no work now")
        rejection = _check_placement(ask, placement, room, locked)
        if rejection is not None:
            return rejection
        take(room, ask.need, placement.devices, ask.app)
    return None


def _check_placement(ask: Ask, placement: Placement, room: NodeRoom, locked: LockedRows) -> Rejection | None:
    if not is_allowed(ask, room):
        return Rejection("node_gone", room.id, "the node lacks a label that is asked for")
    if any(need > free for need, free in zip(ask.need, room.free, strict=True)):
        return Rejection("no_room", room.id, "an amount is no longer free")
    if not places_left(ask, room):
        return Rejection("no_room", room.id, "as many tasks of its app as may be are there")
    wanted = ask.whole or (1 if ask.milli else 0)
    if len({share.device_id for share in placement.devices}) != wanted or len(placement.devices) != wanted:
        return Rejection("malformed", room.id, f"a task needs {wanted} different devices")
    return _check_devices(ask, placement.devices, room, locked)


def _check_devices(ask: Ask, shares: Iterable[DeviceShare], room: NodeRoom, locked: LockedRows) -> Rejection | None:
    for share in shares:
        row = locked.devices.get(share.device_id)
        if row is None or row.node_id != room.id:
            return Rejection("malformed", share.device_id, "the device is not on that node")
        if (share.milli, share.memory_bytes) != ask.share_of(row.memory_bytes):
            return Rejection("malformed", share.device_id, "the share is not what the job asks for")
        device = next(device for device in room.devices if device.id == share.device_id)
        if not device_fits(ask, device):
            return Rejection("device_taken", share.device_id, "the device is not offered or not free for it")
    return None
