"""The rule that picks a strategy, and that it does not flap."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.strategy import MARGIN_MILLI, MARGIN_PENDING, NAMES, PREDICTIVE, PREEMPTIVE, Pressure, rule, settled
from tenure.model.amounts import Amounts
from tenure.model.lifecycle import DeviceStatus
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.policies.adaptive import MISSING
from tenure.policies.words import BadPolicy, read_policy
from tenure.testing.builders import Cluster

CPU = Shape(Amounts(1000))
pressures = st.builds(Pressure, st.integers(0, 1000), st.integers(0, 30), st.integers(0, 3))


@pytest.mark.parametrize(
    ("utilisation", "pending", "critical", "expected"),
    [
        (810, 1, 1, "preemptive"),
        (800, 1, 1, "delayed"),
        (810, 1, 0, "delayed"),
        (299, 50, 1, "immediate"),
        (300, 11, 0, "predictive"),
        (300, 10, 0, "delayed"),
    ],
)
def test_the_rule(utilisation: int, pending: int, critical: int, expected: str) -> None:
    assert rule(Pressure(utilisation, pending, critical)) == expected


def test_what_there_is_no_part_for_gives_way() -> None:
    assert rule(Pressure(900, 20, 1), [PREEMPTIVE]) == "predictive"
    assert rule(Pressure(900, 20, 1), [PREEMPTIVE, PREDICTIVE]) == "delayed"


@given(
    pressures,
    st.lists(st.tuples(st.integers(-MARGIN_MILLI // 2, MARGIN_MILLI // 2), st.integers(-MARGIN_PENDING // 2, MARGIN_PENDING // 2))),
    st.sets(st.sampled_from([PREEMPTIVE, PREDICTIVE])),
    st.sampled_from(("", *NAMES)),
)
def test_small_changes_change_the_strategy_at_most_once(
    around: Pressure, wobbles: list[tuple[int, int]], without: set[str], before: str
) -> None:
    followed = [settled(before, around, without)]
    for utilisation, pending in wobbles:
        near = replace(around, utilisation_milli=around.utilisation_milli + utilisation, pending=around.pending + pending)
        followed.append(settled(followed[-1], near, without))
    assert sum(one != other for one, other in pairwise(followed)) <= 1
    assert not without & set(followed[1:])


@given(pressures, st.sampled_from(("", *NAMES)))
def test_far_from_every_threshold_the_rule_decides(pressure: Pressure, before: str) -> None:
    near = {
        rule(replace(pressure, utilisation_milli=pressure.utilisation_milli + u, pending=pressure.pending + p))
        for u in range(-MARGIN_MILLI, MARGIN_MILLI + 1, MARGIN_MILLI)
        for p in (-MARGIN_PENDING, 0, MARGIN_PENDING)
    }
    if len(near) == 1:
        assert settled(before, pressure) == rule(pressure)


def test_pressure_counts_what_may_start_and_what_is_offered() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(10_000), gpus=4, device_status={3: DeviceStatus.FOREIGN})
    cluster.run("r", Shape(Amounts(3000), gpu_milli=2000), ["a"])
    for number in range(3):
        cluster.wait(f"w{number}", CPU)
    cluster.wait("urgent", CPU, priority=8)
    cluster.wait("held", CPU, priority=9, held=1)
    assert Pressure.of(Board.of(cluster.snapshot())) == Pressure(666, 4, 1)
    assert Pressure.of(Board.of(Cluster().snapshot())) == Pressure(0, 0, 0)


def half_used() -> Cluster:
    cluster = Cluster()
    cluster.node("a", Amounts(10_000))
    cluster.run("r", Shape(Amounts(5000)), ["a"])
    cluster.wait("w", CPU)
    return cluster


def test_a_plan_says_what_it_followed() -> None:
    snapshot = half_used().snapshot()
    adaptive = policy_by_name("adaptive")
    assert adaptive.plan(snapshot).strategy == "delayed"
    assert policy_by_name("default").plan(snapshot).strategy == ""
    near = replace(half_used().snapshot(), strategy="immediate")
    assert adaptive.plan(near).strategy == "delayed"
    pinned, _ = read_policy("adaptive:strategy=immediate", snapshot.settings)
    assert pinned.plan(snapshot).strategy == "immediate"
    assert pinned.plan(snapshot).decisions == adaptive.plan(snapshot).decisions == policy_by_name("default").plan(snapshot).decisions


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_strategy_that_is_not_there_yet_says_so(name: str) -> None:
    with pytest.raises(BadPolicy, match=f"the strategy {name} is not available yet: it needs .*; leave it out"):
        read_policy(f"adaptive:strategy={name}", half_used().snapshot().settings)


def test_only_an_adaptive_policy_has_strategies() -> None:
    with pytest.raises(BadPolicy, match="a policy has no setting 'strategy'"):
        read_policy("easy:strategy=immediate", half_used().snapshot().settings)
    with pytest.raises(BadPolicy, match="'soon' is no strategy; pin one of immediate, delayed"):
        read_policy("adaptive:strategy=soon", half_used().snapshot().settings)
