"""A workload and its replays as columns of numbers, which is how a page's curves are worked out in no time.

A *run* is a stretch of time in which a job held its room: from a start to whatever took it away. Times are milliseconds since the
workload's first submission. Invariant: the runs of a replay follow from its actions alone, so they stay true when a job starts twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenure.sim.report.packing import Whole
from tenure.sim.results import DROP, END, NOT_YET, RESUME, START, Replayed
from tenure.sim.workload import Workload

Real = NDArray[np.float64]
_TAKES = (START, RESUME, "resize")


@dataclass(frozen=True, slots=True)
class Jobs:
    """One entry per job of a workload; ``cpu`` and ``gpu`` are thousandths over all tasks, ``user`` indexes ``users``."""

    submitted: Whole
    run: Whole
    cpu: Whole
    gpu: Whole
    user: Whole
    users: tuple[str, ...]
    origin_ms: int
    lasting: bool


@dataclass(frozen=True, slots=True)
class Runs:
    """One entry per run, in the order of the starts. ``action`` is the start's place in the actions; open runs end with the replay."""

    job: Whole
    start: Whole
    end: Whole
    action: Whole


def jobs_of(workload: Workload) -> Jobs:
    """The workload's jobs as columns."""
    jobs, count = workload.jobs, len(workload.jobs)
    origin_ms = jobs[0].submitted_ms if jobs else 0
    places: dict[str, int] = {}
    user = np.fromiter((places.setdefault(job.user, len(places)) for job in jobs), np.int64, count)
    shapes = {id(job.shape): job.shape for job in jobs}
    cpu = {key: shape.amounts.cpu_milli * shape.tasks for key, shape in shapes.items()}
    gpu = {key: shape.gpu_milli * shape.tasks for key, shape in shapes.items()}
    return Jobs(
        submitted=np.fromiter((job.submitted_ms for job in jobs), np.int64, count) - origin_ms,
        run=np.fromiter((job.run_ms for job in jobs), np.int64, count),
        cpu=np.fromiter((cpu[id(job.shape)] for job in jobs), np.int64, count),
        gpu=np.fromiter((gpu[id(job.shape)] for job in jobs), np.int64, count),
        user=user,
        users=tuple(places),
        origin_ms=origin_ms,
        lasting=bool(jobs) and all(job.lives for job in jobs),
    )


def horizon_of(results: list[Replayed], jobs: Jobs) -> int:
    """The last moment of anything in any of the replays of these jobs."""
    last_ms = [result.actions[-1].t_ms - jobs.origin_ms for result in results if result.actions]
    return max([1, int(jobs.submitted[-1]) if jobs.submitted.size else 0, *last_ms])


def runs_of(result: Replayed, jobs: Jobs, horizon_ms: int) -> Runs:
    """When each job held its room."""
    started: dict[int, int] = {}
    job: list[int] = []
    start: list[int] = []
    end: list[int] = []
    places: list[int] = []
    for place, action in enumerate(result.actions):
        if action.kind == DROP:
            continue
        run = started.pop(action.job, None)
        if run is not None:
            end[run] = action.t_ms - jobs.origin_ms
        if action.placements and action.kind in _TAKES:
            started[action.job] = len(job)
            job.append(action.job)
            start.append(action.t_ms - jobs.origin_ms)
            end.append(horizon_ms)
            places.append(place)
    return Runs(*(np.array(values, dtype=np.int64) for values in (job, start, end, places)))


def waiting_of(result: Replayed, jobs: Jobs, horizon_ms: int) -> tuple[Whole, Whole]:
    """The moments at which the queue's length changes and by how much: submissions, starts, drops, what is sent back or rests."""
    actions = result.actions
    moved = {START: -1, DROP: -1, RESUME: -1, END: 0, "resize": 0}
    change = np.fromiter((moved.get(action.kind, 1) for action in actions), np.int64, len(actions))
    at = np.fromiter((action.t_ms for action in actions), np.int64, len(actions)) - jobs.origin_ms
    came = jobs.submitted <= horizon_ms
    return np.concatenate([jobs.submitted[came], at]), np.concatenate([np.ones(int(came.sum()), dtype=np.int64), change])


def ended_of(result: Replayed, jobs: Jobs) -> tuple[Whole, Whole, Whole]:
    """Of the jobs that ran to their end: position, wait and run time."""
    started, ended = np.array(result.started_ms, dtype=np.int64), np.array(result.ended_ms, dtype=np.int64)
    done = np.flatnonzero(ended != NOT_YET)
    ran = ended - started
    for position, earlier_ms in result.earlier_ms.items():
        ran[position] += earlier_ms - result.lost_ms[position]
    return done, ended[done] - jobs.origin_ms - jobs.submitted[done] - ran[done], ran[done]
