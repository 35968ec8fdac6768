"""When a start carries successors, how many, and which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.board import Board
from tenure.core.successors import MOST, SLOW_MS, pace_after, with_successors
from tenure.core.verify import verify
from tenure.model.amounts import Amounts
from tenure.model.plan import Decision, Plan, Start
from tenure.model.project import Bundle, Project
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import Cluster
from tenure.testing.locked import locked_rows

DEFAULT = policy_by_name("default")
CPU = Shape(Amounts(1000))
SHORT = {"is_array": 1, "array_left": 100, "pace_ms": 2}


def cluster(cpus: int = 1, **settings: int) -> Cluster:
    """One node."""
    found = Cluster(settings=PlanSettings(**settings))  # type: ignore[arg-type]
    found.node("a", Amounts(cpus * 1000), gpus=1)
    return found


def planned(of: Cluster) -> Plan:
    """The plan with successors; it says the same as without them."""
    snapshot = of.snapshot()
    board = Board.of(snapshot, DEFAULT.distinguishes)
    plain = DEFAULT.plan_on(board, snapshot.now_ms)
    plan = with_successors(plain, board, snapshot.now_ms, DEFAULT.stages.order)
    decisions = [Decision(tuple(replace(start, successors=()) for start in one.starts)) for one in plan.decisions]
    assert replace(plan, decisions=tuple(decisions)) == plain
    assert all(verify(decision, locked_rows(snapshot), snapshot.shapes) is None for decision in plan.decisions[:1])
    return plan


def successors(of: Cluster) -> list[tuple[int, ...]]:
    """The successors of each start."""
    return [start.successors for decision in planned(of).decisions for start in decision.starts]


def test_short_elements_follow_each_other() -> None:
    one = cluster()
    one.wait("many", CPU, **SHORT)
    assert successors(one) == [tuple(range(1, 1 + MOST))]


def test_each_slot_has_its_own() -> None:
    one = cluster(cpus=2)
    one.wait("many", CPU, **{**SHORT, "pace_ms": 10})
    assert successors(one) == [(2, 3, 4, 5, 6), (7, 8, 9, 10, 11)]


def test_the_rest_is_shared_so_that_slots_end_together() -> None:
    one = cluster(cpus=2)
    one.wait("many", CPU, **{**SHORT, "array_left": 14})
    assert successors(one) == [(2, 3, 4), (5, 6, 7)]
    few = cluster(cpus=2)
    few.wait("many", CPU, **{**SHORT, "array_left": 5})
    assert successors(few) == [(), ()]


def test_positions_that_are_rows_already_are_left_out() -> None:
    one = cluster()
    many = one.wait("many", CPU, **{**SHORT, "array_left": 9})
    one.touched[many.id] = (1, 3)
    assert successors(one) == [(2, 4, 5, 6)]


def test_the_cap_counts_each_of_them() -> None:
    one = cluster()
    one.wait("many", CPU, array_room=5, **SHORT)
    assert successors(one) == [(1, 2)]


@pytest.mark.parametrize(
    "columns",
    [{"pace_ms": 0}, {"pace_ms": 51}, {"deadline_ms": 10**12}, {"is_array": 0, "array_left": 1}],
    ids=["nothing ended yet", "long", "by a deadline", "no array"],
)
def test_only_short_elements_of_an_array_without_a_deadline(columns: dict[str, int]) -> None:
    one = cluster()
    one.wait("many", CPU, **{**SHORT, **columns})
    assert successors(one) == [()]


@pytest.mark.parametrize(
    "shape",
    [
        replace(CPU, tasks=2),
        replace(CPU, gpu_milli=1000),
        replace(CPU, gpu_milli=500),
        replace(CPU, app="web", max_per_node=9),
        replace(CPU, prefer=("ssd",)),
    ],
)
def test_no_gang_no_app_and_nothing_with_devices(shape: Shape) -> None:
    one = cluster(cpus=2)
    one.wait("many", shape, **SHORT)
    assert not any(successors(one))


def test_an_array_that_is_not_the_first_in_the_order_has_none() -> None:
    one = cluster()
    one.wait("large", Shape(Amounts(8000)), priority=9)
    one.node("b", Amounts(8000))
    one.run("busy", Shape(Amounts(8000)), ["b"])
    one.wait("many", CPU, **SHORT)
    assert successors(one) == [()]


def test_nor_has_the_second_one_that_starts() -> None:
    one = cluster(cpus=3)
    one.wait("first", CPU, priority=9, **{**SHORT, "array_left": 1})
    one.wait("second", CPU, **SHORT)
    assert successors(one) == [(), (), ()]


def test_nothing_may_become_eligible_meanwhile() -> None:
    one = cluster()
    one.wait("many", CPU, **SHORT)
    one.wait("soon", CPU, eligible_ms=one.now_ms + 50)
    assert successors(one) == [()]
    one.pending[2] = replace(one.pending[2], eligible_ms=one.now_ms + 51)
    assert successors(one) != [()]


def test_it_can_be_turned_off() -> None:
    one = cluster(successors_ms=0)
    one.wait("many", CPU, **SHORT)
    assert successors(one) == [()]


def test_a_plan_that_was_cut_short_has_none() -> None:
    one = cluster()
    one.wait("many", CPU, **SHORT)
    snapshot = one.snapshot()
    board = Board.of(snapshot, DEFAULT.distinguishes)
    for plan in (replace(DEFAULT.plan(snapshot), truncated_at=1), Plan(1), Plan(1, (Decision(),))):
        assert with_successors(plan, board, snapshot.now_ms, DEFAULT.stages.order) == plan


def test_the_pace_grows_at_once_and_falls_slowly() -> None:
    assert pace_after(0, 1) == SLOW_MS * 7 // 8
    assert pace_after(0, 10**6) == 10**6
    assert pace_after(80, 70) == 70
    assert pace_after(80, 10) == 70
    assert pace_after(1, 0) == 1, "0 would say that none has ended"
    pace, ends = 0, 0
    while not 0 < pace <= 50:
        pace, ends = pace_after(pace, 1), ends + 1
    assert ends > 5, "a few ends are no proof"


def test_none_where_it_depends_on_what_is_held_whose_turn_it_is() -> None:
    one = cluster()
    one.wait("many", CPU, **SHORT)
    plain = one.snapshot()
    bounded = replace(plain, projects=(Project(0, "default", maximum=Bundle(64_000, -1, -1)),))
    for name, snapshot, followed in (
        ("default", plain, True),
        ("default", bounded, False),
        ("fair-easy", plain, False),
        ("portfolio", plain, False),
    ):
        policy = policy_by_name(name)
        board = Board.of(snapshot, policy.distinguishes)
        plan = policy.with_successors(policy.plan_on(board, snapshot.now_ms), board, snapshot.now_ms)
        assert [bool(start.successors) for decision in plan.decisions for start in decision.starts] == [followed], name


def test_who_commits_looks_at_successors_too() -> None:
    one = cluster(cpus=2)
    one.wait("many", CPU, **{**SHORT, "array_left": 3})
    one.wait("plain", CPU)
    one.wait("gang", replace(CPU, tasks=2), **SHORT)
    snapshot = one.snapshot()
    place = DEFAULT.plan(snapshot).decisions[0].starts[0].placements
    both = (*place, replace(place[0], task=1))

    def code(start: Start) -> str:
        rejection = verify(Decision((start,)), locked_rows(snapshot), snapshot.shapes)
        return rejection.code if rejection else ""

    assert code(Start(1, place, 0, successors=(1, 2))) == ""
    assert code(Start(1, place, 0, successors=(1, 1))) == "malformed"
    assert code(Start(1, place, 0, successors=(0,))) == "malformed"
    assert code(Start(1, place, 0, successors=(1, 2, 3))) == "job_changed"
    assert code(Start(2, place, -1, successors=(1,))) == "malformed"
    assert code(Start(3, both, 0)) == ""
    assert code(Start(3, both, 0, successors=(1,))) == "malformed"
