"""Queueing and deadlines on published GPU logs: which order is worth what, side by side.

``TENURE_TRACES=DIR python -m bench.queueing [--log NAME] [--policy A,B] [--runtimes A,B] [--limit N] [--json] [--quick]``. *chronus*:
30,735 training jobs with deadlines on 120 nodes of 8 GPUs, asked for 1.14 times over (W. Gao et al., "Chronus", SoCC 2021). *philly*:
82,247 jobs of Microsoft's cluster (M. Jeon et al., USENIX ATC 2019), which as published has eight times the GPUs they need, so here 50
nodes of 8 are asked for 0.94 times over. Neither log has requested times: with ``exact`` the planner knows how long a job runs, with
``forecast`` nothing but the last two jobs of the same virtual cluster, and promises nothing. ``las-easy`` is least attained service
first and displaces nobody; ``--policy las-easy-preemptive:checkpoint_every=5m`` does.

The row *bound* is a mean turnaround that no schedule goes below which runs each job in one piece, whatever it knows: half the lengths,
and the mean busy times on one machine as fast as all GPUs together, where the smallest job by GPU time displaces (M. Goemans, M.
Queyranne, A. Schulz, M. Skutella and Y. Wang, SIAM Journal on Discrete Mathematics 15(2), 2002).

Turnarounds are in hours, from submission to end. ``jain`` is 1 when the virtual clusters have the same mean slowdown, 1/n when one
bears everything. A mean is easily won at the cost of the longest jobs: look at p99 beside it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import sys
from collections.abc import Iterator, Sequence

from bench.published import trace
from tenure.model.amounts import MILLI
from tenure.policies.words import read_policy
from tenure.sim.formats.chronus import read_chronus
from tenure.sim.formats.philly import read_philly
from tenure.sim.machines import parse_nodes
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import Exact, Requested, RunTimes
from tenure.sim.workload import Workload

POLICIES = ("fifo", "easy", "easy-sjbf", "sjf-easy", "spf-easy", "hrrn-easy", "las-easy", "edf-easy", "tenure")
KNOWS: dict[str, type[RunTimes]] = {"exact": Exact, "forecast": Requested}
PHILLY_NODES = "50x8xGPU"
QUICK = 60
HOUR_S = 3600


def chronus() -> Workload:
    """The jobs with deadlines on the published machines."""
    return read_chronus(trace("deadlines/chronus_philly_slo.csv.gz"))


def philly() -> Workload:
    """All jobs on fewer machines than there were."""
    return read_philly(trace("philly/philly_jobs_82k.csv.gz"), parse_nodes(PHILLY_NODES))


LOGS = {"chronus": chronus, "philly": philly}


def outcome(workload: Workload, word: str, knows: str) -> dict[str, object]:
    """The figures of one policy."""
    policy, settings = read_policy(word, Rules().settings)
    result = Replay(workload, policy, KNOWS[knows](), Rules(settings=settings)).run()
    figures = figures_of(result)
    times = ("mean_turnaround_s", "p95_turnaround_s", "p99_turnaround_s", "mean_wait_s", "max_wait_s")
    hours = {name.replace("_s", "_h"): round(float(figures[name] or 0) / HOUR_S, 3) for name in times}
    hits, jain = figures["deadline_hit_pct"], figures["fairness_jain_projects"]
    return {
        "policy": word,
        "knows": knows,
        **hours,
        "deadline_hit_pct": round(float(hits), 2) if hits is not None else None,
        "jain": round(float(jain), 3) if jain is not None else None,
        "elapsed_s": round(result.elapsed_s, 1),
    }


def least_mean_h(workload: Workload) -> float:
    """A lower bound of the mean turnaround in hours: see above. Never less than the mean length."""
    gpus = sum(len(node.devices) for node in workload.nodes)
    jobs = [(job.submitted_ms, job.run_ms * job.shape.tasks * job.shape.gpu_milli / MILLI / gpus) for job in workload.jobs]
    length_ms = sum(job.run_ms for job in workload.jobs)
    return max(busy_ms(jobs) + length_ms / 2, length_ms) / len(jobs) / 1000 / HOUR_S


def busy_ms(jobs: Sequence[tuple[int, float]]) -> float:
    """From arrival to the mean moment at which a job is worked on, added up over jobs (arrival, work) by arrival, on one machine
    where the smallest goes first at any time."""
    total, now_ms = 0.0, 0.0
    line: list[tuple[float, int, float]] = []  # the work, the arrival, the work that is left
    for arrives_ms, work_ms in [*jobs, (math.inf, 0.0)]:
        while line and now_ms < arrives_ms:
            work, came_ms, left = heapq.heappop(line)
            done_ms = min(now_ms + left, arrives_ms)
            total += ((now_ms + done_ms) / 2 - came_ms) * (done_ms - now_ms) / work
            if now_ms + left > arrives_ms:
                heapq.heappush(line, (work, came_ms, left - (done_ms - now_ms)))
            now_ms = done_ms
        now_ms = max(now_ms, arrives_ms)
        if work_ms:
            heapq.heappush(line, (work_ms, int(arrives_ms), work_ms))
    return total


def measure(logs: Sequence[str], policies: Sequence[str], knowledge: Sequence[str], limit: int) -> Iterator[dict[str, object]]:
    """One row per log, knowledge and policy; of each log the first ``limit`` jobs, 0 for all."""
    for name in logs:
        workload = LOGS[name]().limited(limit) if limit else LOGS[name]()
        yield {"log": name, "policy": "bound", "mean_turnaround_h": round(least_mean_h(workload), 3)}
        for knows in knowledge:
            for word in policies:
                yield {"log": name, **outcome(workload, word, knows)}


def main() -> int:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--log", default="", choices=["", *LOGS], help="only this log")
    parser.add_argument("--policy", default=",".join(POLICIES), help="these policies instead of all")
    parser.add_argument("--runtimes", default=",".join(KNOWS), help=f"of {','.join(KNOWS)}; default both")
    parser.add_argument("--limit", type=int, default=0, help="so many jobs of each log; default all")
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK} jobs only: figures that compare with nothing")
    options = parser.parse_args()
    knowledge = options.runtimes.split(",")
    if unknown := sorted(set(knowledge) - set(KNOWS)):
        parser.error(f"{unknown[0]!r} is none of {', '.join(KNOWS)}")
    limit = QUICK if options.quick else options.limit
    for row in measure([options.log] if options.log else list(LOGS), options.policy.split(","), knowledge, limit):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
