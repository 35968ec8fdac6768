"""How long a planning cycle takes: warm and cold, tiny and large.

``python -m bench.plan [--json] [--rounds N] [--only NAME]``. A *warm* cycle advances a kept board by what changed since the last one
(100 jobs ended, 100 submitted, the last plan's starts committed) and plans; a *cold* one builds the board from a snapshot first. The
*tiny* case is the one of a job queue on one machine: one node, a long queue of equal jobs, two changed jobs per cycle. Times are wall
and cpu milliseconds per cycle of this one process; nothing else is measured (no store, no commit).
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tenure.core.board import Board
from tenure.model.amounts import GIB, Amounts
from tenure.model.job import JobTable, PendingJob
from tenure.model.plan import Plan
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.testing.builders import NOW_MS, Cluster
from tenure.testing.outcome import committed, run_of

MINUTE_MS = 60_000
NOBODY = (0, 0)
"""The account of all jobs here: no project, no user."""

LIMITS_MS = tuple(minutes * MINUTE_MS for minutes in (30, 60, 120, 240, 480, 720, 1440, 2880))


@dataclass(frozen=True, slots=True)
class Case:
    """One size: so many nodes of 8 GPUs, running jobs, pending jobs of so many shapes; so many ends and submissions per cycle."""

    name: str
    nodes: int
    running: int
    pending: int
    shapes: int
    churn: int = 100


CASES = (
    Case("5k pending, 200 shapes, 1k nodes", 1000, 6000, 5000, 200),
    Case("100k pending, 1k shapes, 1k nodes", 1000, 6000, 100_000, 1000),
)


def draw_shapes(chance: random.Random, count: int) -> list[Shape]:
    """Requests like those of a research cluster: mostly one GPU or a part of one, some cpu only, a few large, one gang in twenty."""
    found: dict[Shape, None] = {}
    while len(found) < count:
        gpu_milli = chance.choice((0, 0, 250, 500, 500, 1000, 1000, 1000, 1000, 2000, 4000, 8000))
        gpus = max(1, gpu_milli // 1000)
        amounts = Amounts(gpus * 1000 * chance.randint(1, 8), gpus * GIB * chance.randint(2, 60))
        tasks = chance.choice((2, 4, 8)) if chance.random() < 0.05 else 1
        memory = chance.choice((0, 0, 20 * GIB)) if gpu_milli else 0
        found[Shape(amounts, gpu_milli, gpu_memory_bytes=memory, tasks=tasks)] = None
    return list(found)


def waiting_job(chance: random.Random, job_id: int, shape: int, now_ms: int) -> PendingJob:
    """A job with a usual time limit."""
    age_ms = chance.randint(0, 90 * MINUTE_MS)
    return PendingJob(
        id=job_id,
        shape=shape,
        queue=1,
        priority=chance.choice((5, 5, 5, 2, 8)),
        submitted_ms=now_ms - age_ms,
        limit_ms=chance.choice(LIMITS_MS),
    )


def draw_snapshot(case: Case, seed: int) -> Snapshot:
    """A cluster as full as the policy makes it, with about ``case.running`` jobs running, and ``case.pending`` waiting."""
    chance = random.Random(seed)
    cluster = Cluster(settings=replace(Cluster().settings, backfill_depth=10**9))
    for number in range(case.nodes):
        cluster.node(f"n{number:05}", Amounts(96_000, 768 * GIB), 8, per_group=4)
    numbers = [cluster.shape(shape) for shape in draw_shapes(chance, case.shapes)]
    filling = [waiting_job(chance, i + 1, chance.choice(numbers), NOW_MS) for i in range(case.running)]
    snapshot = replace(cluster.snapshot(), pending=JobTable.of(filling))
    full, _ = committed(snapshot, policy_by_name("greedy").plan(snapshot))
    running = tuple(
        replace(job, ends_by_ms=NOW_MS + chance.randint(1, max(job.ends_by_ms - NOW_MS, 2)), started_ms=NOW_MS - MINUTE_MS)
        for job in full.running
    )
    first = case.running + 1
    jobs = [waiting_job(chance, first + i, chance.choice(numbers), NOW_MS) for i in range(case.pending)]
    return replace(full, running=running, pending=JobTable.of(jobs))


@dataclass(slots=True)
class Timings:
    """Wall and cpu milliseconds of each round."""

    wall_ms: list[float]
    cpu_ms: list[float]

    def summary(self) -> dict[str, float]:
        """Percentiles of wall time, mean cpu."""
        ordered = sorted(self.wall_ms)
        return {
            "rounds": len(ordered),
            "p50_ms": round(statistics.median(ordered), 3),
            "p90_ms": round(ordered[int(len(ordered) * 0.9)], 3),
            "p99_ms": round(ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)], 3),
            "max_ms": round(ordered[-1], 3),
            "cpu_ms": round(statistics.fmean(self.cpu_ms), 3),
            "cpu_p50_ms": round(statistics.median(self.cpu_ms), 3),
            "cpu_max_ms": round(max(self.cpu_ms), 3),
        }


def timed(rounds: Iterator[Callable[[], object]]) -> Timings:
    """Time each round; what prepares it is not counted."""
    timings = Timings([], [])
    gc.collect()
    for work in rounds:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        timings.wall_ms.append((time.perf_counter() - wall) * 1000)
        timings.cpu_ms.append((time.process_time() - cpu) * 1000)
    return timings


def churn(chance: random.Random, board: Board, plan: Plan, case: Case, next_id: int) -> Changes:
    """The next second: the plan's starts are running, ``case.churn`` jobs have ended and as many are new.

    What a store would know is read from the board: a new snapshot of a million jobs would take longer than the cycle.
    """
    rows, now_ms = board.waiting.rows, board.waiting.now_ms
    started = {
        start.job_id: run_of(board.shapes, rows[start.job_id], start.job_id, start, now_ms)
        for decision in plan.decisions
        for start in decision.starts
    }
    living = [*board.running, *started]
    gone = frozenset(chance.sample(living, min(case.churn, len(living))))
    numbers, later_ms = sorted(board.shapes), now_ms + 1000
    ids = range(next_id, next_id + case.churn)
    return Changes(
        since=board.revision,
        revision=board.revision + 1,
        now_ms=later_ms,
        pending={i: replace(waiting_job(chance, i, chance.choice(numbers), later_ms), submitted_ms=later_ms) for i in ids},
        pending_removed=tuple(started),
        running={job_id: job for job_id, job in started.items() if job_id not in gone},
        running_removed=tuple(sorted(gone - started.keys())),
        usage=(board.ledger.at(NOBODY, later_ms),),
    )


def warm_rounds(case: Case, policy: StagedPolicy, rounds: int, seed: int, log: dict[str, int]) -> Iterator[Callable[[], object]]:
    """Rounds of advance and plan on one board."""
    return warm_rounds_on(Board.of(draw_snapshot(case, seed)), case, policy, rounds, seed, log)


def warm_rounds_on(
    board: Board, case: Case, policy: StagedPolicy, rounds: int, seed: int, log: dict[str, int]
) -> Iterator[Callable[[], object]]:
    """The same on this board. The first plan starts all there is room for; to take that in is a round of its own, not counted."""
    chance = random.Random(seed)
    plans = [policy.plan_on(board, board.waiting.now_ms)]
    next_id = case.running + case.pending + 1
    for number in range(rounds + 1):
        changes = churn(chance, board, plans.pop(), case, next_id)
        next_id += case.churn

        def work(changes: Changes = changes) -> None:
            board.advance(changes)
            plans.append(policy.plan_on(board, changes.now_ms))

        if number:
            yield work
            log["starts"] = log.get("starts", 0) + len(plans[-1].decisions)
            log["units"] = log.get("units", 0) + plans[-1].units
        else:
            work()
    log["running"], log["pending"] = len(board.running), len(board.waiting.rows)


def cold_rounds(case: Case, policy: StagedPolicy, rounds: int, seed: int) -> Iterator[Callable[[], object]]:
    """Rounds of building a board and planning."""
    return cold_rounds_of(draw_snapshot(case, seed), policy, rounds)


def cold_rounds_of(snapshot: Snapshot, policy: StagedPolicy, rounds: int) -> Iterator[Callable[[], object]]:
    """The same from this snapshot."""
    kept: list[Board] = []

    def work() -> None:
        kept.append(Board.of(snapshot))
        policy.plan_on(kept[-1], snapshot.now_ms)

    for _ in range(rounds):
        yield work
        kept.clear()


def tiny_rounds(policy: StagedPolicy, rounds: int, waiting: int) -> Iterator[Callable[[], object]]:
    """One node with two cpus and a queue of equal jobs: one ends, its successor starts, one is submitted."""
    cluster = Cluster()
    cluster.node("a", Amounts(2000, 8 * GIB))
    shape = Shape(Amounts(1000))
    for number in range(waiting):
        cluster.wait(f"j{number}", shape)
    snapshot = cluster.snapshot()
    board = Board.of(snapshot)
    plans = [policy.plan_on(board, snapshot.now_ms)]
    next_id = waiting + 1
    live: list[int] = []
    for _ in range(rounds):
        started = plans[-1].decisions
        changes = _tiny_changes(snapshot, plans[-1], live, next_id)
        live = [job_id for job_id in live if job_id not in changes.running_removed] + [item.starts[0].job_id for item in started]
        next_id += 1
        snapshot = replace(snapshot, revision=changes.revision, now_ms=changes.now_ms)

        def work(changes: Changes = changes) -> None:
            board.advance(changes)
            plans.append(policy.plan_on(board, changes.now_ms))

        yield work


def _tiny_changes(snapshot: Snapshot, plan: Plan, live: list[int], next_id: int) -> Changes:
    rows = [PendingJob(start.starts[0].job_id, 1, 1, submitted_ms=snapshot.now_ms) for start in plan.decisions]
    _, started = committed(replace(snapshot, pending=JobTable.of(rows)), plan)
    new = PendingJob(next_id, 1, 1, submitted_ms=snapshot.now_ms)
    return replace(started, now_ms=snapshot.now_ms + 2, pending={next_id: new}, running_removed=tuple(live[:1]))


def measure(rounds: int, seed: int, only: str) -> Iterator[dict[str, object]]:
    """Every case, one after the other."""
    policy = policy_by_name("default")
    for waiting in (100, 10_000):
        name = f"tiny, {waiting} waiting"
        if only in name:
            yield {"case": name, "kind": "warm", **timed(tiny_rounds(policy, rounds * 10, waiting)).summary()}
    for case in CASES:
        if only not in case.name:
            continue
        log: dict[str, int] = {}
        warm = timed(warm_rounds(case, policy, rounds, seed, log)).summary()
        yield {"case": case.name, "kind": "warm", **warm, **log}
        yield {"case": case.name, "kind": "cold", **timed(cold_rounds(case, policy, max(rounds // 10, 3), seed)).summary()}


def main() -> int:
    """Print one line per case, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    parser.add_argument("--rounds", type=int, default=50, help="cycles per warm case (cold: a tenth)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="the smallest case only, a few rounds: does it run at all?")
    options = parser.parse_args()
    results = []
    rounds, only = (3, "tiny, 100 ") if options.quick else (options.rounds, options.only)
    for result in measure(rounds, options.seed, only):
        results.append(result)
        if not options.json:
            print("  ".join(f"{key}={value}" for key, value in result.items()), flush=True)
    if options.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
