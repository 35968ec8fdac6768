"""EASY backfilling on KTH-SP2 and SDSC-SP2, beside the figures of E. Gaussier et al. (SC 2015), and how fast the replay goes.

``TENURE_TRACES=DIR python -m bench.easy [--json] [--policy NAME] [--log NAME] [--runtimes KIND] [--quick]``. All jobs of a log, one
pool of processors. With exact run times any correct EASY gives the same figure to the digit; with the users' requests the sum is
chaotic and 1 to 3 % apart is agreement. The longest wait and the mean turnaround stand beside it: a re-ranked queue can win AVEbsld
by starving wide jobs. ``tenure`` is our own order; published for EASY-SJBF on requested times is what it is to be held against, with
EASY's longest wait. ``cpu_s`` is the busy time of this one process for the replay alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from bench.published import trace
from tenure.policies import policy_by_name
from tenure.sim.formats.swf import read_swf
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay
from tenure.sim.runtimes import BY_NAME
from tenure.sim.workload import Workload

LOGS = ("KTH-SP2", "SDSC-SP2")
QUICK = 150


class Case(NamedTuple):
    """A policy and what its planner believes, with the published AVEbsld of each log (0: none)."""

    policy: str
    runtimes: str
    published: tuple[float, float]


CASES = (
    Case("easy", "exact", (71.7224, 70.4779)),
    Case("easy-sjbf", "exact", (49.85, 56.84)),
    Case("easy", "requested", (92.6, 87.9)),
    Case("easy-sjbf", "requested", (69.4, 84.9)),
    Case("easy", "predicted", (0, 0)),
    Case("easy-sjbf", "predicted", (0, 0)),
    Case("tenure", "requested", (0, 0)),
    Case("tenure", "predicted", (0, 0)),
)


def measure(policy: str, log: str, runtimes: str, *, quick: bool) -> Iterator[dict[str, object]]:
    """One row per log and case."""
    for place, name in enumerate(LOGS):
        if log in ("", name):
            jobs = read_swf(trace(f"swf/{name}.swf.gz"))
            workload = jobs.limited(QUICK) if quick else jobs
            for case in CASES:
                if policy in ("", case.policy) and runtimes in ("", case.runtimes):
                    yield {"log": name, **replayed(workload, case), "published": case.published[place] or None}


def replayed(workload: Workload, case: Case) -> dict[str, object]:
    """The figures of one case."""
    began_s = time.process_time()
    result = Replay(workload, policy_by_name(case.policy), BY_NAME[case.runtimes]()).run()
    cpu_s = time.process_time() - began_s
    figures = figures_of(result)
    kept = ("avebsld", "max_wait_s", "mean_wait_s", "mean_turnaround_s", "runtime_accuracy")
    rounded = {name: round(float(figures[name] or 0), 4) for name in kept}
    return {"policy": case.policy, "runtimes": case.runtimes, **rounded, "cpu_s": round(cpu_s, 2), "jobs": len(workload.jobs)}


def main() -> int:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--policy", default="", help="only this policy")
    parser.add_argument("--log", default="", choices=["", *LOGS], help="only this log")
    parser.add_argument("--runtimes", default="", choices=["", *BY_NAME], help="only these beliefs")
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK} jobs only: figures that compare with nothing")
    options = parser.parse_args()
    for row in measure(options.policy, options.log, options.runtimes, quick=options.quick):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
