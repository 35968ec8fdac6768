"""The exact solver, OR-Tools CP-SAT: the best schedule of a few jobs, and who should start now of many gangs.

`solve` is the oracle: it places every task on a node and in time, with the capacities of whole nodes as constraints, and proves a
bound. It knows cpu, memory, storage, bandwidth and thousandths of GPUs of a node, not the single device, so for fractions its bound is
that of a relaxation, which no schedule can beat. `pack` chooses the gangs that fill what is free now with the most priority-weighted
shares. Both answer with orders, which the decoder judges like any other. The work is bounded by the solver's deterministic time.
Invariant: the same instance, units and seed give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tenure.core.objectives import BOUND_MS, WHOLE
from tenure.model.amounts import MILLI
from tenure.optimize.annealing import best_of
from tenure.optimize.evolving import MissingLibrary
from tenure.optimize.instance import Instance, Token
from tenure.optimize.schedule import Decoder
from tenure.optimize.timeline import State

MOST_TASKS = 400
"""Tasks times nodes beyond which a whole schedule is not attempted."""

TICKS = 4096
"""So fine is the solver's time: the horizon is divided into so many steps, lengths rounded up."""

UNITS_PER_SECOND = 20_000
"""Placed tokens that one second of the solver's deterministic time is worth."""

COMPLETION, MAKESPAN = "completion", "makespan"


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found: an order by start (None: nothing in time), its value and a bound that no schedule is below, in steps of
    ``step_ms``: the last end, or the sum of priority times delay over length."""

    order: list[int] | None
    value: int
    bound: int
    proven: bool
    step_ms: int


def _solver(units: int, seed: int) -> tuple[Any, Any]:
    """The solver's module and a solver bounded by deterministic time, on one thread. Raises MissingLibrary."""
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise MissingLibrary("the exact solver needs ortools; install it with: pip install 'tenure[opt]'") from None
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed % 2**31
    solver.parameters.max_deterministic_time = units / UNITS_PER_SECOND
    return cp_model, solver


def exact(instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int) -> list[int]:
    """The best of these orders, of the solver's schedule where the instance is small, and of its packing. Raises MissingLibrary."""
    found = [list(order) for order in orders]
    tasks = sum(token.tasks * len(token.usable) for token in instance.tokens)
    if 0 < tasks <= MOST_TASKS:
        order = solve(instance, units // 2, seed).order
        found += [order] if order is not None else []
    packed = pack(instance, units // 4, seed)
    found.append(instance.canonical([*packed, *(place for place in orders[0] if place not in packed)]))
    return best_of(Decoder(instance), instance, found)[0]


def solve(instance: Instance, units: int, seed: int, objective: str = COMPLETION) -> Solution:
    """The best schedule in time and space. Raises MissingLibrary, and KeyError for another objective than the two."""
    cp_model, solver = _solver(units, seed)
    model, tokens = cp_model.CpModel(), instance.tokens
    horizon_ms = max(instance.ends_ms - instance.now_ms, 1) + sum(token.length_ms for token in tokens)
    step_ms = max(-(-horizon_ms // TICKS), 1)
    steps = -(-horizon_ms // step_ms) + len(tokens) + 1
    uses: list[list[tuple[Any, tuple[int, ...]]]] = [[] for _ in instance.rooms]
    begins = [_placed(model, uses, token, steps, step_ms) for token in tokens]
    for index in range(len(instance.rooms)):
        _limit(model, instance, index, uses[index], steps, step_ms)
    ends = [begin + -(-token.length_ms // step_ms) for begin, token in zip(begins, tokens, strict=True)]
    if {COMPLETION: False, MAKESPAN: True}[objective]:
        last = model.new_int_var(0, steps, "last")
        for end in ends:
            model.add(end <= last)
        model.minimize(last)
    else:
        model.minimize(sum(weight_of(token, step_ms) * begin for token, begin in zip(tokens, begins, strict=True)))
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solution(None, 0, round(solver.best_objective_bound), proven=False, step_ms=step_ms)
    times = [solver.value(begin) for begin in begins]
    order = instance.canonical(sorted(range(len(tokens)), key=lambda place: (times[place], place)))
    value, bound = round(solver.objective_value), round(solver.best_objective_bound)
    return Solution(order, value, bound, status == cp_model.OPTIMAL, step_ms)


def weight_of(token: Token, step_ms: int) -> int:
    """What a step of delay costs: the priority by the length, in whole numbers."""
    return max(token.priority * WHOLE * step_ms // max(token.length_ms, BOUND_MS), 1)


def _placed(model: Any, uses: list[list[tuple[Any, tuple[int, ...]]]], token: Token, steps: int, step_ms: int) -> Any:
    """A start in time for a token, with one optional interval per task and node; every task is on one node."""
    length = -(-token.length_ms // step_ms)
    begin = model.new_int_var(0, steps - length, "begin")
    for _ in range(token.tasks):
        present = []
        for index, site in zip(token.usable, token.sites, strict=True):
            here = model.new_bool_var("here")
            present.append(here)
            interval = model.new_optional_fixed_size_interval_var(begin, length, here, "task")
            uses[index].append((interval, _need(token, site.ask.whole * MILLI + site.ask.milli)))
        model.add_exactly_one(present)
    return begin


def _need(token: Token, gpu_milli: int) -> tuple[int, ...]:
    return (*token.sites[0].ask.need, gpu_milli)


def _limit(model: Any, instance: Instance, index: int, uses: list[tuple[Any, tuple[int, ...]]], steps: int, step_ms: int) -> None:
    """Never more on a node than is free: what is held now is an interval from the beginning until it comes back."""
    line = [(state.at_ms, _free(instance, index, state)) for state in instance.lines[index]]
    ample = line[-1][1]
    taken = []
    for (_, free), (until_ms, later) in pairwise(line):
        end = min(-(-(until_ms - instance.now_ms) // step_ms), steps)
        held = tuple(after - before for before, after in zip(free, later, strict=True))
        taken.append((model.new_fixed_size_interval_var(0, end, "held"), held))
    for resource, capacity in enumerate(ample):
        unit = max(capacity // 1_000_000, 1)
        wanted = [(interval, -(-need[resource] // unit)) for interval, need in (*uses, *taken) if need[resource] > 0]
        if wanted:
            model.add_cumulative([each for each, _ in wanted], [size for _, size in wanted], capacity // unit)


def _free(instance: Instance, index: int, state: State) -> tuple[int, ...]:
    devices = instance.rooms[index].devices
    return (*state.free, sum(milli for milli, device in zip(state.milli, devices, strict=True) if device.offered))


def pack(instance: Instance, units: int, seed: int) -> list[int]:
    """The tokens that should start now, all tasks or none: the most priority-weighted shares of nodes. Raises MissingLibrary."""
    cp_model, solver = _solver(units, seed)
    model, gains = cp_model.CpModel(), []
    room = [list(_free(instance, index, line[0])) for index, line in enumerate(instance.lines)]
    load: list[list[tuple[Any, tuple[int, ...]]]] = [[] for _ in room]
    chosen = []
    for token in instance.tokens:
        runs = model.new_bool_var("runs")
        chosen.append(runs)
        counts = []
        for index, site in zip(token.usable, token.sites, strict=True):
            many = model.new_int_var(0, token.tasks, "many")
            counts.append(many)
            load[index].append((many, _need(token, site.ask.whole * MILLI + site.ask.milli)))
        model.add(sum(counts) == token.tasks * runs)
        gains.append(token.priority * max(min(token.shares, default=0), 1) * token.tasks * runs)
    for index, uses in enumerate(load):
        for resource, free in enumerate(room[index]):
            terms = [need[resource] * many for many, need in uses if need[resource]]
            if terms:
                model.add(sum(terms) <= free)
    model.maximize(sum(gains))
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return []
    return [place for place, runs in enumerate(chosen) if solver.value(runs)]
