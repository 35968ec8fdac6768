"""Simulated annealing with delta moves, our own: half the moves swap two jobs, half put one job elsewhere.

S. Kirkpatrick, C. Gelatt and M. Vecchi, "Optimization by simulated annealing", Science 220, 1983. A move is worth what it changes from
its first place on, since the decoder keeps what stands before; places are drawn in favour of the front, where starts are decided. The
temperature falls geometrically with the work done, never with a clock. Invariant: the same instance, orders, units and seed give the
same answer, and it is never worse than any order it was given.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp

from tenure.optimize.instance import Instance
from tenure.optimize.schedule import BEST, Decoder

HOT, COLD = 0.004 * BEST, 0.00002 * BEST
"""The temperature at the beginning and at the end."""


def anneal(instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int) -> list[int]:
    """The best order found by placing at most so many tokens; ``orders`` are where to begin, the best of them is."""
    decoder, chance = Decoder(instance), random.Random(seed)
    best, value = best_of(decoder, instance, orders)
    current, now, size = best, value, len(instance.tokens)
    if size - instance.pinned < 2:
        return best
    begun, total = decoder.spent, max(units - decoder.spent, 1)
    while decoder.spent < units:
        heat = HOT * (COLD / HOT) ** min((decoder.spent - begun) / total, 1.0)
        moved = instance.canonical(_moved(current, instance.pinned, chance))
        found = decoder.fitness(moved).value if moved != current else now
        decoder.spent += 1  # a move that changes nothing is work too, or the loop might not end
        if found >= now or chance.random() < exp((found - now) / heat):
            current, now = moved, found
            if now > value:
                best, value = current, now
    return best


def best_of(decoder: Decoder, instance: Instance, orders: Sequence[Sequence[int]]) -> tuple[list[int], int]:
    """The best of these orders and its fitness; the first of several. Raises ValueError of none."""
    found = [(decoder.fitness(order).value, -place, list(order)) for place, order in enumerate(map(instance.canonical, orders))]
    value, _, order = max(found)
    return order, value


def _moved(order: Sequence[int], pinned: int, chance: random.Random) -> list[int]:
    found, size = list(order), len(order)
    one = pinned + int((size - pinned) * chance.random() ** 2)
    other = chance.randrange(pinned, size)
    if chance.random() < 0.5:
        found[one], found[other] = found[other], found[one]
    else:
        found.insert(one, found.pop(other))
    return found
