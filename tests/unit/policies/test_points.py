"""B3's score, in the numbers of the specification, and the registry."""

from __future__ import annotations

import numpy as np
import pytest

from tenure.core.board import Board
from tenure.core.turns import scores_of
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import POLICY_NAMES, policy_by_name
from tenure.policies.fifo import Fifo
from tenure.policies.points import Points, level_points
from tenure.ports import Policy
from tenure.testing.builders import Cluster

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("priority", "points"),
    [(1, 100), (2, 110), (3, 120), (4, 500), (5, 510), (6, 520), (7, 1000), (8, 2000), (9, 2010), (10, 2020)],
)
def test_levels(priority: int, points: int) -> None:
    assert level_points(priority, PlanSettings()) == points


@pytest.mark.parametrize(
    ("shape", "age_ms", "priority", "bonus", "points"),
    [
        (Shape(), 0, 5, 0, 510_000),
        (Shape(), HOUR_MS // 2, 5, 0, 560_000),
        (Shape(), 9 * HOUR_MS, 5, 0, 610_000),
        (Shape(gpu_milli=4000), 0, 5, 0, 470_000),
        (Shape(gpu_milli=500, tasks=4), 0, 5, 0, 490_000),
        (Shape(), 0, 7, 250, 1_250_000),
        (Shape(), -5, 1, 0, 100_000),
    ],
)
def test_the_score_of_a_job(shape: Shape, age_ms: int, priority: int, bonus: int, points: int) -> None:
    cluster = Cluster()
    cluster.node("a")
    cluster.queue("default", bonus=bonus)
    cluster.wait("j", shape, age_ms=age_ms, priority=priority)
    board = Board.of(cluster.snapshot())
    assert scores_of(board, cluster.now_ms, Points()).tolist() == [points]


def test_first_come_first_served_knows_no_points() -> None:
    ages, settings = np.array([0, HOUR_MS]), PlanSettings()
    assert Fifo().ageing(ages, settings).tolist() == [0, 0]
    assert Fifo().ageing_of(HOUR_MS, settings) == 0
    assert Fifo().fixed(np.zeros((9, 2), dtype=np.int64), settings).tolist() == [0, 0]


def test_policies_have_names() -> None:
    assert {"default", "easy", "easy-sjbf", "fifo", "greedy"} <= set(POLICY_NAMES)
    assert list(POLICY_NAMES) == sorted(POLICY_NAMES)
    for name in POLICY_NAMES:
        policy = policy_by_name(name)
        assert isinstance(policy, Policy)
        assert policy.name == name
    with pytest.raises(KeyError, match="there are default, easy, easy-sjbf"):
        policy_by_name("best")
