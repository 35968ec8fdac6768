"""Windows in the way (`tenure.model.window`): which of them keeps a job from starting now, and who waits for one to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.core.backfill import Window
from tenure.core.days import who_of
from tenure.core.placement import Layout
from tenure.core.rooms import Who
from tenure.model.job import PendingJob
from tenure.model.reasons import Reserved

if TYPE_CHECKING:
    from tenure.core.board import Board
    from tenure.core.cycle import Cycle
    from tenure.core.waiting import Group


Kind = tuple[int, int, Who]
"""Shape, time limit, and whose: what decides where a job may start."""


def kind_of(cycle: Cycle, group: Group) -> Kind:
    """The kind of a group's jobs."""
    return (group.shape, group.limit_ms, cycle.who(group))


def is_near(board: Board, job: PendingJob, now_ms: int, latest_ms: int = 0) -> bool:
    """Whether a run that starts from now to ``latest_ms`` could meet a window that is not for the job, on whatever node."""
    limit_ms = job.limit_ms and job.limit_ms + max(latest_ms - now_ms, 0)
    return any(window.meets(now_ms, limit_ms) and not window.admits(job.project, job.user) for window in board.windows_at(now_ms))


def waits_for_window(cycle: Cycle, reserved: Window) -> bool:
    """Whether a reservation begins only once a window is over on one of its nodes.

    The window keeps that room free by itself, so another job needs the one promise of EASY more.
    """
    job = cycle.board.waiting.rows[reserved.reservation.job_id]
    nodes = {placement.node_id for placement in reserved.reservation.placements}
    return any(
        window.until_ms <= reserved.start_ms
        and not window.admits(job.project, job.user)
        and any(p.node_id in nodes for p in window.parts)
        for window in cycle.board.windows_at(cycle.now_ms)
    )


def closed_for(cycle: Cycle, job: PendingJob, layout: Layout) -> Reserved | None:
    """The first window that keeps a job from starting now on these nodes."""
    if cycle.calendar is None:
        return None
    who = who_of(job)
    found = [window for index, _ in layout for window in cycle.calendar.in_the_way(index, job.limit_ms, who)]
    if not found:
        return None
    first = min(found, key=lambda window: (window.from_ms, window.id))
    longest_ms = cycle.calendar.longest_of_all(cycle.board.asks[job.shape], who)
    return Reserved(first.id, first.name, first.from_ms, first.until_ms, first.is_maintenance, longest_ms)


def closed_reason(cycle: Cycle, job: PendingJob) -> Reserved | None:
    """The window for whose sake a job was left waiting at its turn, or would be now; None where something else keeps it."""
    known = cycle.barred.get((job.shape, job.limit_ms, who_of(job)))
    if known is not None or cycle.calendar is None or cycle.promises is not None:
        return known
    layout = cycle.find(job.shape, careful=cycle.sought.is_careful(job.limit_ms))
    if layout is None or cycle.find_beside(job.shape, cycle.spare_for(job)) is not None:
        return None
    return closed_for(cycle, job, layout)
