"""Why the jobs wait that a cycle did not start: one `Hold` per shape, queue and cause.

Reasons of a single job (held, not yet eligible, its queue is paused, its array is at its cap) are no holds: `core.explain` tells them
on demand. The nearest fit is worked out for the oldest few holds only, so that a long queue does not make a cycle slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.core.backfill import Window
from tenure.core.feasibility import count_tasks
from tenure.core.placement import is_enough
from tenure.core.possible import nearest
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
    window = cycle.window
    if careful and window is not None and (cycle.find(shape, careful=False) is not None or _fitted_before(cycle, shape, window)):
        return WouldDelay(window.reservation.job_id, window.reservation.start_ms)
    if not detailed:
        return Capacity()
    return Capacity(*nearest(cycle.board.asks[shape], cycle.board.rooms.nodes))


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
