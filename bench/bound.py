"""How much of openb's GPUs any policy could allocate: a bound for policies that take every pod as long as all that came can be held.

``TENURE_TRACES=DIR python -m bench.bound [--seeds N] [--first SEED] [--lists A,B] [--json] [--quick]``. Parts of GPUs are cut from
devices as rolls are from stock; whatever the nodes' cpu and memory allow is left aside, so the true optimum lies below. Everything
that arrives up to ``accepted_until`` must be on some device in the end; of all that comes later the best may be chosen with
hindsight. The linear program over cutting patterns is solved by generating columns (P. Gilmore and R. Gomory, Operations Research
9(6), 1961); its optimum, integers or not, is the bound. Without a number, ``accepted_until`` is the latest arrival up to which
everything could be held at all, in percent of all GPUs. Needs scipy, which comes with ``pip install -e '.[test]'``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]

from bench.openb import FIRST_SEED, LISTS, workload_of
from tenure.model.amounts import MILLI
from tenure.policies.leftovers import CELLS, STEP, fill

LEVELS = (90.0, 92.0, 94.0)
MISSING = 10.0 * CELLS
"""What it costs to leave out a piece that must be there: more than any device is worth."""

NOTHING = 1e-6


class Demand(NamedTuple):
    """Pieces by size in steps: how many there must be, and how many there may be."""

    must: Counter[int]
    may: Counter[int]


def pieces(milli: int) -> list[int]:
    """What a request takes of devices, each in steps."""
    return [CELLS] * (milli // MILLI) if milli >= MILLI else [milli // STEP] if milli else []


def bound(devices: int, demand: Demand) -> float | None:
    """The most steps that can be allocated; None where not even all that must be there fits."""
    sizes = sorted(demand.may)
    patterns: list[tuple[int, ...]] = [tuple(int(size == other) for other in sizes) for size in sizes]
    while True:
        value, missing, prices, price = _solve(devices, demand, sizes, patterns)
        values, pattern = fill(sizes, [size - paid for size, paid in zip(sizes, prices, strict=True)])
        if values[CELLS] <= price + NOTHING:
            return None if missing > NOTHING else value
        patterns.append(tuple(pattern.count(position) for position in range(len(sizes))))


def _solve(
    devices: int, demand: Demand, sizes: Sequence[int], patterns: Sequence[tuple[int, ...]]
) -> tuple[float, float, list[float], float]:
    """The optimum over these patterns: what is allocated, what must be there and is not, what a piece of each size costs, a device."""
    count, kinds = len(patterns), len(sizes)
    cut = np.array(patterns, dtype=np.float64).T
    filled = np.array(sizes) @ cut
    cost = np.concatenate((-filled, np.full(kinds, MISSING)))
    rows = np.block([[np.ones((1, count)), np.zeros((1, kinds))], [-cut, -np.eye(kinds)], [cut, np.zeros((kinds, kinds))]])
    limits = [devices, *(-demand.must[size] for size in sizes), *(demand.may[size] for size in sizes)]
    found = linprog(cost, A_ub=rows, b_ub=limits, method="highs")
    duals = -found.ineqlin.marginals
    prices = (duals[1 + kinds :] - duals[1 : 1 + kinds]).tolist()
    return float(filled @ found.x[:count]), float(found.x[count:].sum()), prices, float(duals[0])


class Study:
    """The arrivals of one list and seed."""

    def __init__(self, name: str, seed: int) -> None:
        workload = workload_of(name, "name", seed)
        self.requests = [job.shape.gpu_milli for job in workload.jobs]
        self.devices = sum(len(node.devices) for node in workload.nodes)
        self.arrived = np.cumsum(self.requests)
        self.may = self._pieces(len(self.requests))

    def _pieces(self, count: int) -> Counter[int]:
        return Counter(piece for milli in self.requests[:count] for piece in pieces(milli))

    def allocated(self, count: int) -> float | None:
        """The bound in percent if the first ``count`` must all be there; None where they cannot."""
        found = bound(self.devices, Demand(self._pieces(count), self.may))
        return None if found is None else 100 * found / (CELLS * self.devices)

    def until(self, percent: float) -> int:
        """How many arrive until so much of all GPUs was asked for."""
        return int(np.searchsorted(self.arrived, percent / 100 * self.devices * MILLI, side="right"))

    def percent(self, count: int) -> float:
        """The other way round."""
        return 100 * float(self.arrived[count - 1]) / (self.devices * MILLI)

    def most(self) -> int:
        """The largest number of first arrivals that can be held together."""
        low, high = self.until(LEVELS[0]), self.until(100.0) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.allocated(middle) is None else (middle, high)
        return low


def measure(lists: Sequence[str], seeds: range) -> Iterator[dict[str, object]]:
    """One row per list and level, means over the seeds."""
    for name in lists:
        studies = [Study(name, seed) for seed in seeds]
        for level in (*LEVELS, None):
            counts = [study.most() if level is None else study.until(level) for study in studies]
            found = [study.allocated(count) or 0.0 for study, count in zip(studies, counts, strict=True)]
            until = fmean(study.percent(count) for study, count in zip(studies, counts, strict=True))
            row: dict[str, object] = {"list": name, "accepted_until": round(until, 2), "all_that_fits": level is None}
            yield {**row, "bound": round(fmean(found), 2), "seeds": f"{seeds[0]}-{seeds[-1]}"}


def main() -> int:
    """Print one line per list and level."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--seeds", type=int, default=10, help="so many seeds (default 10)")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help=f"the first of them (default {FIRST_SEED})")
    parser.add_argument(
        "--lists", type=lambda text: text.split(","), default=["default"], help=f"of {','.join(LISTS)}; default default"
    )
    parser.add_argument("--quick", action="store_true", help="one seed only")
    options = parser.parse_args()
    if unknown := sorted(set(options.lists) - set(LISTS)):
        parser.error(f"{unknown[0]!r} is none of {', '.join(LISTS)}")
    for row in measure(options.lists, range(options.first, options.first + (1 if options.quick else options.seeds))):
        print(json.dumps(row) if options.json else "  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
