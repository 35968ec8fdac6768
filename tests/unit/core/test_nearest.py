"""What can never run is answered with the nearest thing that can."""

from __future__ import annotations

import pytest
from hypothesis import given

from tenure.core.feasibility import ask_of, node_room
from tenure.core.nearest import never_fits, smaller
from tenure.core.possible import obstacle
from tenure.model.amounts import GIB, Amounts
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Node
from tenure.model.reasons import DeviceUnavailable, NeverFits, NodeUnavailable
from tenure.model.shape import Shape
from tenure.testing.builders import Cluster
from tenure.testing.strategies import clusters, shapes


def nodes() -> list[Node]:
    """A node with two A100, one with four T4 that drains, one without GPUs that is large."""
    cluster = Cluster()
    cluster.node("a", Amounts(8000, 64 * GIB), 2, model="NVIDIA A100", gpu_memory_bytes=80 * GIB)
    cluster.node("t", Amounts(8000, 64 * GIB), 4, model="Tesla T4", gpu_memory_bytes=16 * GIB, status=NodeStatus.DRAINING)
    cluster.node("big", Amounts(64_000, 512 * GIB), labels=("ssd",))
    return list(cluster.nodes.values())


@pytest.mark.parametrize(
    ("shape", "node", "possible"),
    [
        (Shape(gpu_milli=9000), "t", Shape(gpu_milli=4000)),
        (Shape(gpu_milli=3000, gpu_model="a100"), "a", Shape(gpu_milli=2000, gpu_model="a100")),
        (Shape(gpu_milli=1000, gpu_model="h100"), "a", Shape(gpu_milli=1000)),
        (Shape(Amounts(65_000)), "big", Shape(Amounts(64_000))),
        (Shape(Amounts(64_000), gpu_milli=1000), "a", Shape(Amounts(8000), gpu_milli=1000)),
        (Shape(gpu_milli=1000, gpu_memory_bytes=90 * GIB), "a", Shape(gpu_milli=1000)),
        (Shape(gpu_milli=500, gpu_memory_bytes=90 * GIB), "a", Shape(gpu_milli=500)),
        (Shape(Amounts(1000), labels=("ssd", "hot")), "big", Shape(Amounts(1000), labels=("ssd",))),
        (Shape(Amounts(8000), tasks=99), "a", Shape(Amounts(8000), tasks=10)),
        (Shape(Amounts(8000), tasks=12, nodes=3), "a", Shape(Amounts(8000), tasks=4, nodes=3)),
        (Shape(Amounts(1000), tasks=4, nodes=4), "a", Shape(Amounts(1000), tasks=4, nodes=3)),
    ],
)
def test_the_nearest_thing(shape: Shape, node: str, possible: Shape) -> None:
    nearest = never_fits(nodes(), shape)
    assert nearest is not None
    assert (nearest.node, nearest.shape) == (node, possible)
    assert never_fits(nodes(), possible) is None


@pytest.mark.parametrize("shape", [Shape(), Shape(gpu_milli=4000), Shape(Amounts(64_000)), Shape(Amounts(8000), tasks=10)])
def test_what_declared_nodes_could_hold_is_let_in(shape: Shape) -> None:
    assert never_fits(nodes(), shape) is None


def test_without_nodes_nothing_is_near() -> None:
    nearest = never_fits([], Shape())
    assert nearest is not None
    assert (nearest.node, nearest.shape) == ("", None)
    no_memory = Cluster().node("n", Amounts(1000, 0))
    nothing = never_fits([no_memory], Shape(Amounts(1000, GIB)))
    assert nothing is not None
    assert nothing.shape is None


def test_without_devices_the_rest_is_offered_only_where_that_makes_sense() -> None:
    plain = Cluster().node("n", Amounts(4000))
    asked = Shape(Amounts(1000), gpu_milli=1000)
    nearest = never_fits([plain], asked)
    assert nearest is not None
    assert nearest.shape == Shape(Amounts(1000))
    assert smaller(asked, [node_room(plain)], keep_devices=True) is None
    assert smaller(Shape(labels=("x",)), [node_room(plain)], keep_devices=True) is None


@given(clusters(max_jobs=1), shapes())
def test_what_is_offered_fits_and_is_not_larger(cluster: Cluster, shape: Shape) -> None:
    declared = list(cluster.nodes.values())
    nearest = never_fits(declared, shape)
    if nearest is None or nearest.shape is None:
        return
    found = nearest.shape
    assert never_fits(declared, found) is None
    assert found.amounts.fits_in(shape.amounts)
    assert (found.gpu_milli, found.tasks, found.nodes) <= (shape.gpu_milli, shape.tasks, shape.nodes)
    assert found.gpu_milli <= shape.gpu_milli
    assert found.tasks <= shape.tasks
    assert set(found.labels) <= set(shape.labels)


def test_obstacles_name_what_stands_in_the_way() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000), 1, device_status={0: DeviceStatus.FOREIGN})
    cluster.node("b", Amounts(1000), 2, status=NodeStatus.DRAINING, device_status={1: DeviceStatus.LOST})
    declared = list(cluster.nodes.values())
    assert obstacle(ask_of(Shape()), declared) is None
    assert obstacle(ask_of(Shape(gpu_milli=1000)), declared) == NodeUnavailable((2,))
    assert obstacle(ask_of(Shape(gpu_milli=1000)), declared[:1]) == DeviceUnavailable((1,))
    assert obstacle(ask_of(Shape(gpu_milli=2000)), declared) == NodeUnavailable((2,))
    assert isinstance(obstacle(ask_of(Shape(gpu_milli=3000)), declared), NeverFits)
    unlabelled = obstacle(ask_of(Shape(labels=("class=training", "ssd"))), declared)
    assert isinstance(unlabelled, NeverFits)
    assert unlabelled.labels == ("class=training", "ssd")
