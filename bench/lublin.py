"""The Lublin-1 protocol of RLScheduler (D. Zhang et al., SC 2020): mean bounded slowdown of ten sequences beside what was published.

``TENURE_TRACES=DIR python -m bench.lublin [--json] [--policy NAME] [--quick]``. Ten sequences of 1,024 consecutive jobs start on an
empty cluster of 256 processors; run times are known. The best queued job becomes the head *and stays it* however good those are that
come later.
Without backfilling nobody passes the head; with it, others that end before the head's start are tried in the order of their arrival.
Things that happen in the same second are seen one after another, arrivals first. All the rest is the planner of production.

The row ``ours`` is the policy ``tenure`` with endless patience, as it is: its head may change. The longest wait stands beside the
figures, because on this overloaded log the mean is won by letting wide jobs wait.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.published import trace
from tenure.core.backlog import weighs_backlog
from tenure.core.board import Board
from tenure.core.stages import Backfill, Order, Scores, Stages, Vector
from tenure.core.waiting import PRIORITY, Columns
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.policies import StagedPolicy, policy_by_name
from tenure.policies.area import SmallestArea
from tenure.policies.best_fit import BestFit
from tenure.policies.f1 import F1
from tenure.policies.fifo import Fifo
from tenure.policies.shortest import Shortest
from tenure.sim.formats.swf import read_swf
from tenure.sim.machines import parse_nodes
from tenure.sim.metrics import Figures, figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import Exact
from tenure.sim.workload import Workload, workload_of

STARTS = (1981, 2756, 4299, 8850, 3316, 2714, 5228, 7762, 4022, 7085)
LENGTH = 1024
PROCESSORS = 256
QUICK = 100

ORDERS: dict[str, Order] = {"FCFS": Fifo(), "SJF": Shortest(), "F1": F1(), "SAF": SmallestArea()}
"""The orders by the names they have in the paper."""

PUBLISHED = {
    ("FCFS", False): 7273.77,
    ("SJF", False): 277.35,
    ("F1", False): 258.37,
    ("FCFS", True): 235.82,
    ("SJF", True): 73.31,
    ("F1", True): 75.07,
}
ALONE = Backfill("head alone", reserve=1, passing=False)
IN_TIME = Backfill("those that end in time", reserve=1, beside=False, candidates=Fifo())
RULES = Rules(one_by_one=True)
OURS = "ours"
HEAD = 10
"""The priority by which the head is known; the log's own are all 5."""


class HeadFirst:
    """An order behind one job."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.name = f"head, then {order.name}"
        self.distinguishes = order.distinguishes
        self.weighs_backlog = weighs_backlog(order)

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The order's own; the head is above all."""
        own = self.order.scores(columns, ages_ms, settings)
        found: Scores = np.where(columns[PRIORITY] == HEAD, own.dtype.type(2**62), own)
        return found


class HeadStays:
    """A policy whose reservation goes to the same job until it has started, and that takes a job which ends right then for too late."""

    def __init__(self, name: str, order: Order, *, backfills: bool) -> None:
        self.name = name
        self.distinguishes = order.distinguishes
        self.seen: set[int] = set()
        self.policy = StagedPolicy(name, Stages(HeadFirst(order), BestFit(), IN_TIME if backfills else ALONE))

    def plan_on(self, board: Board, now_ms: int, *, decisions_only: bool) -> Plan:
        """The plan; whoever has its reservation is the head from now on."""
        for row in [row for job_id, row in board.waiting.rows.items() if job_id not in self.seen]:
            self.seen.add(row.id)
            board.waiting.put(replace(row, limit_ms=row.limit_ms + 1), board.asks)
        if any(row.priority == HEAD for row in board.waiting.rows.values()):
            return self.policy.plan_on(board, now_ms, decisions_only=True)
        plan = self.policy.plan_on(board, now_ms)
        if plan.reservation is not None and not plan.decisions:
            head = board.waiting.rows[plan.reservation.job_id]
            board.waiting.put(replace(head, priority=HEAD), board.asks)
        return plan


def sequence(log: Workload, first: int) -> Workload:
    """Consecutive jobs of the log on an empty cluster. The clock stays the log's: F1 reads it."""
    return workload_of(f"{first}", log.nodes, log.jobs[first : first + LENGTH])


def measure(only: str, *, quick: bool) -> Iterator[dict[str, object]]:
    """One row per order, with and without backfilling."""
    log = read_swf(trace("swf/lublin-1.swf.gz"), parse_nodes(f"1x{PROCESSORS}c"))
    sequences = [sequence(log, first) for first in STARTS]
    if quick:
        sequences = [jobs.limited(QUICK) for jobs in sequences[:1]]
    for backfills in (False, True):
        for name, order in ORDERS.items():
            if only and only != name:
                continue
            found = [figures_of(Replay(jobs, HeadStays(name, order, backfills=backfills), Exact(), RULES).run()) for jobs in sequences]
            yield {"order": name, "backfilling": backfills, **means(found), "published": PUBLISHED.get((name, backfills))}
    if only in ("", OURS):
        endless = replace(RULES, settings=replace(RULES.settings, patience_ms=0))
        found = [figures_of(Replay(jobs, policy_by_name("tenure"), Exact(), endless).run()) for jobs in sequences]
        yield {"order": OURS, "backfilling": True, **means(found), "published": None}


def means(found: Sequence[Figures]) -> dict[str, float]:
    """The mean over the sequences of the mean slowdown and of the longest wait."""
    return {
        name: round(statistics.fmean(float(figures[key] or 0) / unit for figures in found), 2)
        for name, key, unit in (("avebsld", "avebsld", 1), ("max_wait_h", "max_wait_s", 3600))
    }


def main() -> int:
    """Print one line per case, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--policy", default="", choices=["", *ORDERS, OURS], help="only this order")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK} jobs of the first sequence only: figures that compare with nothing"
    )
    options = parser.parse_args()
    for row in measure(options.policy, quick=options.quick):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
