"""Pools in a replay: nobody runs where it may not, own nodes come first, and least GPU memory before that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.amounts import GIB, Amounts
from tenure.model.node import Device, Node
from tenure.model.pool import Pool
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.decisions import records_of
from tenure.sim.pools import in_pools
from tenure.sim.replay import Replay
from tenure.sim.results import START
from tenure.sim.runtimes import Requested
from tenure.sim.workload import BadWorkload, TraceJob, workload_of
from tests.sim.drawn import mixed
from tests.support.examples import examples

POOLS = (
    Pool("training", nodes=("n1",), classes=("training",)),
    Pool("serving", nodes=("n2",), classes=("inference", "general"), borrow=True),
    Pool("compute", nodes=("n3",), classes=("compute",)),
)


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(1, 10_000), policy=st.sampled_from(("resource_pooling", "default", "tenure")))
def test_nothing_runs_in_a_pool_that_is_not_for_it(seed: int, policy: str) -> None:
    workload = in_pools(mixed(seed, 40), POOLS)
    names = {node.id: set(node.labels) for node in workload.nodes}
    result = Replay(workload, policy_by_name(policy), Requested()).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    for action in result.actions:
        if action.kind == START:
            wanted = set(workload.jobs[action.job].shape.labels)
            assert all(wanted <= names[place.node_id] for place in action.placements)
    assert all(end >= 0 for end in result.ended_ms)


def gpu_node(number: int, gib: int, label: str = "") -> Node:
    """A node with two GPUs of so much memory."""
    devices = tuple(Device(number * 10 + at, number, at, f"G{number}-{at}", "A100", gib * GIB, 0) for at in range(2))
    return Node(number, f"n{number}", Amounts(16_000, 64 * GIB), devices, labels=(label,) if label else ())


def test_own_nodes_first_then_borrowed_ones_and_the_least_memory_that_will_do() -> None:
    nodes = [gpu_node(1, 80), gpu_node(2, 24), gpu_node(3, 24)]
    pools = (Pool("a", nodes=("n1", "n2"), classes=("training",)), Pool("b", nodes=("n3",), classes=("inference",), borrow=True))
    shape = Shape(Amounts(1000), 1000, 16 * GIB)
    jobs = [TraceJob(number, f"j{number}", shape, number, 3_600_000, 7_200_000) for number in range(1, 7)]
    workload = in_pools(workload_of("six", nodes, jobs), pools)
    result = Replay(workload, policy_by_name("resource_pooling"), Requested()).run()
    assert [action.placements[0].node_id for action in result.actions[:6]] == [2, 2, 1, 1, 3, 3]


def test_work_that_no_pool_takes_is_refused() -> None:
    with pytest.raises(BadWorkload, match="no pool takes compute work"):
        in_pools(mixed(1, 40), tuple(Pool(f"p{n}", nodes=(f"n{n}",), classes=("training", "general", "inference")) for n in (1, 2, 3)))
