"""The numbers behind a page's plots: use and queue over time, how waits and slowdowns are spread, users, GPUs over time.

Everything is worked out on shared axes, so that policies can be laid over each other and compared at a point. Invariant: shares of the
spread are those of `tenure.sim.metrics`: of the jobs that ran to their end, with the same bounded slowdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenure.sim.metrics import BOUND_MS
from tenure.sim.report import steps
from tenure.sim.report.columns import Jobs, Real, Runs, ended_of, waiting_of
from tenure.sim.results import Replayed
from tenure.sim.workload import Workload

STRETCHES = 480
POINTS = 160
TOP_USERS = 20
NAME_CHARACTERS = 40


def capacity_of(workload: Workload) -> tuple[int, int]:
    """Thousandths of processors and of GPUs."""
    cpu = sum(node.capacity.cpu_milli for node in workload.nodes)
    return cpu, sum(device.capacity_milli for node in workload.nodes for device in node.devices)


def over_time(result: Replayed, jobs: Jobs, runs: Runs, span_ms: int) -> dict[str, Any]:
    """Use in per cent, and the queue's mean and peak, in each stretch of time."""
    cpu, gpu = capacity_of(result.workload)
    mean, peak = steps.summed(*waiting_of(result, jobs, span_ms), STRETCHES, span_ms)
    found: dict[str, Any] = {"queue": _short(mean, 1), "queue_peak": peak.tolist()}
    for name, whole, amount in (("cpu_pct", cpu, jobs.cpu), ("gpu_pct", gpu, jobs.gpu)):
        used = bool(whole and amount.any())
        found[name] = _short(100 * steps.means(runs.start, runs.end, amount[runs.job], STRETCHES, span_ms) / whole, 1) if used else None
    return found


def waits_and_slowdowns(result: Replayed, jobs: Jobs) -> tuple[Real, Real]:
    """Waits in seconds and bounded slowdowns, sorted, of the jobs that ran to their end."""
    _, wait_ms, run_ms = ended_of(result, jobs)
    return np.sort(wait_ms / 1000), np.sort(_slowdowns(wait_ms, run_ms))


def _slowdowns(wait_ms: Any, run_ms: Any) -> Real:
    found: Real = np.maximum(1.0, (wait_ms + run_ms) / np.maximum(run_ms, BOUND_MS))
    return found


def spread(values: Sequence[Real], least: float) -> dict[str, Any]:
    """Points from ``least`` to the largest of all values, even on a logarithmic axis, and each policy's share at or below them."""
    most = max((float(each[-1]) for each in values if each.size), default=least)
    at = np.geomspace(least, max(most, 2 * least), POINTS)
    at[-1] = max(most, 2 * least)  # rounding must not leave the largest out
    shares = [_short(np.searchsorted(each, at, side="right") / each.size, 5) if each.size else None for each in values]
    return {"at": [float(f"{value:.4g}") for value in at], "shares": shares, "largest": [_largest(each) for each in values]}


def _largest(values: Real) -> float | None:
    return round(float(values[-1]), 3) if values.size else None


def users(results: Sequence[Replayed], jobs: Jobs) -> dict[str, Any] | None:
    """The users with the most jobs: their mean bounded slowdown under each policy. None where there are not two."""
    if len(jobs.users) < 2:
        return None
    count = np.bincount(jobs.user, minlength=len(jobs.users))
    top = np.argsort(-count, kind="stable")[:TOP_USERS]
    means = []
    for result in results:
        done, wait_ms, run_ms = ended_of(result, jobs)
        who = jobs.user[done]
        total = np.bincount(who, _slowdowns(wait_ms, run_ms), len(jobs.users))
        number = np.bincount(who, minlength=len(jobs.users))
        means.append([round(float(total[user] / number[user]), 3) if number[user] else None for user in top])
    return {
        "names": [jobs.users[user][:NAME_CHARACTERS] or "(none)" for user in top],
        "jobs": count[top].tolist(),
        "all": len(jobs.users),
        "slowdown": means,
    }


def devices(result: Replayed, jobs: Jobs, gpu_milli: int) -> dict[str, Any] | None:
    """The samples of the GPUs in per cent of all there are: asked for so far, allocated, stranded. None where there are none."""
    if not result.samples or not gpu_milli:
        return None
    table = np.array([sample[1:] for sample in result.samples], dtype=np.float64) * (100 / gpu_milli)
    return {
        "at_ms": [sample.t_ms - jobs.origin_ms for sample in result.samples],
        "arrived": _short(table[:, 0], 2),
        "allocated": _short(table[:, 1], 2),
        "stranded": _short(table[:, 2], 2),
    }


def _short(values: Any, digits: int) -> list[float]:
    found: list[float] = np.round(np.asarray(values, dtype=np.float64), digits).tolist()
    return [int(value) if value == int(value) else value for value in found]
