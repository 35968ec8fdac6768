"""``report.html``: what a simulation found, as one page to look at, in a file that needs nothing else.

`data_of` prepares the numbers, `tenure.sim.report.page` puts them into the page. Invariant: figures that depend on the wall clock stay
out, so the same replays give the same page, byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from tenure import __version__
from tenure.sim.report import series
from tenure.sim.report.columns import horizon_of, jobs_of, runs_of
from tenure.sim.report.gantt import gantt_of
from tenure.sim.report.lanes import Lanes
from tenure.sim.report.metrics import METRICS
from tenure.sim.report.page import page_of
from tenure.sim.results import Replayed
from tenure.sim.workload import Workload

BARS_BYTES = 1_200_000
"""What all Gantt bars of a page may take; the rest of a page is about 70 KB and 30 KB more per policy."""
_FINE_SPAN_MS = 600_000


def write_report(path: Path, results: Sequence[Replayed], summary: Mapping[str, Any]) -> None:
    """Write the page of these replays; ``summary`` is that of `tenure.sim.compare.summary_of`. Raises OSError."""
    path.write_text(page_of(data_of(results, summary)), encoding="utf-8")


def data_of(results: Sequence[Replayed], summary: Mapping[str, Any]) -> dict[str, Any]:
    """Everything on the page: one entry per workload, with its policies in the order given."""
    groups: dict[int, list[int]] = {}
    for place, result in enumerate(results):
        groups.setdefault(id(result.workload), []).append(place)
    told = {key: summary[key] for key in ("seed",) if key in summary}
    rows, budget = summary["results"], BARS_BYTES // max(1, len(groups))
    return {
        "version": __version__,
        **told,
        "metrics": [metric.told() for metric in METRICS],
        "workloads": [
            _workload([results[place] for place in places], [rows[place] for place in places], budget) for places in groups.values()
        ],
    }


def _workload(results: list[Replayed], rows: list[Mapping[str, Any]], budget: int) -> dict[str, Any]:
    """One workload and what each policy made of it."""
    workload = results[0].workload
    jobs = jobs_of(workload)
    span_ms = horizon_of(results, jobs)
    runs = [runs_of(result, jobs, span_ms) for result in results]
    sorted_values = [series.waits_and_slowdowns(result, jobs) for result in results]
    found = {
        **_about(workload, results[0].runtimes),
        "span_ms": span_ms,
        "lasting": jobs.lasting,
        "wait": series.spread([waits for waits, _ in sorted_values], 1.0),
        "slowdown": series.spread([slowdowns for _, slowdowns in sorted_values], 1.0),
        "users": series.users(results, jobs),
    }
    gpu_milli = series.capacity_of(workload)[1]
    policies = [
        {
            "name": result.policy,
            "figures": {metric.key: row.get(metric.key) for metric in METRICS},
            "curves": series.over_time(result, jobs, mine, span_ms),
            "devices": series.devices(result, jobs, gpu_milli),
        }
        for result, row, mine in zip(results, rows, runs, strict=True)
    ]
    if not jobs.lasting and jobs.cpu.size:
        unit_ms = 1 if span_ms < _FINE_SPAN_MS else 1000
        lanes = Lanes(workload)
        pieces = [lanes.pieces_of(result, mine) for result, mine in zip(results, runs, strict=True)]
        shared, own = gantt_of(workload, jobs, runs, pieces, lanes, span_ms, unit_ms, budget)
        found["gantt"] = {**shared, "unit_ms": unit_ms, "user_names": [name[: series.NAME_CHARACTERS] for name in jobs.users]}
        for policy, part in zip(policies, own, strict=True):
            policy["gantt"] = part
    return {**found, "policies": policies}


def _about(workload: Workload, runtimes: str) -> dict[str, Any]:
    """What was simulated."""
    cpu_milli, gpu_milli = series.capacity_of(workload)
    return {
        "name": PurePath(workload.name).name,
        "jobs": len(workload.jobs),
        "nodes": len(workload.nodes),
        "cpu_milli": cpu_milli,
        "gpu_milli": gpu_milli,
        "models": sorted({device.model for node in workload.nodes for device in node.devices}),
        "runtimes": runtimes,
        "skipped": dict(sorted(workload.skipped.items())),
    }
