"""How the planning cycle grows: a thousand nodes and a hundred thousand waiting jobs, ten thousand nodes and a million.

``python -m bench.scale [--json] [--rounds N] [--only NAME] [--quick]``. Cycles as `bench.plan` measures them: *cold* builds the board
from a snapshot and plans; *warm* advances the kept board by 100 ends, 100 submissions and the last plan's starts, and plans. Both go
from one snapshot; to draw that of a million jobs takes longer than all the rest, so what goes on is told on the standard error.
``peak_mb`` is the largest resident set of this process so far, so a case is best run alone: the snapshot is part of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator

from bench.plan import Case, Timings, cold_rounds_of, draw_snapshot, timed, warm_rounds_on
from tenure.core.board import Board
from tenure.policies import policy_by_name

CASES = (
    Case("100k pending, 1k shapes, 1k nodes", 1000, 6000, 100_000, 1000),
    Case("1M pending, 1k shapes, 10k nodes", 10_000, 60_000, 1_000_000, 1000),
)
QUICK = (Case("2k pending, 50 shapes, 50 nodes", 50, 300, 2000, 50, churn=10),)
TARGETS_MS = {(CASES[0].name, "warm"): 100, (CASES[0].name, "cold"): 2000, (CASES[1].name, "warm"): 1000}
KIB_PER_MB = 1000 * 1000 / 1024


def tell(text: str) -> None:
    """Say what goes on, and after how much busy time."""
    print(f"[{time.process_time():.0f} s of cpu] {text}", file=sys.stderr, flush=True)


def measure(cases: tuple[Case, ...], policy: str, rounds: int, seed: int) -> Iterator[dict[str, object]]:
    """Cold and warm rounds of each case."""
    chosen = policy_by_name(policy)
    for case in cases:
        tell(f"{case.name}: drawing")
        snapshot = draw_snapshot(case, seed)
        few, log = max(rounds // 10, 3), dict[str, int]()
        tell(f"{case.name}: {few} cold rounds")
        yield row_of(case, "cold", timed(cold_rounds_of(snapshot, chosen, few)))
        tell(f"{case.name}: {rounds} warm rounds")
        yield row_of(case, "warm", timed(warm_rounds_on(Board.of(snapshot), case, chosen, rounds, seed, log))) | log


def row_of(case: Case, kind: str, timings: Timings) -> dict[str, object]:
    """What is printed of some rounds."""
    peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB)
    target_ms = TARGETS_MS.get((case.name, kind))
    return {"case": case.name, "kind": kind, **timings.summary(), "target_ms": target_ms, "peak_mb": peak_mb}


def main() -> int:
    """Print one line per case and kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--rounds", type=int, default=20, help="cycles per warm case (cold: a tenth, at least 3)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="a small case only: figures that mean nothing")
    options = parser.parse_args()
    cases = QUICK if options.quick else tuple(case for case in CASES if options.only in case.name)
    for row in measure(cases, options.policy, 3 if options.quick else options.rounds, options.seed):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
