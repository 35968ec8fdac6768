"""What searching for a better order is worth: fitness and the exact solver's optimum, and waits beside the policies it would replace.

``python -m bench.optimisers [--json] [--quick] [--only TEXT]``. No log is needed. *schedule*: queues of jobs on half full nodes, drawn
with seeds 1 to 6; each way to search has the same work, and the fitness of what it finds stands beside the incumbent's. *oracle*: small
queues, solved by OR-Tools to a proven optimum; how far the schedules of our policies are above it in the last end and in the delay over
length weighted by priority, and below it in the priority-weighted room that is filled at once (only proven cases count). *replay*:
small generated workloads, every policy with the same jobs and limits that are right.

``cpu_s`` is process time. A search is worth it where the gain pays for that: compare the rows of one case.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec

from tenure.core.board import Board
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.optimize.exact import COMPLETION, MAKESPAN, pack, solve, weight_of
from tenure.optimize.instance import Instance, instance_of
from tenure.optimize.planned import Planned, Search
from tenure.optimize.schedule import BEST, Decoder
from tenure.optimize.words import NEEDS, SEARCHES, read_policy
from tenure.sim.generate import generate
from tenure.sim.machines import parse_nodes
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import Requested
from tenure.sim.workload import Workload
from tenure.testing.builders import Cluster

UNITS = 6_000
QUEUES = {"12 jobs, 3 nodes": (12, 3), "24 jobs, 6 nodes": (24, 6)}
SEEDS = range(1, 7)
ORACLE = (7, 2)
ORACLES = ("easy", "default", "saf-easy", "tenure")
SOLVER_UNITS = 60_000
WORKLOADS = {
    "lublin": ("lublin:jobs=100,nodes=64,seed=5,load=0.95", ""),
    "gpus": ("poisson:jobs=100,rate=22,seed=3", "4x8xGPU"),
}
INCUMBENTS = ("easy", "tenure")
POLICIES = (*INCUMBENTS, *(f"{name}:base={base},units=1000,window=12" for base in INCUMBENTS for name in SEARCHES))
MINUTE_MS = 60_000
QUICK = 16


def installed(name: str) -> bool:
    """Whether the library of a search is there."""
    return name not in NEEDS or find_spec(NEEDS[name][0]) is not None


def drawn(seed: int, jobs: int, nodes: int) -> Cluster:
    """Nodes of 8 GPUs of which half are held for a while, and jobs of one GPU to a whole node, some with deadlines."""
    chance, cluster = random.Random(seed), Cluster()
    for number in range(nodes):
        cluster.node(f"n{number}", gpus=8)
        ends_ms = chance.randint(5, 60) * MINUTE_MS
        cluster.run(f"r{number}", Shape(Amounts(8 * MILLI, 32 * GIB), gpu_milli=4 * MILLI), on=[f"n{number}"], ends_ms=ends_ms)
    for number in range(jobs):
        gpus, limit_ms = chance.choice([1, 1, 2, 4, 4, 8]), round(MINUTE_MS * chance.lognormvariate(3, 1))
        cluster.wait(
            f"w{number}",
            Shape(Amounts(4 * gpus * MILLI, 16 * gpus * GIB), gpu_milli=gpus * MILLI),
            limit_ms=limit_ms,
            priority=chance.choice([2, 5, 5, 5, 8]),
            deadline_ms=cluster.now_ms + chance.choice([0, 0, 3]) * limit_ms,
            age_ms=number * 1_000,
        )
    return cluster


def begun(cluster: Cluster, base: str) -> tuple[Instance, list[int]]:
    """The queue as an instance, and the order in which a policy would start its jobs."""
    policy, _ = read_policy(f"annealed:base={base}", PlanSettings())
    assert isinstance(policy, Planned)
    board = Board.of(cluster.snapshot(), policy.distinguishes)
    instance = instance_of(board, cluster.now_ms, policy.stages, len(cluster.pending))
    return instance, policy.incumbent_order(board, cluster.now_ms, instance)


def schedules(case: str, queues: list[tuple[Instance, list[int]]]) -> Iterator[dict[str, object]]:
    """One row per way to search; the incumbent first."""
    searches: dict[str, Search | None] = {"incumbent": None, **{name: SEARCHES[name] for name in SEARCHES if installed(name)}}
    for name, search in searches.items():
        began, values = time.process_time(), []
        for seed, (instance, order) in enumerate(queues):
            found = search(instance, [order, list(range(len(order)))], UNITS, seed) if search is not None else order
            values.append(Decoder(instance).fitness(found).value / BEST)
        cpu_s = (time.process_time() - began) / len(queues)
        yield {"case": case, "search": name, "fitness": round(sum(values) / len(values), 4), "cpu_s": round(cpu_s, 3)}


def gaps(word: str, clusters: list[Cluster]) -> dict[str, object]:
    """How far a policy's schedules are from the proven optimum, over all queues together."""
    found: dict[str, object] = {"case": "oracle: 7 jobs, 2 nodes", "policy": word}
    sums = {name: [0.0, 0.0, 0.0] for name in ("last_end", "delay", "packed")}
    for seed, cluster in enumerate(clusters):
        instance, order = begun(cluster, word)
        slots = Decoder(instance).slots(order)
        starts = [slot.start_ms - instance.now_ms for slot in slots]
        last, delay = solve(instance, SOLVER_UNITS, seed, MAKESPAN), solve(instance, SOLVER_UNITS, seed, COMPLETION)
        ends = [start + token.length_ms for start, token in zip(starts, instance.tokens, strict=True)]
        delays = [weight_of(each, delay.step_ms) * start / delay.step_ms for each, start in zip(instance.tokens, starts, strict=True)]
        _count(sums["last_end"], max(ends) / last.step_ms, last.value, proven=last.proven)
        _count(sums["delay"], sum(delays), delay.value, proven=delay.proven)
        best = pack(instance, SOLVER_UNITS, seed)
        _count(sums["packed"], _worth(instance, [p for p, at in enumerate(starts) if not at]), _worth(instance, best), proven=True)
    for name, (ours, best_value, proven) in sums.items():
        found |= {f"{name}_gap_pct": round(100 * (ours / best_value - 1), 1) if best_value else None, f"{name}_proven": int(proven)}
    return found


def _count(sums: list[float], ours: float, best: float, *, proven: bool) -> None:
    if proven:
        sums[0], sums[1], sums[2] = sums[0] + ours, sums[1] + best, sums[2] + 1


def _worth(instance: Instance, places: list[int]) -> float:
    """The priority-weighted room that these tokens take."""
    return sum(instance.tokens[p].priority * min(instance.tokens[p].shares) * instance.tokens[p].tasks for p in places)


def replay(case: str, workload: Workload, word: str) -> dict[str, object]:
    """One policy on one workload."""
    policy, settings = read_policy(word, Rules().settings)
    began = time.process_time()
    figures = figures_of(Replay(workload, policy, Requested(), Rules(settings=settings)).run())
    found: dict[str, object] = {"case": case, "policy": word, "avebsld": round(float(figures["avebsld"] or 0), 3)}
    found |= {name: round(float(figures[name] or 0), 1) for name in ("mean_wait_s", "max_wait_s")}
    if isinstance(policy, Planned):
        found |= {"searched": policy.searched, "adopted": policy.adopted}
    return {**found, "cpu_s": round(time.process_time() - began, 2)}


def measure(only: str, *, quick: bool) -> Iterator[dict[str, object]]:
    """All rows whose case or policy contains the text."""
    for name, (jobs, size) in QUEUES.items():
        case = f"schedule: {name}"
        if only in case:
            yield from schedules(case, [begun(drawn(seed, jobs, size), "tenure") for seed in (SEEDS[:1] if quick else SEEDS)])
    if installed("exact"):
        small = [drawn(seed, *ORACLE) for seed in (SEEDS[:1] if quick else SEEDS)]
        yield from (gaps(word, small) for word in ORACLES if only in f"oracle {word}")
    for name, (text, nodes) in WORKLOADS.items():
        workload = generate(text, parse_nodes(nodes) if nodes else ()).limited(QUICK if quick else 1_000)
        for word in POLICIES:
            if only in f"replay: {name} {word}" and installed(word.partition(":")[0]):
                yield replay(f"replay: {name}", workload, word)


def main() -> int:
    """Print one line per row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--only", default="", help="only what contains this text")
    parser.add_argument("--quick", action="store_true", help="one queue, sixteen jobs: figures that mean nothing")
    options = parser.parse_args()
    for missing in sorted(name for name in NEEDS if not installed(name)):
        print(f"{missing} is left out: pip install 'tenure[{NEEDS[missing][1]}]'", file=sys.stderr)
    for row in measure(options.only, quick=options.quick):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
