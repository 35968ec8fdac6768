"""Letting a running attempt hold other amounts of cpu and memory where it is: less than its job asked for, or that again.

Law: every task of the attempt is to hold the same; never more than was asked for, never nothing of what was asked for. What is more
than it holds must be free beside all that is promised and set aside, and is taken at once; what is less stays taken until the executor
has confirmed that the task is kept to it. Invariant: what a task holds is never less than what it is kept to, so nothing is
over-committed whenever a crash falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tenure.core.feasibility import NodeRoom
from tenure.core.set_aside import entered
from tenure.model.allocation import Allocation, Placement
from tenure.model.amounts import Amounts
from tenure.model.lifecycle import AllocationState, JobState
from tenure.model.plan import LockedRows, Rejection, Resize, Start
from tenure.model.project import Bundle
from tenure.model.shape import Shape


def wider(held: Amounts, resize: Resize) -> Amounts:
    """What a task holds from the moment a resize is decided: the larger of now and then."""
    cpu_milli, memory_bytes = max(held.cpu_milli, resize.cpu_milli), max(held.memory_bytes, resize.memory_bytes)
    return replace(held, cpu_milli=cpu_milli, memory_bytes=memory_bytes)


def taken(held: Amounts, resize: Resize) -> Amounts:
    """What a task takes at once when a resize is decided."""
    return wider(held, resize) - held


def held_by(resize: Resize, locked: LockedRows) -> list[Allocation]:
    """What the attempt holds, task by task."""
    return [held for held in locked.resizing if held.attempt_id == resize.attempt_id]


def taken_by(resize: Resize, locked: LockedRows) -> Bundle:
    """What its project holds more of at once."""
    more = [taken(held.amounts, resize) for held in held_by(resize, locked)]
    return Bundle(sum(one.cpu_milli for one in more), sum(one.memory_bytes for one in more))


def refused(resize: Resize, shapes: Mapping[int, Shape], rooms: Mapping[int, NodeRoom], locked: LockedRows) -> Rejection | None:
    """Why an attempt may not hold those amounts; None when it may, and what it takes is taken from the rooms. ``rooms`` are what is
    free beside all promises."""
    job, held = locked.jobs.get(resize.job_id), held_by(resize, locked)
    if job is None or job.state != JobState.RUNNING or not held or any(one.state != AllocationState.ACTIVE for one in held):
        return Rejection("job_changed", resize.job_id, "that attempt does not run now")
    asked = shapes[job.shape].amounts
    for what, wanted, most in (("cpu", resize.cpu_milli, asked.cpu_milli), ("memory", resize.memory_bytes, asked.memory_bytes)):
        if not min(most, 1) <= wanted <= most:
            return Rejection("malformed", resize.job_id, f"its {what} is between a little and what it asked for, {most}")
    for one in held:
        more = taken(one.amounts, resize)
        room = rooms.get(one.node_id)
        if more != Amounts() and (
            room is None or any(need > free for need, free in zip(more.as_tuple(), room.free, strict=True) if need)
        ):
            return Rejection("no_room", one.node_id, "an amount is no longer free")
        if room is not None:
            room.free[:] = [free - need for free, need in zip(room.free, more.as_tuple(), strict=True)]
    return _enters(resize, held, locked)


def _enters(resize: Resize, held: list[Allocation], locked: LockedRows) -> Rejection | None:
    """Whether what it takes would reach into what is set aside for others."""
    job, of_node = locked.jobs[resize.job_id], dict[int, Amounts]()
    for one in held if locked.windows else ():
        of_node[one.node_id] = of_node.get(one.node_id, Amounts()) + taken(one.amounts, resize)
    for node_id, more in sorted(of_node.items()):
        if more != Amounts():
            window = entered(Start(job.id, (Placement(0, node_id),)), job, more, locked)
            if window is not None:
                return Rejection("reserved", window.id, "it would run into what is set aside for others")
    return None
