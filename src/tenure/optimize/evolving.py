"""Genetic and particle swarm search, by pymoo (J. Blank and K. Deb, "pymoo: multi-objective optimization in Python", IEEE Access 8,
2020).

Both work on random keys (J. Bean, "Genetic algorithms and random keys for sequencing and optimization", ORSA J. Computing 6(2), 1994):
a number per job, sorted to an order that the decoder places, so every individual is feasible. The numbers of a swarm have a geometry
then, which node numbers would not. At most two individuals are orders that are known: more would converge on them. Invariant: the same
instance, orders, units and seed give the same answer, and it is never worse than any order it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tenure.core.columns import Floats
from tenure.optimize.annealing import best_of
from tenure.optimize.instance import Instance
from tenure.optimize.schedule import Decoder

PEOPLE = 24
"""How many individuals there are at a time."""

SEEDED = 2


class MissingLibrary(RuntimeError):
    """The library that a search needs is not installed. The text is one sentence with the way out."""


def genetic(instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int) -> list[int]:
    """The best order that a genetic algorithm finds by placing at most so many tokens. Raises MissingLibrary."""
    try:
        from pymoo.algorithms.soo.nonconvex.ga import GA
    except ImportError:
        raise MissingLibrary("genetic search needs pymoo; install it with: pip install 'tenure[moo]'") from None
    return _evolved(instance, orders, units, seed, lambda start: GA(pop_size=len(start), sampling=start))


def swarm(instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int) -> list[int]:
    """The same by a particle swarm. Raises MissingLibrary."""
    try:
        from pymoo.algorithms.soo.nonconvex.pso import PSO
    except ImportError:
        raise MissingLibrary("swarm search needs pymoo; install it with: pip install 'tenure[moo]'") from None
    return _evolved(instance, orders, units, seed, lambda start: PSO(pop_size=len(start), sampling=start))


def _evolved(instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int, method: Callable[[Floats], Any]) -> list[int]:
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    decoder, size = Decoder(instance), len(instance.tokens)
    best, value = best_of(decoder, instance, orders)
    rounds = (units - decoder.spent) // max(size * PEOPLE, 1)
    if rounds < 1 or size - instance.pinned < 2:
        return best

    class Keys(ElementwiseProblem):  # type: ignore[misc]
        """One number per token; the smaller goes first."""

        def __init__(self) -> None:
            super().__init__(n_var=size, n_obj=1, xl=0.0, xu=1.0)

        def _evaluate(self, x: Floats, out: dict[str, Any], *_: Any, **__: Any) -> None:
            nonlocal best, value
            order = instance.canonical(np.argsort(x, kind="stable").tolist())
            found = decoder.fitness(order).value
            if found > value:
                best, value = order, found
            out["F"] = -found

    minimize(Keys(), method(_start(instance, orders, seed)), ("n_gen", rounds), seed=seed % 2**31, verbose=False)
    return best


def _start(instance: Instance, orders: Sequence[Sequence[int]], seed: int) -> Floats:
    """The first individuals: known orders as evenly spaced numbers, the others drawn."""
    size = len(instance.tokens)
    found: Floats = np.random.default_rng(seed).random((PEOPLE, size))
    for row, order in enumerate(orders[:SEEDED]):
        found[row, list(order)] = (np.arange(size) + 0.5) / size
    return found
