"""Energy and cost of a replay, by hand."""

from __future__ import annotations

import pytest

from tenure.model.amounts import MILLI, Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.machines import parse_nodes
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay
from tenure.sim.workload import TraceJob, Workload, workload_of

HOUR_MS = 3_600_000


def replayed(nodes: str, *jobs: tuple[int, int, int]) -> Workload:
    """Jobs of (submitted hour, hours, cores) on these nodes."""
    drawn = [
        TraceJob(number, str(number), Shape(Amounts(cores * MILLI)), at * HOUR_MS, hours * HOUR_MS, hours * HOUR_MS)
        for number, (at, hours, cores) in enumerate(jobs, 1)
    ]
    return workload_of("w", parse_nodes(nodes), drawn)


def test_energy_counts_idle_time_and_cost_what_is_held() -> None:
    workload = replayed("1x4c,power=900,idle=100,price=2", (0, 1, 4), (2, 2, 2))
    figures = figures_of(Replay(workload, policy_by_name("easy")).run())
    # An hour full, an hour idle, two hours half used; 4 of 4 cores for an hour and 2 of 4 for two, at 2.00 an hour.
    assert figures["energy_kwh"] == pytest.approx(0.9 + 0.1 + 2 * 0.5)
    assert figures["cost"] == pytest.approx(2.0 + 2.0)


def test_a_node_that_sleeps_draws_less_while_it_is_empty() -> None:
    workload = replayed("1x4c,power=900,idle=100,sleep=10", (0, 1, 4), (2, 1, 4))
    figures = figures_of(Replay(workload, policy_by_name("easy")).run())
    assert figures["energy_kwh"] == pytest.approx(0.9 + 0.01 + 0.9)
    assert figures["cost"] is None


def test_where_one_node_says_nothing_nothing_is_guessed() -> None:
    workload = replayed("1x4c,power=900,price=2+1x4c", (0, 1, 4))
    figures = figures_of(Replay(workload, policy_by_name("easy")).run())
    assert (figures["energy_kwh"], figures["cost"]) == (None, None)


def test_the_green_portfolio_draws_less_and_the_cheap_one_costs_less_than_best_fit() -> None:
    from tenure.policies.words import read_policy
    from tenure.sim.replay import Rules

    nodes = "2x8c,power=900,idle=100,price=1+2x8c,power=400,idle=100,price=3"
    workload = replayed(nodes, *[(number // 2, 1 + number % 3, 2 + number % 3) for number in range(24)])
    found = {}
    for word in ("default", "portfolio:profile=green", "portfolio:profile=cheap"):
        policy, settings = read_policy(word, Rules().settings)
        found[word] = figures_of(Replay(workload, policy, rules=Rules(settings=settings)).run())
    default, green, cheap = found.values()
    assert (green["energy_kwh"] or 0) < (default["energy_kwh"] or 0)
    assert (cheap["cost"] or 0) < (default["cost"] or 0) or (cheap["cost"] == default["cost"])
    assert (cheap["cost"] or 0) < (green["cost"] or 0)
