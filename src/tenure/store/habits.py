"""What earlier runs have used, by kind of work: a user's jobs of one name in one project count as runs of the same thing.

Only the latest `LOOKED_AT` jobs are looked at, so that the cost does not grow with history. Invariant: a maximum is over all runs that
have ended, however they ended, so that a run which was stopped at its limit never makes that limit look too long; the number of runs
counts those alone that ended well and were measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, case, func, select

from tenure.core.advice import Habit
from tenure.model.measures import STEPS_MS
from tenure.store.measured import sample, series
from tenure.store.schema import allocation, job, project
from tenure.store.sql import InList, Link, Statement, const, param

LOOKED_AT = 20_000
GPU, GPU_MEMORY = "gpu_percent", "gpu_memory_bytes"
Kind = tuple[int, int, str]
"""User, project and name."""

_KIND = (job.c.user_id, job.c.project_id, job.c.name)
_RAN = and_(
    job.c.id > param("after"),
    job.c.ended_ms.is_not(None),
    job.c.started_ms > const(0),
    job.c.array_size == const(0),
    job.c.kind == const("batch"),
)
_WELL = and_(job.c.state == const("succeeded"), job.c.peak_memory_bytes > const(0))
LAST = Statement(select(func.coalesce(func.max(job.c.id), const(0))))
KINDS_OF = InList(lambda keys: select(job.c.id, *_KIND).where(job.c.id.in_(keys)))
USED = Statement(
    select(
        *_KIND,
        func.sum(case((_WELL, const(1)), else_=const(0))),
        func.max(job.c.peak_memory_bytes),
        func.max(job.c.ended_ms - job.c.started_ms),
    )
    .where(_RAN)
    .group_by(*_KIND),
    "after",
)
GPU_USED = Statement(
    select(*_KIND, func.count(func.distinct(job.c.id)), func.max(sample.c.high))
    .join(series, series.c.job_id == job.c.id)
    .join(sample, sample.c.series_id == series.c.id)
    .where(
        series.c.name == param("name"),
        series.c.reported == const(0),
        sample.c.step_ms == const(STEPS_MS[-1]),
        job.c.id > param("after"),
        job.c.ended_ms.is_not(None),
    )
    .group_by(*_KIND),
    "name",
    "after",
)
# Leases and elements of arrays cannot be sent back into the line by themselves.
MOVABLE = Statement(
    select(job.c.id, job.c.submitted_ms)
    .join(allocation, allocation.c.job_id == job.c.id)
    .where(
        allocation.c.released_at_ms.is_(None),
        job.c.state == const("running"),
        job.c.kind == const("batch"),
        job.c.array_id.is_(None),
    )
    .distinct()
)

OWNERS = InList(
    lambda keys: select(job.c.id, job.c.uid, project.c.name).join(project, project.c.id == job.c.project_id).where(job.c.id.in_(keys))
)


def owners(link: Link, job_ids: Sequence[int]) -> dict[int, tuple[int, str]]:
    """The uid and the project of each of these jobs."""
    return {row[0]: (row[1], row[2]) for row in link.rows_in(OWNERS, sorted(job_ids))}


def habits(link: Link, job_ids: Sequence[int]) -> dict[int, Habit]:
    """What earlier runs of the same kind have used, by waiting job; of kinds without any there is nothing."""
    kinds: dict[int, Kind] = {row[0]: (row[1], row[2], row[3]) for row in link.rows_in(KINDS_OF, sorted(job_ids))}
    after = max(0, int((link.row(LAST) or (0,))[0]) - LOOKED_AT)
    used = {tuple(row[:3]): row[3:] for row in link.rows(USED, after)} if kinds else {}
    busy = {tuple(row[:3]): row[3:] for row in link.rows(GPU_USED, GPU, after)} if used else {}
    filled = {tuple(row[:3]): row[3:] for row in link.rows(GPU_USED, GPU_MEMORY, after)} if busy else {}
    found = {}
    for job_id, kind in kinds.items():
        if kind in used:
            runs, peak, longest = used[kind]
            watched, percent = busy.get(kind, (0, 0.0))
            with_memory, memory = filled.get(kind, (0, 0.0))
            found[job_id] = Habit(int(runs), int(peak), int(longest), min(int(watched), int(with_memory)), round(percent), int(memory))
    return found


def movable(link: Link) -> dict[int, int]:
    """The running jobs that `requeue` would send back whole, and when each was submitted."""
    return dict(tuple(row) for row in link.rows(MOVABLE))
