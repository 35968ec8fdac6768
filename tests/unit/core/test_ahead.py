"""Looking ahead along time limits, and explaining: what properties do not pin down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.backfill import earliest
from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.cycle import plan_on_board
from tenure.core.feasibility import ask_of
from tenure.core.forward import ROUND_UNITS, look_ahead
from tenure.core.horizon import bounds
from tenure.core.mix import mix_of
from tenure.core.tables import NodeTable
from tenure.model.amounts import GIB, Amounts
from tenure.model.explanation import Change, ExpectedStart, UnknownStart
from tenure.model.forecast import Forecast
from tenure.model.plan import Plan
from tenure.model.reasons import ArrayCap, Capacity, Held, NotBefore, NotReached, QueuePaused, WouldDelay
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.policies.words import read_policy
from tenure.testing.builders import NOW_MS, Cluster

DEFAULT, EASY = policy_by_name("default"), policy_by_name("easy")
CPU = Shape(Amounts(1000))


def line(jobs: int, limit_ms: int = 100) -> Cluster:
    """One cpu that is busy until 50, and a line of jobs."""
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    for number in range(jobs):
        cluster.wait(f"j{number}", CPU, limit_ms=limit_ms)
    return cluster


def test_a_line_moves_up_limit_by_limit() -> None:
    cluster = line(3)
    board = Board.of(cluster.snapshot())
    timeline = DEFAULT.expected_starts(board, NOW_MS, 2)
    assert timeline.starts == {2: NOW_MS + 50, 3: NOW_MS + 150}
    assert timeline.unknown == {}


@pytest.mark.parametrize("units", [1, 2 * (ROUND_UNITS + 2)])
def test_a_look_ahead_that_runs_out_of_budget_says_so(units: int) -> None:
    cluster = line(3)
    board = Board.of(cluster.snapshot())
    before = board.content()
    timeline = look_ahead(board, NOW_MS, DEFAULT.stages, [4], units)
    assert timeline.unknown == {4: UnknownStart.TOO_FAR}
    assert board.content() == before
    with pytest.raises(KeyError):
        look_ahead(board, NOW_MS, DEFAULT.stages, [99])


def test_who_is_foreseen_in_its_window_fills_it_in_the_sight_of_those_beside_it() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000))
    cluster.window("kept", ["a"], 0, 1000, project="vision", amounts=Amounts(2000))
    pair = Shape(Amounts(2000))
    cluster.run("r", pair, ["a"], ends_ms=50)
    cluster.wait("inside", pair, limit_ms=500, project=cluster.project("vision").id)
    cluster.wait("outside", pair, limit_ms=10)
    timeline = DEFAULT.expected_starts(Board.of(cluster.snapshot()), NOW_MS, 2)
    assert timeline.starts == {2: NOW_MS, 3: NOW_MS + 50}


def test_what_is_foreseen_to_run_is_asked_for_only_as_long_as_one_looks_ahead() -> None:
    cluster = line(3)
    cluster.wait("other", Shape(Amounts(500)), limit_ms=10)
    board = Board.of(cluster.snapshot())
    before, asked = mix_of(board), []

    def planning(board: Board, at_ms: int, budget: UnitBudget) -> Plan:
        asked.append(dict(mix_of(board).tasks))
        return plan_on_board(board, at_ms, DEFAULT.stages, budget)

    look_ahead(board, NOW_MS, DEFAULT.stages, [2, 3, 4, 5], planning=planning)
    assert [sum(counts.values()) for counts in asked] == [5, 4, 3, 2, 1]
    assert mix_of(board) is before
    assert board.census.shapes() == {1: 1}


def test_an_array_gets_places_back_as_its_elements_end() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000))
    job = cluster.wait("array", CPU, limit_ms=10, is_array=1, array_left=5, array_room=0)
    cluster.run("element", CPU, ["a"], ends_ms=30, array_id=job.id)
    cluster.wait("after", Shape(Amounts(4000)), limit_ms=10)
    board = Board.of(cluster.snapshot())
    timeline = look_ahead(board, NOW_MS, EASY.stages, [job.id, 3])
    assert timeline.starts == {job.id: NOW_MS + 30, 3: NOW_MS + 80}


def test_forecasts_bound_the_start_from_below() -> None:
    cluster = line(1)
    snapshot = replace(cluster.snapshot(), forecasts={1: Forecast(1, 21, 40, "m", 0)})
    assert DEFAULT.explain(cluster.snapshot(), 2).start == ExpectedStart(NOW_MS, NOW_MS + 50)
    assert DEFAULT.explain(snapshot, 2).start == ExpectedStart(NOW_MS + 20, NOW_MS + 50)


def test_only_who_waits_is_explained() -> None:
    snapshot = line(1).snapshot()
    with pytest.raises(KeyError):
        DEFAULT.explain(snapshot, 1)


def test_what_starts_needs_no_reason() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(2000))
    job = cluster.wait("j", CPU)
    array = cluster.wait("array", CPU, is_array=1, array_left=5, array_room=1)
    explanation = DEFAULT.explain(cluster.snapshot(), job.id)
    assert explanation.starts_now
    assert explanation.blockers == ()
    partly = DEFAULT.explain(cluster.snapshot(), array.id)
    assert partly.starts_now
    assert partly.blockers[0] == ArrayCap()
    assert partly.suggestions == ()


def test_all_blockers_are_told() -> None:
    cluster = line(1)
    cluster.queue("off", paused=True)
    job = cluster.wait("j", CPU, queue="off", held=1, eligible_ms=NOW_MS + 9)
    explanation = DEFAULT.explain(cluster.snapshot(), job.id)
    assert explanation.blockers[:3] == (Held(), NotBefore(NOW_MS + 9), QueuePaused(2))
    assert isinstance(explanation.blockers[3], Capacity)
    assert explanation.start.unknown is UnknownStart.NOT_READY
    assert explanation.suggestions == ()


def test_who_holds_what_is_lacking() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(8000, 8 * GIB), 2)
    cluster.run("gpus", Shape(gpu_milli=2000), ["a"])
    cluster.run("cpus", Shape(Amounts(1000)), ["a"], ends_ms=70)
    job = cluster.wait("j", Shape(Amounts(1000), gpu_milli=1000))
    explanation = DEFAULT.explain(cluster.snapshot(), job.id)
    (holder,) = explanation.holders
    assert (holder.job_id, holder.node_id, holder.ends_ms, len(holder.devices), holder.planned) == (1, 1, 0, 2, False)
    assert explanation.start.unknown is UnknownStart.NO_LIMIT


def test_a_shorter_time_lets_a_job_go_ahead() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(2000))
    cluster.run("r", CPU, ["a"], ends_ms=600_000)
    cluster.wait("head", Shape(Amounts(2000)), limit_ms=1000, priority=7)
    job = cluster.wait("long", CPU, limit_ms=3_600_000)
    explanation = DEFAULT.explain(cluster.snapshot(), job.id)
    assert explanation.blockers == (WouldDelay(2, NOW_MS + 600_000),)
    shorter = [item for item in explanation.suggestions if item.change is Change.SHORTER]
    assert [item.limit_ms for item in shorter] == [540_000]
    unlimited = cluster.wait("unlimited", CPU)
    *cheap, last = DEFAULT.explain(cluster.snapshot(), unlimited.id).suggestions
    costs = [item.cost_milli for item in cheap]
    assert costs == sorted(costs)
    assert costs
    assert (last.change, last.priority, last.start_ms) == (Change.PRIORITY, 9, 0)


def test_another_queue_or_less_of_something_may_help() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000, 8 * GIB))
    cluster.queue("default", paused=True)
    cluster.queue("open")
    cluster.queue("short", max_limit_ms=10)
    job = cluster.wait("j", Shape(Amounts(4000)))
    moved = DEFAULT.explain(cluster.snapshot(), job.id).suggestions
    assert [(item.change, item.queue) for item in moved] == [(Change.OTHER_QUEUE, 2)]
    cluster.queue("default")
    cluster.run("r", CPU, ["a"])
    smaller = DEFAULT.explain(cluster.snapshot(), job.id).suggestions
    assert [(item.change, item.shape, item.cost_milli) for item in smaller] == [(Change.SMALLER, Shape(Amounts(3000)), 250)]


def test_a_cycle_that_stops_looking_says_so() -> None:
    cluster = Cluster(settings=PlanSettings(backfill_depth=1))
    cluster.node("a", Amounts(3000))
    cluster.run("r", CPU, ["a"], ends_ms=90)
    cluster.wait("head", Shape(Amounts(3000)), limit_ms=9)
    for limit_ms in (5, 6, 7):
        cluster.wait(f"short{limit_ms}", CPU, limit_ms=limit_ms)
    snapshot = cluster.snapshot()
    assert len(EASY.plan(snapshot).decisions) == 1
    assert EASY.explain(snapshot, 4).blockers == (NotReached(),)


def test_no_time_suffices_for_what_never_fits_together() -> None:
    ask = ask_of(Shape(Amounts(1), tasks=5))
    assert earliest(ask, [(1, 0, 2), (4, 0, 3), (4, 1, 1)]) is None
    assert earliest(ask, [(1, 0, 2), (4, 0, 3), (4, 1, 2)]) == (4, {0: 3, 1: 2})
    assert earliest(ask, [(1, 0, 2), (3, 0, 0), (4, 1, 5)]) == (4, {1: 5})


def test_a_look_ahead_ends_after_so_many_points_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.core.forward.ROUNDS", 1)
    board = Board.of(line(2).snapshot())
    assert look_ahead(board, NOW_MS, DEFAULT.stages, [2]).unknown == {2: UnknownStart.TOO_FAR}


def test_a_device_that_is_gone_bounds_nothing() -> None:
    cluster = Cluster()
    cluster.node("a", gpus=2)
    cluster.run("r", Shape(gpu_milli=2000), ["a"], ends_ms=5)
    snapshot = cluster.snapshot()
    smaller = replace(snapshot.nodes[0], devices=snapshot.nodes[0].devices[:1])
    rooms = Board.of(replace(snapshot, nodes=(smaller,))).rooms
    found = bounds(NodeTable(rooms), ask_of(Shape(gpu_milli=1000)), NOW_MS)
    assert found.tolist() == [NOW_MS + 5]


@pytest.mark.parametrize(("profile", "second"), [("fast", "short"), ("fair", "long")])
def test_looking_ahead_under_a_portfolio_chooses_anew_at_each_point_in_time(profile: str, second: str) -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(2000))
    cluster.run("r", CPU, ["a"], ends_ms=50, user=1)
    cluster.run("other", CPU, ["a"], ends_ms=10_000_000, user=1)
    for name, age_ms, limit_ms, user in (("mine", 100, 60_000, 1), ("long", 50, 900_000, 2), ("short", 10, 70_000, 1)):
        cluster.wait(name, CPU, age_ms=age_ms, limit_ms=limit_ms, user=user)
    policy, _ = read_policy(f"portfolio:profile={profile}", PlanSettings())
    board = Board.of(cluster.snapshot(), policy.distinguishes)
    before = board.content()
    wanted = [cluster.jobs[name] for name in ("mine", "long", "short")]
    starts = look_ahead(board, NOW_MS, policy.stages, wanted, planning=policy.planning).starts
    assert starts[wanted[0]] == NOW_MS + 50
    assert starts[cluster.jobs[second]] == NOW_MS + 60_050
    assert board.content() == before


def test_a_promise_to_a_job_that_is_cancelled_at_its_deadline_is_kept_for_nobody() -> None:
    cluster = line(1)
    job = cluster.wait("late", CPU, deadline_ms=NOW_MS + 30)
    cluster.promise("late", ["a"], 500)
    board = Board.of(cluster.snapshot())
    before = board.content()
    timeline = look_ahead(board, NOW_MS, DEFAULT.stages, [2, job.id])
    assert timeline.starts == {2: NOW_MS + 50}
    assert timeline.unknown == {job.id: UnknownStart.DEADLINE}
    assert board.content() == before
    assert [one.id for one in board.standing] == [1]
