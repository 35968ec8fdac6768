"""Why the jobs wait that a cycle did not start: one `Hold` per shape, queue and cause.

Reasons of a single job (held, not yet eligible, its queue is paused, its array is at its cap) are no holds: `core.explain` tells them
on demand. The nearest fit is worked out for the oldest few holds only, so that a long queue does not make a cycle slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.backfill import Window
from tenure.core.closed import closed_reason, kind_of
from tenure.core.feasibility import Ask, count_tasks, fits
from tenure.core.placement import is_enough
from tenure.core.possible import nearest, shortfall_of_next
from tenure.core.turns import FEW_GROUPS
from tenure.core.waiting import FIRST_ID, LIMIT, LOWEST_ID, PROJECT, QUEUE, SHAPE
from tenure.model.job import PendingJob
from tenure.model.plan import Hold
from tenure.model.reasons import BetterPlace, Capacity, NotReached, Reason, Reserved, WouldDelay

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle
    from tenure.core.promises import Promises

NEAREST_FIRST, NEAREST_FIRST_OF_MANY = 16, 4
"""For so many holds, those of the lowest job ids, the nearest fit is named; the second number where there are many nodes."""

NO_ROOM = Capacity()
"""No room, and nobody asks for the nearest fit: one for all, as there are many in each cycle."""


def holds_of(cycle: Cycle) -> tuple[Hold, ...]:
    """The holds at the end of a cycle, by the lowest waiting job."""
    found: dict[tuple[int, int, str, int], Hold] = {(hold.shape, hold.queue, hold.reason.code, 0): hold for hold in _barred(cycle)}
    details = NEAREST_FIRST if cycle.few_nodes else NEAREST_FIRST_OF_MANY
    for job_id, shape, queue, careful, project in _waiting_kinds(cycle):
        bar = None if cycle.quotas is None else cycle.quotas.bar_of(project, cycle.board.asks[shape])
        detailed = len(found) < details
        if cycle.promises is not None:
            reason = _promised_reason(cycle, cycle.promises, cycle.board.waiting.rows[job_id], bar, detailed=detailed)
        else:
            reason = _reason(cycle, shape, bar, careful=careful, detailed=detailed)
        if isinstance(reason, NotReached):
            reason = _held_back(cycle, cycle.board.waiting.rows[job_id]) or reason
        concerns = project if reason is bar else 0
        kind = (shape, queue, reason.code, concerns)
        if kind not in found:
            found[kind] = Hold(shape, queue, _of_head(cycle, shape, queue, reason), job_id, concerns)
    return tuple(sorted(found.values(), key=lambda hold: (hold.first_job, hold.reason.code)) if cycle.barred else found.values())


def _barred(cycle: Cycle) -> Iterator[Hold]:
    """The holds of those that a window alone kept from starting at their turn."""
    lowest: dict[tuple[int, int], tuple[int, Reserved]] = {}
    for group in cycle.board.waiting.groups.values() if cycle.barred else ():
        offset, reason = cycle.done.get(group.slot, 0), cycle.barred.get(kind_of(cycle, group))
        if offset < len(group.entries) and reason is not None:
            found, known = (group.lowest_from(offset), reason), lowest.get((group.shape, group.queue))
            if known is None or found[0] < known[0]:
                lowest[group.shape, group.queue] = found
    for (shape, queue), (job_id, reason) in lowest.items():
        yield Hold(shape, queue, reason, job_id)


def _waiting_kinds(cycle: Cycle) -> list[tuple[int, int, int, bool, int]]:
    """(lowest job, shape, queue, careful, project) of each kind of job that waits on, by the lowest job; the project is 0 where there
    are no quotas."""
    waiting = cycle.board.waiting
    if cycle.promises is not None:
        return _promised_kinds(cycle, cycle.promises)
    if len(waiting.groups) > FEW_GROUPS and not cycle.barred:
        return _many_kinds(cycle)
    lowest: dict[tuple[int, int, bool, int], int] = {}
    for group in waiting.groups.values():
        offset = cycle.done.get(group.slot, 0)
        if offset < len(group.entries) and not (cycle.barred and kind_of(cycle, group) in cycle.barred):
            project = int(waiting.columns[PROJECT, group.slot]) if cycle.quotas is not None else 0
            kind = (group.shape, group.queue, cycle.sought.is_careful(group.limit_ms), project)
            job_id = group.lowest_from(offset)
            lowest[kind] = min(job_id, lowest.get(kind, job_id))
    return sorted((job_id, *kind) for kind, job_id in lowest.items())


def _many_kinds(cycle: Cycle) -> list[tuple[int, int, int, bool, int]]:
    """The same by array operations."""
    waiting = cycle.board.waiting
    columns = waiting.columns
    lowest, waits = columns[LOWEST_ID].copy(), columns[FIRST_ID] >= 0
    for slot, offset in cycle.done.items():
        group = waiting.by_slot[slot]
        waits[slot] = group is not None and offset < len(group.entries)
        if group is not None and waits[slot]:
            lowest[slot] = group.lowest_from(offset)
    careful = cycle.sought.are_careful(columns[LIMIT])
    slots = np.flatnonzero(waits)
    projects = columns[PROJECT, slots] if cycle.quotas is not None else np.zeros(len(slots), dtype=np.int64)
    rows = np.stack((columns[SHAPE, slots], columns[QUEUE, slots], careful[slots], projects, lowest[slots]))
    rows = rows[:, np.lexsort(rows[::-1])]
    is_first = np.ones(len(slots), dtype=np.bool_)
    is_first[1:] = (rows[:4, 1:] != rows[:4, :-1]).any(axis=0)
    kinds = rows[:, is_first].tolist()
    return sorted((job_id, shape, queue, bool(care), project) for shape, queue, care, project, job_id in zip(*kinds, strict=True))


def _promised_kinds(cycle: Cycle, promises: Promises) -> list[tuple[int, int, int, bool, int]]:
    """The same where of two alike the younger may have started: it had a promise, and the older was held back when it got it."""
    lowest: dict[tuple[int, int, int], int] = {}
    for group in cycle.board.waiting.groups.values():
        waits = [job_id for _, job_id in group.entries if not promises.has_started(job_id)]
        if waits:
            project = cycle.board.waiting.rows[waits[0]].project if cycle.quotas is not None else 0
            kind = (group.shape, group.queue, project)
            lowest[kind] = min(*waits, lowest.get(kind, waits[0]))
    return sorted((job_id, shape, queue, False, project) for (shape, queue, project), job_id in lowest.items())


def _promised_reason(cycle: Cycle, promises: Promises, job: PendingJob, bar: Reason | None, *, detailed: bool) -> Reason:
    """Why a job waits where promises are kept: an obstacle, or somebody's promise, or no room, with the start that it is promised."""
    obstacle = cycle.possible.obstacle(job.shape) or bar
    if obstacle is not None:
        return obstacle
    if cycle.find_beside(job.shape, cycle.spare_for(job)) is not None:
        return NotReached()
    found = promises.in_the_way(job)
    if found is not None:
        return found
    capacity = capacity_of(cycle, job.shape) if detailed else NO_ROOM
    return Capacity(capacity.node_id, capacity.short, promises.start_of(job.id))


def _held_back(cycle: Cycle, job: PendingJob) -> WouldDelay | None:
    """That a job of its project is waited for that the project may not hold yet, where there is room for both."""
    allowances = cycle.contest.allowances if cycle.contest is not None else None
    return allowances.held_back(job) if allowances is not None else None


def _reason(cycle: Cycle, shape: int, bar: Reason | None, *, careful: bool, detailed: bool) -> Reason:
    """Why a job of that shape waits; ``careful``: it would run into the head's reservation. ``bar``: what its project forbids."""
    obstacle = cycle.possible.obstacle(shape)
    if obstacle is not None:
        return obstacle
    if bar is not None:
        return bar
    if shape in cycle.wishing and cycle.find(shape, careful=careful) is not None:
        return BetterPlace(cycle.wishing[shape])
    if _is_kept_back(cycle, careful=careful):
        return _kept_back(cycle, shape) or (capacity_of(cycle, shape) if detailed else Capacity())
    if cycle.sought.may_find(shape, careful=careful) and cycle.find(shape, careful=careful) is not None:
        return NotReached()
    return (careful and _delay(cycle, shape)) or (capacity_of(cycle, shape) if detailed else NO_ROOM)


def _is_kept_back(cycle: Cycle, *, careful: bool) -> bool:
    """Whether the policy keeps such jobs behind the head even where they would leave its room alone."""
    backfill = cycle.stages.backfill
    return cycle.window is not None and not (backfill.passing and (backfill.beside or not careful))


def _kept_back(cycle: Cycle, shape: int) -> WouldDelay | None:
    """That it is the head that is waited for, for a shape that has room now."""
    assert cycle.window is not None, "nobody is kept back without a head"
    if cycle.find(shape, careful=False) is None:
        return None
    return WouldDelay(cycle.window.reservation.job_id, cycle.window.reservation.start_ms)


def room_reasons(cycle: Cycle, job: PendingJob) -> tuple[Reason, ...]:
    """Every cause but the job's own: an obstacle, then what its project forbids; or that, then a delay of the head or no room."""
    bar = None if cycle.quotas is None else cycle.quotas.bar_of(job.project, cycle.board.asks[job.shape])
    found = _without_bar(cycle, job)
    if bar is None:
        held_back = None if found else _held_back(cycle, job)
        return found if held_back is None else (held_back,)
    return (*found, bar) if cycle.possible.obstacle(job.shape) is not None else (bar, *found)


def _without_bar(cycle: Cycle, job: PendingJob) -> tuple[Reason, ...]:
    if cycle.promises is not None:
        reason = _promised_reason(cycle, cycle.promises, job, None, detailed=True)
        return () if isinstance(reason, NotReached) else (reason,)
    obstacle = cycle.possible.obstacle(job.shape)
    if obstacle is not None:
        return (obstacle,)
    careful = cycle.sought.is_careful(job.limit_ms)
    until_ms = cycle.wishes_until(job) if cycle.stages.delays else 0
    wish = BetterPlace(until_ms) if until_ms else None
    kept_back = _kept_back(cycle, job.shape) if _is_kept_back(cycle, careful=careful) else None
    alone = wish or closed_reason(cycle, job) or kept_back
    if alone is not None:
        return (alone,)
    if cycle.find(job.shape, careful=careful) is not None:
        return ()
    delay = _delay(cycle, job.shape) if careful else None
    if cycle.find(job.shape, careful=False) is not None:
        return (delay,) if delay is not None else ()
    capacity = capacity_of(cycle, job.shape)
    turns = _turns(cycle)
    if job.id in turns:
        capacity = Capacity(capacity.node_id, capacity.short, turns[job.id])
    elif cycle.window is not None and cycle.window.reservation.job_id == job.id:
        capacity = Capacity(capacity.node_id, capacity.short, cycle.window.reservation.start_ms)
    return (delay, capacity) if delay is not None else (capacity,)


def capacity_of(cycle: Cycle, shape: int) -> Capacity:
    """No room: the nearest fit and what it lacks."""
    ask, nodes = cycle.board.asks[shape], cycle.board.rooms.nodes
    if cycle.few_nodes:
        return Capacity(*nearest(ask, nodes))
    index = cycle.candidates.table.nearest(ask)
    return Capacity() if index is None else Capacity(nodes[index].id, shortfall_of_next(ask, nodes[index]))


def _delay(cycle: Cycle, shape: int) -> WouldDelay | None:
    """That it would fit, or would have fitted, but for the head's reservation; only for a shape that does not fit beside it now."""
    window = cycle.window
    assert window is not None, "nobody is careful without a reservation"
    if not _fitted_before(cycle.board.asks[shape], window) and not _fits_on_reserved(cycle, shape, window):
        return None
    return window.delay


def _fitted_before(ask: Ask, window: Window) -> bool:
    """Whether the reserved nodes had room when they were reserved: it went to jobs that do not delay the head."""
    rooms = window.before.values()
    if ask.tasks == 1:
        return any([fits(ask, room) for room in rooms])  # noqa: C419 - hardly ever more than one: a generator costs more
    return is_enough(ask, [count_tasks(ask, room, ask.tasks) for room in rooms])


def _fits_on_reserved(cycle: Cycle, shape: int, window: Window) -> bool:
    """Whether a shape that does not fit beside the reservation would fit now without it."""
    if not cycle.sought.may_find(shape, careful=False):
        return False
    ask = cycle.board.asks[shape]
    if ask.tasks == 1:
        # A node that is not reserved would have been found; the tasks of a gang may also need both kinds of node.
        nodes = cycle.board.rooms.nodes
        return any([fits(ask, nodes[index]) for index in window.extra])  # noqa: C419 - as above
    return cycle.find(shape, careful=False) is not None


def _of_head(cycle: Cycle, shape: int, queue: int, reason: Reason) -> Reason:
    """The hold of who stands first in line says when its turn comes, the head's own when its reservation begins."""
    window, turns = cycle.window, _turns(cycle)
    if not isinstance(reason, Capacity):
        return reason
    rows = cycle.board.waiting.rows
    turn_ms = min([at for number, at in turns.items() if number in rows and _kind(rows[number]) == (shape, queue)], default=0)
    if turn_ms:
        return Capacity(reason.node_id, reason.short, turn_ms)
    if window is None or cycle.promises is not None:
        return reason
    if _kind(rows[window.reservation.job_id]) != (shape, queue):
        return reason
    return Capacity(reason.node_id, reason.short, window.reservation.start_ms)


def _kind(job: PendingJob) -> tuple[int, int]:
    return job.shape, job.queue


def _turns(cycle: Cycle) -> dict[int, int]:
    """When those who stand in line have their turn (`tenure.core.rotation`)."""
    waits = cycle.rotation.waits if cycle.rotation is not None else {}
    return {job_id: at_ms for job_id, at_ms in waits.items() if at_ms > cycle.now_ms}
