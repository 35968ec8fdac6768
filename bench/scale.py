"""How the planning cycle grows: a thousand nodes and a hundred thousand waiting jobs, ten thousand nodes and a million.

``python -m bench.scale [--json] [--rounds N] [--only NAME] [--quick]``. Cycles as `bench.plan` measures them: *warm* advances the kept
board by 100 ends, 100 submissions and the last plan's starts, and plans; *cold* builds the board from a snapshot first. ``peak_mb`` is
the largest resident set of this process so far, so a case is best run alone: the snapshot and what makes the changes are part of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterator

from bench.plan import Case, cold_rounds, timed, warm_rounds
from tenure.policies import policy_by_name

CASES = (
    Case("100k pending, 1k shapes, 1k nodes", 1000, 6000, 100_000, 1000),
    Case("1M pending, 1k shapes, 10k nodes", 10_000, 60_000, 1_000_000, 1000),
)
QUICK = (Case("2k pending, 50 shapes, 50 nodes", 50, 300, 2000, 50, churn=10),)
TARGETS_MS = {(CASES[0].name, "warm"): 100, (CASES[0].name, "cold"): 2000, (CASES[1].name, "warm"): 1000}
KIB_PER_MB = 1000 * 1000 / 1024


def measure(cases: tuple[Case, ...], policy: str, rounds: int, seed: int) -> Iterator[dict[str, object]]:
    """Warm and cold rounds of each case."""
    chosen = policy_by_name(policy)
    for case in cases:
        log: dict[str, int] = {}
        for kind in ("warm", "cold"):
            if kind == "warm":
                timings = timed(warm_rounds(case, chosen, rounds, seed, log))
            else:
                timings = timed(cold_rounds(case, chosen, max(rounds // 10, 3), seed))
            peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB)
            target_ms = TARGETS_MS.get((case.name, kind))
            counts = log if kind == "warm" else {}
            yield {"case": case.name, "kind": kind, **timings.summary(), "target_ms": target_ms, "peak_mb": peak_mb, **counts}


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
