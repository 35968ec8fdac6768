"""Why the jobs wait that a cycle did not start: one `Hold` per shape, queue and cause.

Reasons of a single job (held, not yet eligible, its queue is paused, its array is at its cap) are no holds: `core.explain` tells them
on demand. The nearest fit is worked out for the oldest few holds only, so that a long queue does not make a cycle slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenure.core.backfill import Window
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, pick_devices, take
from tenure.core.placement import is_enough
from tenure.core.possible import nearest
from tenure.model.job import PendingJob
from tenure.model.plan import Hold
from tenure.model.reasons import Capacity, NotReached, Reason, WouldDelay

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle

NEAREST_FIRST = 16
"""For so many holds, those of the lowest job ids, the nearest fit is named."""


def holds_of(cycle: Cycle) -> tuple[Hold, ...]:
    """The holds at the end of a cycle, by the lowest waiting job."""
    lowest: dict[tuple[int, int, bool], int] = {}
    for group in cycle.board.waiting.groups.values():
        offset = cycle.done.get(group.slot, 0)
        if offset < len(group.entries):
            key = (group.shape, group.queue, cycle.is_careful(group.limit_ms))
            job_id = group.lowest_from(offset)
            lowest[key] = min(job_id, lowest.get(key, job_id))
    found: dict[tuple[int, int, str], Hold] = {}
    for job_id, (shape, queue, careful) in sorted((job_id, key) for key, job_id in lowest.items()):
        reason = _reason(cycle, shape, careful=careful, detailed=len(found) < NEAREST_FIRST)
        found.setdefault((shape, queue, reason.code), Hold(shape, queue, _of_head(cycle, shape, queue, reason), job_id))
    return tuple(found.values())


def _reason(cycle: Cycle, shape: int, *, careful: bool, detailed: bool) -> Reason:
    """Why a job of that shape waits; ``careful``: it would run into the head's reservation."""
    obstacle = cycle.possible.obstacle(shape)
    if obstacle is not None:
        return obstacle
    if cycle.find(shape, careful=careful) is not None:
        return NotReached()
    return (careful and _delay(cycle, shape)) or (capacity_of(cycle, shape, cycle.board.rooms.nodes) if detailed else Capacity())


def room_reasons(cycle: Cycle, job: PendingJob) -> tuple[Reason, ...]:
    """Every cause that lies with room, for one waiting job: an obstacle, or a delay of the head, or no room, or both of these."""
    obstacle = cycle.possible.obstacle(job.shape)
    if obstacle is not None:
        return (obstacle,)
    careful = cycle.is_careful(job.limit_ms)
    if cycle.find(job.shape, careful=careful) is not None:
        return ()
    delay = _delay(cycle, job.shape) if careful else None
    if cycle.find(job.shape, careful=False) is not None:
        return (delay,) if delay is not None else ()
    capacity = capacity_of(cycle, job.shape, cycle.board.rooms.nodes)
    if cycle.window is not None and cycle.window.reservation.job_id == job.id:
        capacity = Capacity(capacity.node_id, capacity.short, cycle.window.reservation.start_ms)
    return (delay, capacity) if delay is not None else (capacity,)


def capacity_of(cycle: Cycle, shape: int, rooms: Sequence[NodeRoom]) -> Capacity:
    """No room: the nearest fit and what it lacks. Of a gang, as many tasks as fit are thought placed and the next one is judged."""
    ask = cycle.board.asks[shape]
    if ask.tasks > 1:
        rooms = [_without(ask, room, count_tasks(ask, room, ask.tasks)) for room in rooms]
    return Capacity(*nearest(ask, rooms))


def _without(ask: Ask, room: NodeRoom, tasks: int) -> NodeRoom:
    rest = room.copy()
    for _ in range(tasks):
        take(rest, ask.need, pick_devices(ask, rest))
    return rest


def _delay(cycle: Cycle, shape: int) -> WouldDelay | None:
    """That it would fit, or would have fitted, but for the head's reservation."""
    window = cycle.window
    if window is None or not (cycle.find(shape, careful=False) is not None or _fitted_before(cycle, shape, window)):
        return None
    return WouldDelay(window.reservation.job_id, window.reservation.start_ms)


def _fitted_before(cycle: Cycle, shape: int, window: Window) -> bool:
    """Whether the reserved nodes had room when they were reserved: it went to jobs that do not delay the head."""
    ask = cycle.board.asks[shape]
    return is_enough(ask, [count_tasks(ask, room, ask.tasks) for room in window.before.values()])


def _of_head(cycle: Cycle, shape: int, queue: int, reason: Reason) -> Reason:
    """The head's own hold says when its reservation begins."""
    window = cycle.window
    if window is None or not isinstance(reason, Capacity):
        return reason
    head = cycle.board.waiting.rows[window.reservation.job_id]
    if (head.shape, head.queue) != (shape, queue):
        return reason
    return Capacity(reason.node_id, reason.short, window.reservation.start_ms)
