"""Where a task goes under each placement, on nodes small enough to see why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.board import Board
from tenure.core.mix import ENOUGH, mix_of
from tenure.model.amounts import GIB, MIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.policies import PLACEMENTS, policy_by_name
from tenure.policies.fgd import typical
from tenure.policies.leftovers import CELLS, STEP, worths
from tenure.policies.potential import MOST_KINDS, merged
from tenure.testing.builders import Cluster

CPU = Amounts(cpu_milli=1000, memory_bytes=GIB)
HALF = Shape(CPU, gpu_milli=500)
ONE = Shape(CPU, gpu_milli=1000)
TWO = Shape(CPU, gpu_milli=2000)
NO_GPU = Shape(CPU)
BARE = Shape(gpu_milli=1000, tasks=2)


def chosen(cluster: Cluster, name: str, shape: Shape) -> str:
    """The node on which the placement puts one task of the shape."""
    job = cluster.wait("new", shape)
    plan = policy_by_name(name).plan(cluster.snapshot())
    (start,) = [start for decision in plan.decisions for start in decision.starts if start.job_id == job.id]
    return {node.id: node.name for node in cluster.nodes.values()}[start.placements[0].node_id]


def two_gpus_each(*names: str) -> Cluster:
    cluster = Cluster()
    for name in names:
        cluster.node(name, gpus=2)
    return cluster


@pytest.mark.parametrize(
    ("name", "expected"),
    [("first-fit", "a"), ("best-fit", "b"), ("gpu-packing", "b"), ("dot-product", "b"), ("spread", "d"), ("gpu-clustering", "c")],
)
def test_a_half_goes(name: str, expected: str) -> None:
    """Of ``a`` one GPU of two is taken, of ``b`` one and a half, of ``c`` half its only one, of the eight of ``d`` none."""
    cluster = Cluster()
    for node, gpus in (("a", 2), ("b", 2), ("c", 1), ("d", 8)):
        cluster.node(node, gpus=gpus)
    cluster.run("one", ONE, on="a")
    cluster.run("another", ONE, on="b")
    cluster.run("half", HALF, on="b")
    cluster.run("part", HALF, on="c")
    assert chosen(cluster, name, HALF) == expected


def test_packing_opens_a_used_node_before_an_unused_one() -> None:
    cluster = two_gpus_each("a", "b")
    cluster.run("one", ONE, on="b")
    assert chosen(cluster, "gpu-packing", ONE) == "b"


def test_clustering_keeps_kinds_apart() -> None:
    cluster = two_gpus_each("a", "b", "c")
    cluster.run("half", HALF, on="a")
    cluster.run("one", ONE, on="b")
    assert chosen(cluster, "gpu-clustering", ONE) == "b"


def test_clustering_opens_an_unused_node_rather_than_mix() -> None:
    cluster = two_gpus_each("a", "b")
    cluster.run("half", HALF, on="a")
    assert chosen(cluster, "gpu-clustering", ONE) == "b"


def test_clustering_tells_two_gpus_from_one() -> None:
    cluster = two_gpus_each("a", "b", "c", "d")
    cluster.run("one", ONE, on="a")
    cluster.node("e", gpus=4)
    cluster.run("two", TWO, on="e")
    assert chosen(cluster, "gpu-clustering", TWO) == "e"


@pytest.mark.parametrize("name", ["potential", "best-fit"])
def test_without_gpus_our_own_is_best_fit(name: str) -> None:
    cluster = Cluster()
    for node, cores in (("a", 10), ("b", 30), ("c", 20)):
        cluster.node(node)
        cluster.run(f"load on {node}", Shape(Amounts(cpu_milli=cores * MILLI)), on=node)
    assert chosen(cluster, name, NO_GPU) == "b"


@pytest.mark.parametrize(("shapes", "found"), [((BARE,), "best_fit"), ((BARE, HALF), "potential"), ((BARE, ONE), "potential")])
def test_where_whole_gpus_are_all_that_is_asked_for_our_own_is_best_fit(shapes: tuple[Shape, ...], found: str) -> None:
    cluster = two_gpus_each("a")
    for number, shape in enumerate(shapes):
        cluster.wait(f"j{number}", shape)
    assert policy_by_name("potential").stages.score.on(Board.of(cluster.snapshot())).name == found


def test_short_names_have_their_placement_unless_another_is_named() -> None:
    assert policy_by_name("tenure").stages.score is policy_by_name("potential").stages.score
    assert policy_by_name("tenure+fgd").stages.order is policy_by_name("tenure").stages.order


def test_two_gpus_go_where_one_group_holds_both() -> None:
    cluster = Cluster()
    cluster.node("a", gpus=4, per_group=2)
    cluster.node("b", gpus=4, per_group=2)
    cluster.run("apart", ONE, on="a", devices=[0])
    cluster.run("too", ONE, on="a", devices=[2])
    cluster.run("together", TWO, on="b", devices=[0, 1])
    assert chosen(cluster, "gpu-locality", TWO) == "b"


def test_one_gpu_goes_to_the_least_loaded_node() -> None:
    cluster = two_gpus_each("a", "b")
    cluster.run("one", ONE, on="a")
    assert chosen(cluster, "gpu-locality", ONE) == "b"


@pytest.mark.parametrize(("taken", "expected"), [((20, 0, 30), "a"), ((60, 40, 0), "b"), ((60, 0, 0), "b")])
def test_cpu_goes_where_use_is_moderate(taken: tuple[int, int, int], expected: str) -> None:
    cluster = Cluster()
    for node, cores in zip("abc", taken, strict=True):
        cluster.node(node)
        if cores:
            cluster.run(f"load on {node}", Shape(Amounts(cpu_milli=cores * MILLI)), on=node)
    assert chosen(cluster, "cpu-bands", NO_GPU) == expected


def test_cpu_goes_where_more_memory_is_free() -> None:
    cluster = Cluster()
    cluster.node("a")
    cluster.node("b")
    cluster.run("large", Shape(Amounts(memory_bytes=100 * GIB)), on="a")
    assert chosen(cluster, "cpu-bands", NO_GPU) == "b"


@pytest.mark.parametrize("name", ["fgd", "potential"])
def test_a_small_part_fills_a_gap_that_is_of_no_use_to_others(name: str) -> None:
    """Ten tasks of 0.5 say what is asked for: 0.4 of a device are of no use to them, an empty device is."""
    cluster = two_gpus_each("a", "b", "c")
    cluster.run("large", Shape(CPU, gpu_milli=600), on="b")
    for number in range(4):
        cluster.run(f"half {number}", HALF, on="c")
    assert chosen(cluster, name, Shape(CPU, gpu_milli=300)) == "b"


@pytest.mark.parametrize("name", ["fgd", "potential"])
def test_a_task_without_gpus_keeps_away_from_gpus_that_would_lack_cpu(name: str) -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(8 * MILLI, 64 * GIB), gpus=1)
    cluster.node("b", Amounts(64 * MILLI, 64 * GIB), gpus=1)
    cluster.run("typical", Shape(Amounts(8 * MILLI, GIB), gpu_milli=1000), on="b")
    assert chosen(cluster, name, NO_GPU) == "b"


def test_potential_sees_cpu_run_out_before_nothing_fits() -> None:
    """After four cores are gone a typical task still fits on either node, but only one of them can use its two GPUs then."""
    cluster = Cluster()
    cluster.node("a", Amounts(18 * MILLI, 64 * GIB), gpus=2)
    cluster.node("b", Amounts(24 * MILLI, 64 * GIB), gpus=2)
    cluster.node("c", Amounts(8 * MILLI, 64 * GIB), gpus=1)
    cluster.run("typical", Shape(Amounts(8 * MILLI, GIB), gpu_milli=1000), on="c")
    task = Shape(Amounts(4 * MILLI, GIB))
    assert chosen(cluster, "potential", task) == "b"


def test_the_worth_of_what_is_left_is_what_can_be_cut_from_it() -> None:
    found = worths([(810, 100), (470, 100), (190, 1)])
    assert len(found) == CELLS + 1
    assert [found[milli // STEP] for milli in (0, 180, 530, 810, 1000)] == [0, 0, 500, 1000, 1000]
    assert found == sorted(found)


def test_pieces_that_complete_each_other_cost_a_device_together() -> None:
    found = worths([(650, 50), (320, 50)])
    assert found[65] + found[32] == 1000
    assert found[65] > found[32] > 0


def test_a_mix_without_fractions_leaves_nothing_of_worth() -> None:
    assert worths([]) == [0] * (CELLS + 1)


def test_the_mix_is_that_of_the_oldest_running_jobs() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000 * MILLI, 1000 * GIB), gpus=8)
    for number in range(ENOUGH):
        cluster.run(f"old {number}", NO_GPU, on="a")
    cluster.run("new", ONE, on="a")
    cluster.wait("waits", TWO)
    board = Board.of(cluster.snapshot())
    ((ask, count),) = mix_of(board).tasks
    assert (ask.whole, count) == (0, ENOUGH)
    assert mix_of(board) is mix_of(board)


def test_while_few_run_those_that_wait_are_asked_too() -> None:
    cluster = two_gpus_each("a")
    cluster.run("runs", ONE, on="a")
    cluster.wait("waits", replace(TWO, tasks=3))
    assert [(ask.whole, count) for ask, count in mix_of(Board.of(cluster.snapshot())).tasks] == [(2, 3), (1, 1)]


def test_typical_requests_make_nearly_all_tasks() -> None:
    cluster = two_gpus_each("a")
    for number in range(24):
        cluster.wait(f"half {number}", HALF)
    cluster.wait("rare", TWO)
    mix = mix_of(Board.of(cluster.snapshot()))
    assert [(kind.ask.milli, kind.tasks) for kind in typical(mix)] == [(500, 24)]


def test_requests_that_are_nearly_alike_are_one_kind() -> None:
    cluster = two_gpus_each("a")
    for number, (cpu, memory) in enumerate([(1000, 1000), (1010, 1010), (4000, 1000)]):
        cluster.wait(f"job {number}", Shape(Amounts(cpu, memory * MIB), gpu_milli=1000))
    kinds = merged(mix_of(Board.of(cluster.snapshot())))
    assert [(kind.tasks, kind.cpu_milli, kind.memory_mib) for kind in kinds] == [(2, 1005, 1005), (1, 4000, 1000)]


def test_kinds_that_weigh_little_are_left_out() -> None:
    cluster = two_gpus_each("a")
    for number in range(MOST_KINDS + 5):
        cluster.wait(f"job {number}", Shape(CPU, gpu_milli=10 * (number + 1)))
    kinds = merged(mix_of(Board.of(cluster.snapshot())))
    assert len(kinds) == MOST_KINDS


def test_a_policy_names_an_order_and_a_placement() -> None:
    policy = policy_by_name("sjf-easy+fgd")
    assert policy.stages.order.name == policy_by_name("sjf-easy").stages.order.name
    assert policy.stages.score is PLACEMENTS["fgd"]
    assert policy_by_name("spread").stages == policy_by_name("default+spread").stages
    assert policy_by_name("random").stages.lots


@pytest.mark.parametrize("name", ["default+", "+fgd", "default+best", "fgd+default"])
def test_half_a_name_is_none(name: str) -> None:
    with pytest.raises(KeyError, match=r"by \+ with one of best-fit, cheapest, cpu-bands"):
        policy_by_name(name)


def test_lots_choose_among_equals_and_only_among_them() -> None:
    cluster = two_gpus_each("a", "b", "c", "d")
    cluster.run("one", ONE, on="d")
    cluster.wait("new", ONE)
    snapshots = [replace(cluster.snapshot(), revision=revision) for revision in range(40)]
    policy = policy_by_name("spread")
    drawn = type(policy)("lots", replace(policy.stages, lots=7))
    nodes = {drawn.plan(snapshot).decisions[0].starts[0].placements[0].node_id for snapshot in snapshots}
    assert nodes == {cluster.nodes[name].id for name in "abc"}
    assert {policy.plan(snapshot).decisions[0].starts[0].placements[0].node_id for snapshot in snapshots} == {cluster.nodes["a"].id}


@pytest.mark.parametrize(("name", "expected"), [("least-loaded", "a"), ("spread", "b")])
def test_the_least_loaded_node_is_the_one_whose_scarcest_resource_is_least_used(name: str, expected: str) -> None:
    """On average ``b`` is used less than ``a``, but of its memory nearly everything is."""
    cluster = Cluster()
    for node in ("a", "b"):
        cluster.node(node, amounts=Amounts(cpu_milli=10_000, memory_bytes=10 * GIB))
    cluster.run("evenly", Shape(Amounts(cpu_milli=5000, memory_bytes=5 * GIB)), on="a")
    cluster.run("eater", Shape(Amounts(cpu_milli=1000, memory_bytes=8 * GIB)), on="b")
    assert chosen(cluster, name, NO_GPU) == expected
