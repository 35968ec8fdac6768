"""Advice on small clusters: each kind where it helps, and none where it does not, or where too few runs are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tenure.core.advice import GIVEN, LEAST_RUNS, Advice, AdviceKind, Habit, Known, advise, limit_for, memory_for
from tenure.core.whatif import altered
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.lifecycle import NodeStatus
from tenure.model.project import Bundle
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import Cluster

HOUR = 3_600_000
POLICY = policy_by_name("default")
MODEST = Habit(runs=9, peak_memory_bytes=3 * GIB, longest_ms=10 * 60_000, watched=9, gpu_percent=20, gpu_memory_bytes=4 * GIB)


def advice(cluster: Cluster, known: Known) -> list[Advice]:
    return advise(cluster.snapshot(), POLICY.stages, known)


def check(cluster: Cluster, one: Advice) -> None:
    """After the change a plan starts what was said to start."""
    plan = POLICY.plan(altered(cluster.snapshot(), [one.change.alteration]))
    started = {start.job_id for decision in plan.decisions for start in decision.starts}
    assert started.issuperset(one.now)


def memory_asked(gib: int = 64, limit_ms: int = HOUR) -> Cluster:
    cluster = Cluster()
    cluster.node("a", Amounts(8 * MILLI, 64 * GIB))
    cluster.run("r", Shape(Amounts(MILLI, 32 * GIB)), ["a"], ends_ms=HOUR)
    cluster.wait("w", Shape(Amounts(MILLI, gib * GIB)), limit_ms=limit_ms)
    return cluster


def limit_asked() -> Cluster:
    """The head needs both cpus in half an hour; a short job would fit before it."""
    cluster = Cluster()
    cluster.node("a", Amounts(2 * MILLI, GIB))
    cluster.run("r", Shape(Amounts(MILLI)), ["a"], ends_ms=HOUR // 2)
    cluster.wait("head", Shape(Amounts(2 * MILLI)), limit_ms=HOUR, age_ms=1000)
    cluster.wait("w", Shape(Amounts(MILLI)), limit_ms=2 * HOUR)
    return cluster


def gpu_asked() -> Cluster:
    cluster = Cluster()
    cluster.node("a", gpus=1)
    cluster.run("r", Shape(Amounts(MILLI), gpu_milli=500), ["a"], ends_ms=HOUR)
    cluster.wait("w", Shape(Amounts(MILLI), gpu_milli=MILLI), limit_ms=HOUR)
    return cluster


def idle_held() -> Cluster:
    cluster = Cluster()
    cluster.node("a", gpus=1)
    cluster.run("r", Shape(Amounts(MILLI), gpu_milli=MILLI), ["a"], ends_ms=HOUR)
    cluster.wait("w", Shape(Amounts(MILLI), gpu_milli=MILLI), limit_ms=HOUR)
    return cluster


def drained() -> Cluster:
    cluster = Cluster()
    cluster.node("a", status=NodeStatus.DRAINING)
    cluster.wait("w", Shape(Amounts(MILLI)), limit_ms=HOUR)
    return cluster


def in_pieces() -> Cluster:
    cluster = Cluster()
    cluster.node("a", gpus=2)
    cluster.node("b", gpus=2)
    for name in ("a", "b"):
        cluster.run(f"r{name}", Shape(Amounts(MILLI), gpu_milli=MILLI), [name], ends_ms=HOUR)
    cluster.wait("w", Shape(Amounts(MILLI), gpu_milli=2 * MILLI), limit_ms=HOUR)
    return cluster


def at_quota() -> Cluster:
    cluster = Cluster()
    cluster.node("a", Amounts(8 * MILLI, 64 * GIB))
    project = cluster.project("p", quota=Bundle(MILLI, -1, -1), borrow=False)
    cluster.run("r", Shape(Amounts(MILLI)), ["a"], ends_ms=HOUR, project=project.id)
    cluster.wait("w", Shape(Amounts(MILLI)), limit_ms=HOUR, project=project.id)
    return cluster


CASES: dict[AdviceKind, tuple[Callable[[], Cluster], Callable[[Cluster], Known]]] = {
    AdviceKind.LESS_MEMORY: (memory_asked, lambda c: Known({c.jobs["w"]: MODEST})),
    AdviceKind.SHORTER_LIMIT: (limit_asked, lambda c: Known({c.jobs["w"]: MODEST})),
    AdviceKind.SHARED_GPU: (gpu_asked, lambda c: Known({c.jobs["w"]: MODEST})),
    AdviceKind.FREE_IDLE_GPU: (idle_held, lambda c: Known(idle=(c.jobs["r"],))),
    AdviceKind.RESUME_NODE: (drained, lambda _c: Known()),
    AdviceKind.MOVE: (in_pieces, lambda c: Known(movable={c.jobs["ra"]: 1, c.jobs["rb"]: 2})),
    AdviceKind.LET_BORROW: (at_quota, lambda _c: Known()),
}


@pytest.mark.parametrize("kind", AdviceKind)
def test_each_kind_helps_where_it_is_given(kind: AdviceKind) -> None:
    make, know = CASES[kind]
    cluster = make()
    found = advice(cluster, know(cluster))
    assert [one.change.kind for one in found] == [kind]
    assert found[0].now == (cluster.jobs["w"],)
    check(cluster, found[0])
    assert advice(cluster, know(cluster)) == found


def test_nothing_is_said_where_nothing_is_known_or_nobody_waits() -> None:
    for kind in (AdviceKind.LESS_MEMORY, AdviceKind.SHORTER_LIMIT, AdviceKind.SHARED_GPU, AdviceKind.FREE_IDLE_GPU, AdviceKind.MOVE):
        assert advice(CASES[kind][0](), Known()) == []
    empty = Cluster()
    empty.node("a", status=NodeStatus.DRAINING)
    assert advice(empty, Known(idle=(1,))) == []


def test_too_few_runs_prove_nothing() -> None:
    few = replace(MODEST, runs=LEAST_RUNS - 1, watched=LEAST_RUNS - 1)
    for kind in (AdviceKind.LESS_MEMORY, AdviceKind.SHORTER_LIMIT, AdviceKind.SHARED_GPU):
        cluster = CASES[kind][0]()
        assert advice(cluster, Known({cluster.jobs["w"]: few})) == []


def test_what_would_not_help_is_not_said() -> None:
    """Half of the memory would still not fit beside what runs there."""
    cluster = memory_asked(gib=64)
    used = replace(MODEST, peak_memory_bytes=25 * GIB)
    assert memory_for(used.peak_memory_bytes) == 64 * GIB
    assert advice(cluster, Known({cluster.jobs["w"]: used})) == []


def test_a_move_that_only_changes_places_is_not_advised() -> None:
    cluster = in_pieces()
    cluster.node("c", gpus=0)
    cluster.run("rc", Shape(Amounts(MILLI), gpu_milli=MILLI), ["b"], ends_ms=HOUR)
    assert advice(cluster, Known(movable=dict.fromkeys(range(1, 9), 1))) == []


def test_of_jobs_that_are_alike_one_speaks_for_all_and_the_number_is_bounded() -> None:
    cluster = memory_asked()
    for number in range(3):
        cluster.wait(f"same{number}", Shape(Amounts(MILLI, 64 * GIB)), limit_ms=HOUR)
    habits = dict.fromkeys(cluster.pending, MODEST)
    assert len(advice(cluster, Known(habits))) == 1
    for gib in range(40, 60):
        job = cluster.wait(f"other{gib}", Shape(Amounts(MILLI, gib * GIB)), limit_ms=HOUR)
        habits[job.id] = MODEST
    assert len(advice(cluster, Known(habits))) == GIVEN


def test_what_is_proposed_leaves_a_margin() -> None:
    assert memory_for(3 * GIB) == 8 * GIB
    assert memory_for(1) == 256 * 2**20
    assert limit_for(60_000) == 120_000
    assert limit_for(1) == 60_000
    assert limit_for(10 * 60_000) == 15 * 60_000
