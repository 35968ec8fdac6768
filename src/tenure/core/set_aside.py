"""What a window (`tenure.model.window`) keeps from whom, judged from plain values: rows under a commit's locks, or what runs.

The planner heeds windows by its calendar (`tenure.core.calendar`); this is the same law written a second time and without it, so that a
mistake there starts nothing. Law: a job that a window does not admit may start at a time T with limit L only if the window is over by T
or begins at T + L or later, or if it takes, beside all who then hold something and are not of the window, no device of its parts and
no amount of them. Invariant: what the planner starts passes here (a property test).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tenure.model.allocation import Placement
from tenure.model.amounts import Amounts
from tenure.model.job import RunningJob
from tenure.model.plan import LockedHolder, LockedJob, LockedRows, Start
from tenure.model.window import TimeWindow, WindowPart


def entered(start: Start, job: LockedJob, amounts: Amounts, locked: LockedRows) -> TimeWindow | None:
    """The first window that a start would run into although it is not for that job; None where it keeps out of all.

    Elements that follow one another in the room of the first may take as long as all of their limits.
    """
    limit_ms = job.limit_ms * (1 + len(start.successors))
    for window in locked.windows:
        if window.meets(locked.now_ms, limit_ms) and not window.admits(job.project, job.user):
            for part in window.parts:
                tasks = [place for place in start.placements if place.node_id == part.node_id]
                if tasks and _takes_of(window, part, tasks, job, amounts, locked):
                    return window
    return None


def _takes_of(
    window: TimeWindow, part: WindowPart, tasks: Sequence[Placement], job: LockedJob, amounts: Amounts, locked: LockedRows
) -> bool:
    if part.whole or any(share.device_id in part.devices for place in tasks for share in place.devices):
        return True
    node = locked.nodes.get(part.node_id)
    if node is None:
        return True
    at_ms = max(window.from_ms, locked.now_ms)
    holders = [one for one in locked.holders if one.node_id == part.node_id and outlasts(one.ends_ms, at_ms, locked.now_ms)]
    left = node.capacity - _sum(one.amounts for one in holders) - _kept(part.node_id, at_ms, job, holders, locked.windows)
    wanted = amounts.times(len(tasks)).as_tuple()
    return any(want > room for want, room in zip(wanted, left.as_tuple(), strict=True) if want)


def _kept(node_id: int, at_ms: int, job: LockedJob, holders: Sequence[LockedHolder], windows: Iterable[TimeWindow]) -> Amounts:
    """What is set aside of a node then, for others than the job, and not held by those it is for."""
    found = Amounts()
    for window in windows:
        if window.from_ms <= at_ms < window.until_ms and not window.admits(job.project, job.user):
            own = _sum(one.amounts for one in holders if window.admits(one.project, one.user))
            for part in window.parts:
                if part.node_id == node_id and not part.whole:
                    found += Amounts(*(max(amount, 0) for amount in (part.amounts - own).as_tuple()))
    return found


def holders_of(start: Start, job: LockedJob, amounts: Amounts, now_ms: int) -> tuple[LockedHolder, ...]:
    """What a start holds from now on, for those after it that must keep out of what is set aside."""
    ends_ms = now_ms + job.limit_ms if job.limit_ms else 0
    return tuple(LockedHolder(place.node_id, ends_ms, amounts, job.project, job.user) for place in start.placements)


def outlasts(ends_ms: int, at_ms: int, now_ms: int) -> bool:
    """Whether what is to end then (0: nobody knows when) still holds its room at a later time; what is overdue ends any moment now."""
    return ends_ms == 0 or max(ends_ms, now_ms + 1) > at_ms


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    found = Amounts()
    for one in amounts:
        found += one
    return found


def ends_of(job: RunningJob) -> int:
    """When a running job gives back what it holds, 0 where nobody knows; one that is being stopped is overdue."""
    return job.started_ms if job.stopping else job.ends_by_ms


def reaching(window: TimeWindow, running: Iterable[RunningJob], capacity: Mapping[int, Amounts], now_ms: int) -> tuple[int, ...]:
    """The running jobs that hold something of what a window sets aside when it begins, though it is not for them, by id.

    Of amounts all who are not of the window hold something where less is left than it sets aside.
    """
    at_ms = max(window.from_ms, now_ms)
    foreign = [
        job
        for job in running
        if not window.admits(job.project, job.user) and outlasts(ends_of(job), at_ms, now_ms) and now_ms < window.until_ms
    ]
    found: set[int] = set()
    for part in window.parts:
        held = [(job, one) for job in foreign for one in job.allocations if one.node_id == part.node_id]
        crowded = not (_sum(one.amounts for _, one in held) + part.amounts).fits_in(capacity.get(part.node_id, Amounts()))
        for job, one in held:
            if part.whole or crowded or any(share.device_id in part.devices for share in one.devices):
                found.add(job.id)
    return tuple(sorted(found))
