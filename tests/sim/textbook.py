"""EASY on a pool as the textbooks have it, on plain numbers and with nothing of Tenure in it: what a replay is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Job:
    """``believed`` is what the scheduler knows of ``run``; ``start`` is the answer."""

    number: int
    submitted: int
    width: int
    run: int
    believed: int
    start: int = -1


def easy(jobs: list[Job], processors: int, *, shortest_first: bool = False, backfill: bool = True) -> list[int]:
    """When each job starts. ``shortest_first`` tries the candidates behind the head in the order of their believed run time."""
    now = min((job.submitted for job in jobs), default=0)
    while any(job.start < 0 for job in jobs):
        _decide(jobs, processors, now, shortest_first=shortest_first, backfill=backfill)
        coming = [job.submitted for job in jobs] + [job.start + job.run for job in jobs if job.start >= 0]
        now = min((at for at in coming if at > now), default=now)
    return [job.start for job in jobs]


def _decide(jobs: list[Job], processors: int, now: int, *, shortest_first: bool, backfill: bool) -> None:
    queue = sorted((job for job in jobs if job.start < 0 and job.submitted <= now), key=lambda job: (job.submitted, job.number))
    while queue and queue[0].width <= _free(jobs, processors, now):
        queue.pop(0).start = now
    if not queue or not backfill:
        return
    shadow, extra = _reservation(jobs, processors, now, queue[0])
    behind = sorted(queue[1:], key=lambda job: (job.believed, job.submitted, job.number)) if shortest_first else queue[1:]
    for job in behind:
        ends_in_time = now + job.believed <= shadow
        if job.width <= _free(jobs, processors, now) and (ends_in_time or job.width <= extra):
            job.start = now
            extra -= 0 if ends_in_time else job.width


def _running(jobs: list[Job], now: int) -> list[Job]:
    return [job for job in jobs if job.start >= 0 and job.start + job.run > now]


def _free(jobs: list[Job], processors: int, now: int) -> int:
    return processors - sum(job.width for job in _running(jobs, now))


def _reservation(jobs: list[Job], processors: int, now: int, head: Job) -> tuple[int, int]:
    """(shadow time, extra processors) for a job that does not fit now."""
    free, ends = _free(jobs, processors, now), sorted((job.start + job.believed, job.width) for job in _running(jobs, now))
    shadow = now
    for at, width in ends:
        if free >= head.width and at > shadow:
            break
        shadow, free = at, free + width
    return shadow, free - head.width
