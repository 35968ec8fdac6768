"""Gangs: all tasks or none, packed or dealt evenly."""

from __future__ import annotations

import pytest

from tenure.core.feasibility import ask_of, node_room
from tenure.core.placement import Layout, Option, arrange, deal, is_dealt_evenly, is_enough
from tenure.model.amounts import Amounts
from tenure.model.shape import Shape
from tenure.testing.builders import Cluster

OPTIONS = [Option(5, 0, 4), Option(1, 1, 2), Option(3, 2, 8), Option(2, 3, 0)]


@pytest.mark.parametrize(
    ("tasks", "nodes", "layout"),
    [
        (1, 0, [(1, 1)]),
        (2, 0, [(1, 2)]),
        (3, 0, [(2, 3)]),
        (8, 0, [(2, 8)]),
        (9, 0, [(1, 1), (2, 8)]),
        (11, 0, [(0, 3), (2, 8)]),
        (14, 0, [(0, 4), (1, 2), (2, 8)]),
        (15, 0, None),
        (2, 2, [(1, 1), (2, 1)]),
        (5, 2, [(1, 2), (2, 3)]),
        (6, 2, [(0, 3), (2, 3)]),
        (8, 3, [(0, 3), (1, 2), (2, 3)]),
        (9, 3, None),
        (4, 4, None),
        (10, 2, None),
    ],
)
def test_arranging(tasks: int, nodes: int, layout: Layout | None) -> None:
    ask = ask_of(Shape(tasks=tasks, nodes=nodes))
    assert arrange(ask, OPTIONS) == layout
    assert is_enough(ask, [option.tasks for option in OPTIONS]) == (layout is not None)


def test_ties_go_to_the_lower_node() -> None:
    assert arrange(ask_of(Shape()), [Option(1, 7, 1), Option(1, 3, 1)]) == [(3, 1)]


def test_tasks_are_numbered_along_the_nodes_and_take_what_they_get() -> None:
    cluster = Cluster()
    rooms = {i: node_room(cluster.node(name, Amounts(4000), 2)) for i, name in enumerate("ab")}
    placements = deal(ask_of(Shape(Amounts(1000), gpu_milli=500, tasks=3)), [(0, 2), (1, 1)], rooms)
    assert [(place.task, place.node_id, place.devices[0].device_id) for place in placements] == [(0, 1, 1), (1, 1, 1), (2, 2, 3)]
    assert (rooms[0].free[0], rooms[1].free[0]) == (2000, 3000)


@pytest.mark.parametrize(
    ("nodes", "even"), [([1, 1, 2, 2], True), ([1, 1, 1, 2], False), ([1, 2, 1], True), ([1, 2, 3], False), ([1], False)]
)
def test_evenness(nodes: list[int], even: bool) -> None:
    assert is_dealt_evenly(ask_of(Shape(tasks=4, nodes=2)), nodes) == even
