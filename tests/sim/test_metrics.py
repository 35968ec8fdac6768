"""Figures: worked out by hand on a few jobs, and pinned on drawn workloads, so that a change of any decision is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.feasibility import node_room, take
from tenure.model.allocation import DeviceShare
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.sim.fragmentation import Fragmentation, demand_of, stranded_milli
from tenure.sim.metrics import Figures, figures_of, jain, quantile
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import BY_NAME
from tenure.sim.workload import TraceJob, Workload, workload_of
from tenure.testing.strategies import shapes, snapshots
from tests.sim.drawn import SECOND_MS, batch, cluster, mixed, placement_study, pool
from tests.support.examples import examples

DEFAULT = Rules()


def figures(workload: Workload, policy: str = "easy", runtimes: str = "exact", rules: Rules = DEFAULT) -> Figures:
    """The figures of one replay."""
    return figures_of(Replay(workload, policy_by_name(policy), BY_NAME[runtimes](), rules).run())


def one(number: int, at_s: int, width: int, run_s: int, user: str, deadline_s: int = 0) -> TraceJob:
    """A job of a pool."""
    shape = Shape(Amounts(cpu_milli=width * MILLI))
    return TraceJob(
        number, f"j{number}", shape, at_s * SECOND_MS, run_s * SECOND_MS, user=user, project="p", deadline_ms=deadline_s * SECOND_MS
    )


def test_figures_by_hand() -> None:
    # 0-100 s: job 1 on 4 of 4 processors. 100-120 s: job 2 on all. 120-124 s: job 3 on 2.
    jobs = [one(1, 0, 4, 100, "a", 100), one(2, 50, 4, 20, "b", 119), one(3, 60, 2, 4, "b")]
    found = figures(workload_of("three", [pool(4)], jobs))
    slowdowns = [1.0, 70 / 20, 64 / 10]
    assert found["avebsld"] == pytest.approx(sum(slowdowns) / 3)
    assert (found["mean_wait_s"], found["p50_wait_s"], found["p95_wait_s"], found["max_wait_s"]) == (110 / 3, 50, 60, 60)
    assert found["mean_turnaround_s"] == (100 + 70 + 64) / 3
    assert found["makespan_s"] == 124
    assert found["cpu_utilisation_pct"] == pytest.approx(100 * (400 + 80 + 8) / (4 * 124))
    assert found["gpu_allocated_pct"] is None
    assert found["fairness_jain"] == pytest.approx(jain([1.0, (3.5 + 6.4) / 2]))
    assert (found["deadlines"], found["deadline_hits"], found["deadline_hit_pct"]) == (2, 1, 50.0)
    assert (found["jobs"], found["started"], found["ended"], found["dropped"], found["waiting"]) == (3, 3, 3, 0, 0)
    assert found["decisions"] == 3
    assert found["decisions_per_s"] is not None


def test_the_accuracy_of_beliefs() -> None:
    jobs = [replace(one(1, 0, 1, 10, "a"), requested_ms=40_000), replace(one(2, 0, 1, 10, "a"), requested_ms=10_000)]
    assert figures(workload_of("two", [pool(4)], jobs), runtimes="requested")["runtime_accuracy"] == (0.25 + 1) / 2


def test_nothing_means_nothing() -> None:
    found = figures(workload_of("empty", [pool(4)], []))
    assert found["avebsld"] is None
    assert found["max_wait_s"] is None
    assert found["cpu_utilisation_pct"] is None
    assert found["jobs"] == 0


def test_fairness_is_one_for_equals_and_one_nth_for_one_who_bears_all() -> None:
    assert jain([2.0, 2.0, 2.0]) == pytest.approx(1)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(1 / 4)
    assert jain([]) is None


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (51, 3), (95, 4), (100, 4)])
def test_a_quantile_is_one_of_the_values(percent: int, value: int) -> None:
    assert quantile([1, 2, 3, 4], percent) == value


def test_what_is_free_is_stranded_for_those_it_does_not_serve() -> None:
    node = node_room(cluster(1)[0])
    take(node, (30 * MILLI, 0, 0, 0), [DeviceShare(100, 600, 48 * GIB)])

    def stranded(**wanted: int) -> float:
        amounts = Amounts(wanted.pop("cpu", 1) * MILLI)
        return stranded_milli([node], demand_of([TraceJob(1, "j", Shape(amounts, **wanted), 0, 0)]))

    assert stranded() == 3400  # it needs no GPU: all that is free is of no use to it
    assert stranded(gpu_milli=1000) == 400  # the shared device is of no use, the three others are
    assert stranded(gpu_milli=400) == 0
    assert stranded(gpu_milli=500) == 400
    assert stranded(gpu_milli=4000) == 3400  # there are only three
    assert stranded(gpu_milli=400, cpu=3) == 3400  # the cpus are missing


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(policy_by_name("default")), st.lists(shapes(), max_size=8))
def test_all_nodes_are_measured_at_once_as_one_by_one(snapshot: Snapshot, wanted: list[Shape]) -> None:
    rooms = Board.of(snapshot).rooms
    demand = demand_of(TraceJob(number, "j", shape, 0, 0) for number, shape in enumerate(wanted))
    assert Fragmentation(rooms, demand).stranded_milli() == pytest.approx(stranded_milli(rooms.nodes, demand))


def test_a_placement_study_is_measured_at_its_end() -> None:
    result = Replay(placement_study(3), policy_by_name("greedy"), rules=Rules(drop=True)).run()
    found = figures_of(result)
    placed = [job for job, at in zip(result.workload.jobs, result.started_ms, strict=True) if at >= 0]
    assert found["gpu_allocated_pct"] == pytest.approx(100 * sum(job.shape.gpu_milli * job.shape.tasks for job in placed) / 12_000)
    last = result.samples[-1]
    assert found["gpu_allocated_pct"] == pytest.approx(100 * last.allocated_milli / 12_000)
    assert last.arrived_milli == sum(job.shape.gpu_milli * job.shape.tasks for job in result.workload.jobs)
    assert found["fragmentation_pct"] == pytest.approx(100 * last.stranded_milli / 12_000)
    assert found["avebsld"] is None
    assert found["makespan_s"] is None
    assert found["dropped"] == len(result.workload.jobs) - len(placed)


KEYS = ("avebsld", "mean_wait_s", "max_wait_s", "makespan_s", "cpu_utilisation_pct", "gpu_allocated_pct", "fragmentation_pct")
GOLDEN: dict[tuple[str, str, str], tuple[float | None, ...]] = {
    ("batch", "easy", "exact"): (43.72519444, 1267.69, 4710.0, 15332.0, 82.03430733, None, None),
    ("batch", "easy", "requested"): (48.11268333, 1387.415, 5535.0, 15257.0, 82.43756964, None, None),
    ("batch", "easy", "predicted"): (65.01704722, 1360.525, 10580.0, 16342.0, 76.96426386, None, None),
    ("batch", "greedy", "requested"): (61.78401667, 1187.505, 9850.0, 15612.0, 80.56302844, None, None),
    ("mixed", "default", "requested"): (4.01008333, 252.75, 5340.0, 7090.0, 32.71039022, 83.23342736, 8.96618625),
    ("mixed", "easy", "exact"): (5.47304167, 437.33333333, 3400.0, 6900.0, 33.61111111, 85.52536232, 6.46188447),
    ("mixed", "greedy", "predicted"): (3.024875, 244.16666667, 5840.0, 7590.0, 30.55555556, 77.75032938, 8.04624369),
}


@pytest.mark.parametrize(("drawn", "policy", "runtimes"), sorted(GOLDEN))
def test_figures_of_drawn_workloads(drawn: str, policy: str, runtimes: str) -> None:
    workload = {"batch": batch, "mixed": mixed}[drawn](1)
    found = figures(workload, policy, runtimes)
    rounded = tuple(None if found[key] is None else round(float(found[key] or 0), 8) for key in KEYS)
    assert rounded == GOLDEN[drawn, policy, runtimes]
