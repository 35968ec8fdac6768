"""What is left of a device, in worth: the share of a device that the fractions which still fit into it would otherwise take.

Fractions of typical sizes are cut from devices like rolls of paper from a stock. The dual prices of that linear program say what a
fraction of each size costs in devices when all are cut as well as possible (P. Gilmore and R. Gomory, "A linear programming approach to
the cutting-stock problem", Operations Research 9(6), 1961): of a mix with many 0.81 and few 0.19, a 0.81 costs a whole device and
0.19 are worth nothing. The worth of a leftover is the most that the fractions in it cost. Solved by generating columns, as published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tenure.core.columns import Floats
from tenure.model.amounts import MILLI

STEP = 10
"""Sizes are rounded up to so many thousandths."""

CELLS = MILLI // STEP
MOST_SIZES = 16
MOST_ROUNDS = 64
NOTHING = 1e-9


def worths(fractions: Iterable[tuple[int, int]]) -> list[int]:
    """Thousandths of a device that so many steps of free thousandths are worth, 0 to `CELLS` of them.

    ``fractions`` are (thousandths, how many); those that take most of all devices together are looked at.
    """
    demand: Counter[int] = Counter()
    for milli, count in fractions:
        demand[-(-milli // STEP)] += count
    asked = sorted(demand.items(), key=lambda item: (-item[0] * item[1], item[0]))[:MOST_SIZES]
    sizes = sorted((size for size, count in asked if count > 0), reverse=True)
    if not sizes:
        return [0] * (CELLS + 1)
    values, _ = fill(sizes, _prices(sizes, np.array([demand[size] for size in sizes], dtype=np.float64)))
    return [min(round(value * MILLI), MILLI) for value in values]


def _prices(sizes: list[int], demand: Floats) -> list[float]:
    """The dual prices: begin with one size per device, bring in the pattern that is worth most until none is worth more than one."""
    count = len(sizes)
    basis = np.diag([float(CELLS // size) for size in sizes])
    level = demand / np.diag(basis)
    prices: list[float] = []
    for _ in range(MOST_ROUNDS):
        prices = np.linalg.solve(basis.T, np.ones(count)).tolist()
        values, pattern = fill(sizes, prices)
        if values[CELLS] <= 1 + NOTHING:
            break
        column = np.array([float(pattern.count(position)) for position in range(count)])
        change = np.linalg.solve(basis, column)
        ratios = np.where(change > NOTHING, level / np.where(change > NOTHING, change, 1.0), np.inf)
        leaves = int(ratios.argmin())
        entering = float(ratios[leaves])
        level = np.maximum(level - entering * change, 0.0)
        level[leaves] = entering
        basis[:, leaves] = column
    return prices


def fill(sizes: Sequence[int], prices: Sequence[float]) -> tuple[list[float], list[int]]:
    """The most worth that fits into each number of steps (the knapsack), and the positions of the sizes that fill a whole device."""
    values, last = [0.0] * (CELLS + 1), [-1] * (CELLS + 1)
    for steps in range(1, CELLS + 1):
        values[steps] = values[steps - 1]
        for position, size in enumerate(sizes):
            if size <= steps and values[steps - size] + prices[position] > values[steps] + NOTHING:
                values[steps], last[steps] = values[steps - size] + prices[position], position
    pattern: list[int] = []
    steps = CELLS
    while steps > 0:
        if last[steps] >= 0:
            pattern.append(last[steps])
        steps -= sizes[last[steps]] if last[steps] >= 0 else 1
    return values, pattern
