"""What a page needs to draw who ran where and when: the runs in little room, and a coarse picture of everything for many of them.

A page must stay small, so only as many jobs keep their bars as fit the budget: those with the most work, the same for every policy,
and the page says how many. The coarse picture, how full each group of slots was in each stretch of time, has all of them.
Invariant: every policy's bars are those of the same jobs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tenure.model.amounts import MILLI
from tenure.sim.report import steps
from tenure.sim.report.columns import Jobs, Runs
from tenure.sim.report.lanes import Lanes, Pieces
from tenure.sim.report.packing import Whole, folded, packed, steps_of
from tenure.sim.workload import Workload

ROWS, STRETCHES = 48, 360
LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"
NAME_CHARACTERS, NODE_CHARACTERS = 40, 24
MOST_NODES = 2000
_LEAST_JOB_BYTES, _LEAST_RUN_BYTES = 6, 8
"""What a job and a run take when every number is small: where to begin in looking for how many fit."""


def kept_of(jobs: Jobs, most: int) -> Whole:
    """Positions, in order, of the jobs that keep their bars: at most so many, those with the most work."""
    drawn = np.flatnonzero(jobs.gpu > 0) if jobs.gpu.any() else np.arange(jobs.cpu.size)
    work = jobs.run[drawn] * (jobs.gpu if jobs.gpu.any() else jobs.cpu)[drawn].astype(np.float64)
    return np.sort(drawn[np.argsort(-work, kind="stable")[:most]])


def table_of(workload: Workload, jobs: Jobs, lanes: Lanes, kept: Whole, unit_ms: int) -> dict[str, Any]:
    """The kept jobs, the same under every policy."""
    numbered = _numbered(workload)
    names = [workload.jobs[position].name[:NAME_CHARACTERS] for position in kept.tolist()]
    prefix = "" if numbered else _prefix(names)
    size = (jobs.gpu if lanes.by_device else jobs.cpu)[kept]
    return {
        "jobs": int(kept.size),
        "all_jobs": int((jobs.gpu > 0).sum() if lanes.by_device else jobs.cpu.size),
        "kind": "GPU" if lanes.by_device else "processor",
        "slots": lanes.total,
        "slot_milli": lanes.unit_milli,
        "nodes": [[name[:NODE_CHARACTERS], first, count] for name, first, count in lanes.nodes[:MOST_NODES]],
        "rows": rows_of(lanes),
        "stretches": STRETCHES,
        "prefix": prefix,
        "names": packed(folded(steps_of(np.array(names, dtype=np.int64)))) if numbered else [name[len(prefix) :] for name in names],
        "submitted": packed(steps_of(jobs.submitted[kept] // unit_ms)),
        "run": packed(jobs.run[kept] // unit_ms),
        "user": packed(jobs.user[kept]),
        "size": packed(size * 10 // MILLI),
    }


def _prefix(names: Sequence[str]) -> str:
    """What several names all begin with."""
    first, last = (min(names), max(names)) if len(names) > 1 else ("", "")
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), min(len(first), len(last)))
    return first[:same]


def _numbered(workload: Workload) -> bool:
    """Whether all names are plain numbers, as in batch logs; then they are packed as such."""
    return all(
        job.name.isascii() and job.name.isdigit() and len(job.name) < 16 and str(int(job.name)) == job.name for job in workload.jobs
    )


def rows_of(lanes: Lanes) -> int:
    """Rows of the coarse picture."""
    return max(1, min(ROWS, lanes.total))


def runs_packed(jobs: Jobs, runs: Runs, pieces: Pieces, kept: Whole, unit_ms: int) -> dict[str, str]:
    """The runs of the kept jobs, by start: job, start, how much longer than its run time, and stretches of slots."""
    place = np.full(jobs.run.size, -1, dtype=np.int64)
    place[kept] = np.arange(kept.size)
    per_run = np.bincount(pieces.run, minlength=runs.job.size)
    mine = np.flatnonzero((place[runs.job] >= 0) & (per_run > 0)) if runs.job.size else np.zeros(0, dtype=np.int64)
    chosen = np.isin(pieces.run, mine)
    begin, job = runs.start[mine] // unit_ms, place[runs.job[mine]]
    lasted = runs.end[mine] // unit_ms - begin
    return {
        "job": packed(folded(steps_of(job))),
        "start": packed(steps_of(begin)),
        "longer": packed(folded(lasted - jobs.run[runs.job[mine]] // unit_ms)),
        "pieces": packed(per_run[mine]),
        "first": packed(pieces.first[chosen]),
        "count": packed(pieces.count[chosen] - 1),
    }


def picture_of(lanes: Lanes, runs: Runs, pieces: Pieces, span_ms: int) -> str:
    """One character per row and stretch of time, row by row: how full the row's slots were, 0 to z."""
    rows = rows_of(lanes)
    edges = np.arange(rows + 1) * lanes.total // rows
    top = np.searchsorted(edges, pieces.first, side="right") - 1
    bottom = np.searchsorted(edges, pieces.first + pieces.count - 1, side="right") - 1
    each = bottom - top + 1
    piece = np.repeat(np.arange(each.size), each)
    row = np.arange(piece.size) - np.repeat(np.cumsum(each) - each, each) + top[piece]
    low = np.maximum(pieces.first[piece], edges[row])
    high = np.minimum(pieces.first[piece] + pieces.count[piece], edges[row + 1])
    run = pieces.run[piece]
    full = steps.covered(row, runs.start[run], runs.end[run], high - low, (rows, STRETCHES), span_ms)
    share = full / np.maximum(1, np.diff(edges))[:, None]
    level = np.clip(np.ceil(share * (len(LEVELS) - 1) - 1e-6), 0, len(LEVELS) - 1).astype(np.int64)
    return np.array(list(LEVELS))[level].tobytes().decode("utf-32-le") if level.size else ""


def gantt_of(
    workload: Workload,
    jobs: Jobs,
    replays: Sequence[Runs],
    pieces: Sequence[Pieces],
    lanes: Lanes,
    span_ms: int,
    unit_ms: int,
    budget: int,
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """What all policies share, and each policy's own part. ``budget`` is in bytes."""
    most = max(1, budget // (_LEAST_JOB_BYTES + _LEAST_RUN_BYTES * len(replays)))
    while True:
        kept = kept_of(jobs, most)
        shared = table_of(workload, jobs, lanes, kept, unit_ms)
        own = [runs_packed(jobs, runs, mine, kept, unit_ms) for runs, mine in zip(replays, pieces, strict=True)]
        size = len(json.dumps([shared, own]))
        if size <= budget or most == 1:
            break
        most = max(1, int(min(most, kept.size) * min(0.97, budget / size)))
    pictures = [picture_of(lanes, runs, mine, span_ms) for runs, mine in zip(replays, pieces, strict=True)]
    return shared, [{**part, "picture": picture} for part, picture in zip(own, pictures, strict=True)]
