"""The published orders, in the numbers of their formulas, and the names by which policies are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tenure.core.board import Board
from tenure.core.forward import first_in_order
from tenure.core.stages import Stages
from tenure.core.turns import scores_of
from tenure.core.waiting import SHARE, WHOLE, Waiting
from tenure.model.amounts import Amounts
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes
from tenure.policies import BACKFILLS, ORDERS, POLICY_NAMES, policy_by_name
from tenure.policies.best_fit import BestFit
from tenure.policies.easy import EASY
from tenure.policies.patience import OVERDUE
from tenure.ports import Policy
from tenure.testing.builders import Cluster

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FOUR_CPUS = Shape(Amounts(1000), tasks=4)


def score(name: str, shape: Shape = FOUR_CPUS, *, age_ms: int = HOUR_MS, now_ms: int = DAY_MS, **columns: int) -> float:
    cluster = Cluster(now_ms=now_ms)
    cluster.node("a")
    cluster.wait("j", shape, age_ms=age_ms, **columns)
    board = Board.of(cluster.snapshot(), ORDERS[name].distinguishes)
    (found,) = scores_of(board, cluster.now_ms, ORDERS[name]).tolist()
    return float(found)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("fifo", 0),
        ("sjf", -HOUR_MS // 2),
        ("spf", -HOUR_MS // 2),
        ("saf", -4 * HOUR_MS // 2),
        ("ljf", 4),
        ("hrrn", 3),
        ("wfp3", 2**3 * 4),
        ("unicep", 2 / math.log2(4)),
        ("f1", -(math.log10(1800) * 4 + 870 * math.log10(86_400 - 3600))),
        ("edf", -(2**61)),
    ],
)
def test_the_formulas(name: str, found: float) -> None:
    assert score(name, limit_ms=HOUR_MS // 2) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "assumed_ms"), [("sjf", 2**61), ("saf", 2**61), ("hrrn", DAY_MS), ("wfp3", DAY_MS), ("unicep", DAY_MS), ("f1", DAY_MS)]
)
def test_a_job_that_says_nothing_of_its_length(name: str, assumed_ms: int) -> None:
    assert score(name) == score(name, limit_ms=assumed_ms)


def test_a_gpu_counts_as_sixteen_cpus() -> None:
    assert score("ljf", Shape(Amounts(8000), 2000)) == 32
    assert score("ljf", Shape(Amounts(48_000), 2000)) == 48
    assert score("ljf", Shape(Amounts(1000), 250, tasks=2)) == 8
    assert score("ljf", Shape()) == 0.001


def test_the_forecast_counts_where_the_order_reads_it() -> None:
    assert score("spf", limit_ms=9000, expected_ms=2000) == -2000
    assert score("sjf", limit_ms=9000, expected_ms=2000) == -9000


def test_the_deadline_counts() -> None:
    assert score("edf", deadline_ms=DAY_MS + 7) == -(DAY_MS + 7)


def test_patience_shrinks_with_the_share_of_the_cluster_and_with_priority() -> None:
    hour = {"limit_ms": HOUR_MS, "now_ms": 10 * DAY_MS}
    quarter, all_cpus = Shape(Amounts(16_000)), Shape(Amounts(64_000))
    assert score("patience", Shape(), age_ms=2 * DAY_MS, **hour) == -HOUR_MS
    assert score("patience", Shape(), age_ms=2 * DAY_MS + 1, **hour) == OVERDUE - 10 * DAY_MS + 1
    assert score("patience", quarter, age_ms=DAY_MS, **hour) == -HOUR_MS
    assert score("patience", quarter, age_ms=DAY_MS + 1, **hour) == OVERDUE - 10 * DAY_MS + 1
    assert score("patience", all_cpus, age_ms=0, **hour) == -HOUR_MS
    assert score("patience", all_cpus, age_ms=1, **hour) == OVERDUE - 10 * DAY_MS + 1
    assert score("patience", quarter, age_ms=DAY_MS // 4, priority=7, **hour) == -HOUR_MS / 4
    assert score("patience", quarter, age_ms=DAY_MS // 4 + 1, priority=7, **hour) == OVERDUE - 10 * DAY_MS + 1
    assert score("patience", Shape(), age_ms=0, priority=4, expected_ms=60_000, **hour) == -120_000
    assert score("patience", Shape()) < score("patience", Shape(), limit_ms=10**12)


def test_patience_may_be_endless() -> None:
    cluster = Cluster(settings=PlanSettings(patience_ms=0))
    cluster.node("a")
    cluster.wait("old", Shape(), age_ms=10**12, limit_ms=HOUR_MS)
    assert scores_of(Board.of(cluster.snapshot(), ("expected_ms",)), cluster.now_ms, ORDERS["patience"]).tolist() == [-HOUR_MS]


def overloaded(days: int, **rest: int) -> dict[str, float]:
    """The scores by patience where jobs for so many days of the only node wait behind two small ones."""
    cluster = Cluster(now_ms=100 * DAY_MS)
    cluster.node("a", Amounts(4000))
    names = {cluster.wait("narrow", Shape(Amounts(1000)), limit_ms=3 * HOUR_MS, **rest).id: "narrow"}
    names[cluster.wait("wide", Shape(Amounts(4000)), limit_ms=HOUR_MS, priority=4, age_ms=0).id] = "wide"
    names[cluster.wait("many", Shape(Amounts(2000)), limit_ms=DAY_MS, array_left=2 * days, age_ms=0).id] = "many"
    cluster.wait("held", Shape(Amounts(4000)), limit_ms=1000 * DAY_MS, held=True)
    board = Board.of(cluster.snapshot(), ("expected_ms",))
    scores = scores_of(board, cluster.now_ms, ORDERS["patience"]).tolist()
    return {names[group.entries[0][1]]: scores[group.slot] for group in board.waiting.groups.values()}


def test_what_waits_makes_patience_longer_than_could_be_kept() -> None:
    just_late = {"age_ms": DAY_MS + 1}
    assert overloaded(3, **just_late)["narrow"] > OVERDUE / 2, "a quarter of the node waits for half of two days"
    assert overloaded(4, **just_late)["narrow"] < 0, "two hours more than four days of work wait"
    assert overloaded(8, age_ms=7 * DAY_MS)["narrow"] < 0
    assert overloaded(8, age_ms=9 * DAY_MS)["narrow"] > OVERDUE / 2, "twice as much work, eight times the patience"


def test_the_smallest_area_goes_first_where_more_waits_than_can_be_done_in_time() -> None:
    within, beyond = overloaded(3), overloaded(4)
    assert within["wide"] > within["narrow"] > within["many"], "by length"
    assert beyond["narrow"] > beyond["wide"] > beyond["many"], "by area"


def test_shares_are_of_what_there_is() -> None:
    cluster = Cluster()
    node = cluster.node("a", Amounts(4000), 4)
    cluster.wait("cpu", Shape(Amounts(1000)))
    cluster.wait("gpu", Shape(Amounts(1000), 2000))
    snapshot = cluster.snapshot()
    board = Board.of(snapshot)
    assert board.waiting.columns[SHARE].tolist() == [WHOLE // 4, WHOLE // 2]
    twin = replace(node, id=2, name="b", devices=())
    board.advance(Changes(snapshot.revision, snapshot.revision + 1, snapshot.now_ms, nodes=(node, twin)))
    assert board.waiting.columns[SHARE].tolist() == [WHOLE // 8, WHOLE // 2]
    board.advance(
        Changes(snapshot.revision + 1, snapshot.revision + 2, snapshot.now_ms, queues=(replace(snapshot.queues[0], bonus=1),))
    )
    assert board.waiting.columns[SHARE].tolist() == [WHOLE // 8, WHOLE // 2]


def test_lone_processors_and_first_seconds_have_a_logarithm() -> None:
    assert score("unicep", Shape(Amounts(1000)), limit_ms=HOUR_MS) == score("unicep", Shape(Amounts(2000)), limit_ms=HOUR_MS) == 1
    assert score("f1", age_ms=DAY_MS, limit_ms=1000) == 0


def test_jobs_are_told_apart_only_where_an_order_needs_it() -> None:
    cluster = Cluster()
    cluster.node("a")
    names = {
        cluster.wait(name, FOUR_CPUS, deadline_ms=cluster.now_ms + due).id: name for name, due in (("b", 20), ("c", 10), ("d", 20))
    }
    by_deadline = Stages(ORDERS["edf"], BestFit(), EASY)
    snapshot = cluster.snapshot()
    board = Board.of(snapshot, by_deadline.distinguishes)
    assert (len(board.waiting.groups), len(Board.of(snapshot).waiting.groups)) == (2, 1)
    assert [names[job_id] for job_id in first_in_order(board, cluster.now_ms, by_deadline, 3)] == ["c", "b", "d"]
    assert [names[job_id] for job_id in first_in_order(board, cluster.now_ms, policy_by_name("easy").stages, 2)] == ["b", "c"]


def test_a_board_that_does_not_tell_apart_what_the_order_reads_is_refused() -> None:
    cluster = Cluster()
    cluster.node("a")
    cluster.wait("b", FOUR_CPUS)
    with pytest.raises(ValueError, match="earliest_deadline reads deadline_ms"):
        policy_by_name("edf").plan_on(Board.of(cluster.snapshot()), cluster.now_ms)
    with pytest.raises(KeyError):
        Waiting((), 0, ("weight",))


def test_policies_have_names() -> None:
    assert {"default", "easy", "easy-sjbf", "fifo", "greedy", "sjf", "sjf-easy", "hrrn-easy-sjbf", "edf-greedy"} <= set(POLICY_NAMES)
    assert list(POLICY_NAMES) == sorted(POLICY_NAMES)
    for name in POLICY_NAMES:
        policy = policy_by_name(name)
        assert isinstance(policy, Policy)
        assert policy.name == name
        order, _, way = name.partition("-")
        if order in ORDERS:
            assert policy.stages.order is ORDERS[order]
            assert policy.stages.backfill.name == (way or "strict")
            assert not way or policy.stages.backfill is BACKFILLS[way]


@pytest.mark.parametrize(("short", "name"), [("default", "points-easy"), ("easy", "fifo-easy"), ("greedy", "points-greedy")])
def test_short_names(short: str, name: str) -> None:
    assert policy_by_name(short).stages == policy_by_name(name).stages


def test_an_unknown_policy_is_told_the_known_ones() -> None:
    with pytest.raises(
        KeyError,
        match=r"no policy is called 'best'; there are adaptive, conservative, default, .*, tenure, and edf, f1, .*-easy-sjbf",
    ):
        policy_by_name("best")
