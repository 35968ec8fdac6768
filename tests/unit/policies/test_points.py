"""The score that orders waiting jobs, in the numbers that the reference gives."""

from __future__ import annotations

import pytest

from tenure.core.board import Board
from tenure.core.turns import scores_of
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies.points import Points, level_points
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
