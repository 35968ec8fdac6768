"""Placement of GPU-sharing pods on openb, beside the published figures (Q. Weng et al., USENIX ATC 2023), and how fast it goes.

``TENURE_TRACES=DIR python -m bench.openb [--seeds N] [--first SEED] [--lists A,B] [--policy A,B] [--order A,B] [--json]``. Pods come
one by one until 130 % of the GPUs were asked for and never leave; one that does not fit is dropped. ``allocated`` is the share of all
GPUs that is taken in the end, ``at_100`` when as much as there is was asked for, ``stranded_at_90`` the share of all GPUs that is free
at 90 % and of no use to a typical pod: means over the seeds. Every decision is a planning cycle of the product on one board.

The order says who wins a tie: ``name`` the first by name; ``shuffled`` the first by names that were dealt anew for each seed, which is
what the authors' simulator does before it takes the first by name: the published figures are to be held against this; ``random-ties``
any, as a lot decides anew each time (`tenure.core.stages.Stages.lots`). ``cpu_s`` is the busy time of this one process for the slowest
seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from bench.published import trace
from tenure.core.stages import Stages
from tenure.policies import PLACEMENTS, policy_by_name
from tenure.policies.staged import StagedPolicy
from tenure.sim.formats.nodes import read_nodes
from tenure.sim.formats.openb import read_pods, study
from tenure.sim.machines import NODE_ORDERS, RANDOM_TIES, lots_of, ordered
from tenure.sim.replay import Replay, Rules
from tenure.sim.workload import Workload

LISTS = ("default", "cpu050", "gpushare40", "gpuspec10", "multigpu20")
RATIO = 1.3
FIRST_SEED = 42
RANDOM = "random"
POLICIES = (RANDOM, *PLACEMENTS)

PUBLISHED = {
    "default": {RANDOM: 87.5, "dot-product": 90.9, "gpu-clustering": 91.9, "gpu-packing": 92.0, "best-fit": 93.1, "fgd": 95.4},
    "cpu050": {"fgd": 95.21},
    "gpushare40": {"fgd": 94.15},
    "gpuspec10": {"fgd": 94.95},
    "multigpu20": {"fgd": 95.65},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed, in percent of all GPUs."""

    allocated: float
    at_100: float
    stranded_at_90: float
    cpu_s: float


def workload_of(name: str, order: str, seed: int) -> Workload:
    """The arrivals of a list on the published nodes."""
    pods, skipped = read_pods(trace(f"openb/openb_pod_list_{name}.csv.gz"))
    nodes = read_nodes(trace("openb/openb_node_list_gpu_node.csv.gz"))
    return study(f"openb {name}", pods, ordered(nodes, order, seed), RATIO, seed, skipped)


def policy_of(name: str, order: str, seed: int) -> StagedPolicy:
    """The placement with the order of arrival; nothing is reserved, for a pod that does not fit is gone."""
    chosen: Stages = replace(policy_by_name("greedy").stages, score=policy_by_name(name).stages.score)
    return StagedPolicy(name, replace(chosen, lots=lots_of(RANDOM_TIES if name == RANDOM else order, seed)))


def outcome_of(workload: Workload, policy: StagedPolicy) -> Outcome:
    """Replay one seed."""
    began_s = time.process_time()
    result = Replay(workload, policy, rules=Rules(drop=True)).run()
    cpu_s = time.process_time() - began_s
    capacity = sum(device.capacity_milli for node in workload.nodes for device in node.devices)
    arrived, allocated, at_100 = 0, 0, 0
    for job, started_ms in zip(workload.jobs, result.started_ms, strict=True):
        arrived += job.shape.gpu_milli
        allocated += job.shape.gpu_milli if started_ms >= 0 else 0
        at_100 = allocated if arrived <= capacity else at_100
    late = next(sample for sample in result.samples if sample.arrived_milli >= 0.9 * capacity)
    percent = 100 / capacity
    return Outcome(allocated * percent, at_100 * percent, late.stranded_milli * percent, cpu_s)


def measure(lists: list[str], policies: list[str], orders: list[str], seeds: range) -> Iterator[dict[str, object]]:
    """One row per list, policy and order."""
    for name in lists:
        for policy in policies:
            for order in orders:
                found = [outcome_of(workload_of(name, order, seed), policy_of(policy, order, seed)) for seed in seeds]
                allocated = [outcome.allocated for outcome in found]
                yield {
                    "list": name,
                    "policy": policy,
                    "order": order,
                    "allocated": round(fmean(allocated), 2),
                    "published": PUBLISHED[name].get(policy),
                    "least": round(min(allocated), 2),
                    "most": round(max(allocated), 2),
                    "at_100": round(fmean(outcome.at_100 for outcome in found), 2),
                    "stranded_at_90": round(fmean(outcome.stranded_at_90 for outcome in found), 2),
                    "cpu_s": round(max(outcome.cpu_s for outcome in found), 1),
                    "seeds": f"{seeds[0]}-{seeds[-1]}",
                }


def _words(text: str) -> list[str]:
    return text.split(",")


def main() -> int:
    """Print one line per list, policy and order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--seeds", type=int, default=10, help="so many seeds (default 10)")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help=f"the first of them (default {FIRST_SEED})")
    parser.add_argument("--lists", type=_words, default=["default"], help=f"of {','.join(LISTS)}; default default")
    parser.add_argument("--policy", type=_words, default=list(POLICIES), help=f"of {','.join(POLICIES)}; default all")
    parser.add_argument("--order", type=_words, default=["name"], help=f"of {','.join(NODE_ORDERS)}; default name")
    options = parser.parse_args()
    for given, known in ((options.lists, LISTS), (options.policy, POLICIES), (options.order, NODE_ORDERS)):
        if unknown := sorted(set(given) - set(known)):
            parser.error(f"{unknown[0]!r} is none of {', '.join(known)}")
    for row in measure(options.lists, options.policy, options.order, range(options.first, options.first + options.seeds)):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
