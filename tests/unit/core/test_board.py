"""The board and its parts: rooms with trials, waiting jobs in groups, budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.candidates import Candidates
from tenure.core.feasibility import ask_of
from tenure.core.rooms import FOREVER, PLANNED, Holding, Rooms
from tenure.model.allocation import Claim, DeviceShare, Placement
from tenure.model.amounts import GIB, Amounts
from tenure.model.job import NO_CAP, PendingJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.plan import Plan
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.policies.best_fit import BestFit
from tenure.testing.builders import Cluster
from tenure.testing.naive import naive_plan
from tenure.testing.outcome import applied, committed, ended

DEFAULT, EASY = policy_by_name("default"), policy_by_name("easy")


def test_a_budget_refuses_what_is_not_left_and_everything_once_cancelled() -> None:
    budget = UnitBudget(5)
    assert budget.spend(3)
    assert not budget.spend(3)
    assert budget.spend(2)
    assert budget.spent == 5
    endless = UnitBudget()
    assert endless.spend(10**9)
    endless.cancelled = True
    assert not endless.spend(1)
    assert endless.spent == 10**9


def test_a_cancelled_plan_says_after_how_many_units() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(9000))
    for number in range(4):
        cluster.wait(f"j{number}", Shape(Amounts(1000)))
    budget = UnitBudget()
    budget.cancelled = True
    plan = DEFAULT.plan(cluster.snapshot(), budget)
    assert (plan.truncated_at, plan.decisions) == (0, ())
    assert [hold.reason.code for hold in plan.holds] == ["not_reached"]


def rooms() -> Rooms:
    return Rooms([Cluster().node("a", Amounts(4000), 2)])


def test_trials_nest_and_leave_nothing_behind() -> None:
    found = rooms()
    key, other, third = (PLANNED, 1, 0), (PLANNED, 2, 0), (PLANNED, 3, 0)
    found.hold(0, key, Holding(1, FOREVER, (1000, 0, 0, 0), (DeviceShare(1, 500, 7),)))
    outer = found.mark()
    found.hold(0, other, Holding(2, FOREVER, (1000, 0, 0, 0), ()))
    inner = found.mark()
    found.release(0, key)
    found.hold(0, third, Holding(3, FOREVER, (4000, 0, 0, 0), ()))
    found.rollback(inner)
    assert found.nodes[0].free[0] == 2000
    assert list(found.holdings[0]) == [other, key]
    found.rollback(outer)
    assert list(found.holdings[0]) == [key]
    assert (found.nodes[0].free[0], found.nodes[0].devices[0].free_milli) == (3000, 500)
    found.release(0, key)
    assert found.nodes[0] == rooms().nodes[0]


def test_the_log_tells_what_was_touched_until_it_is_forgotten() -> None:
    cluster = Cluster()
    found = Rooms([cluster.node("a"), cluster.node("b")])
    start = found.cursor
    for serial, index in enumerate((1, 0, 1)):
        found.hold(index, (PLANNED, serial, 0), Holding(1, 1, (0, 0, 0, 0), ()))
    assert found.touched_since(start) == [0, 1]
    assert found.touched_since(start + 2) == [1]
    assert found.touched_since(found.cursor) == []
    found.forget_log()
    assert found.touched_since(start) is None
    assert found.touched_since(found.cursor) == []


def waiting_cluster() -> Cluster:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    for name in ("one", "two", "three"):
        cluster.wait(name, Shape(Amounts(1000)), priority=5)
    return cluster


def test_the_lowest_job_of_a_group_is_found_whatever_the_order_of_submission() -> None:
    cluster = waiting_cluster()
    cluster.pending[1] = replace(cluster.pending[1], submitted_ms=cluster.now_ms + 5)
    board = Board.of(cluster.snapshot())
    (group,) = board.waiting.groups.values()
    assert [job_id for _, job_id in group.entries] == [2, 3, 1]
    assert [group.lowest_from(offset) for offset in range(3)] == [1, 1, 1]
    plan = DEFAULT.plan_on(board, cluster.now_ms)
    assert [hold.first_job for hold in plan.holds] == [1]


def test_time_may_pass_and_go_back() -> None:
    cluster = waiting_cluster()
    cluster.pending[1] = replace(cluster.pending[1], eligible_ms=cluster.now_ms + 10)
    board = Board.of(cluster.snapshot())
    assert DEFAULT.plan_on(board, cluster.now_ms).next_ms == cluster.now_ms + 10
    board.waiting.drop(2)
    board.waiting.drop(3)
    assert DEFAULT.plan_on(board, cluster.now_ms).decisions == ()
    assert len(DEFAULT.plan_on(board, cluster.now_ms + 10).decisions) == 1
    back = DEFAULT.plan_on(board, cluster.now_ms + 9)
    assert (back.decisions, back.next_ms) == ((), cluster.now_ms + 10)
    board.waiting.drop(1)
    assert DEFAULT.plan_on(board, cluster.now_ms).next_ms == 0


def test_changes_must_follow_the_board() -> None:
    board = Board.of(waiting_cluster().snapshot())
    with pytest.raises(ValueError, match="take a snapshot"):
        board.advance(Changes(7, 8, 0))


def test_new_shapes_queues_nodes_and_claims_arrive_by_changes() -> None:
    cluster = waiting_cluster()
    board = Board.of(cluster.snapshot())
    cluster.node("b", Amounts(9000), 1)
    cluster.queue("fast", bonus=9)
    new = PendingJob(9, 2, 2, submitted_ms=cluster.now_ms, is_array=1, array_left=3, array_room=NO_CAP)
    shape = Shape(Amounts(1000), gpu_milli=500)
    claim = Claim(1, 9, (Placement(0, 1),), Amounts(600), cluster.now_ms + 50)
    changes = Changes(
        since=1,
        revision=2,
        now_ms=cluster.now_ms,
        pending={9: new},
        nodes=tuple(cluster.nodes.values()),
        queues=tuple(cluster.queues.values()),
        claims=(claim,),
        shapes={2: shape},
        touched={9: (1,)},
    )
    board.advance(changes)
    plan = DEFAULT.plan_on(board, cluster.now_ms)
    assert [(s.job_id, s.position) for d in plan.decisions for s in d.starts][:2] == [(9, 0), (9, 2)]
    assert board.rooms.nodes[0].free[0] == 400
    board.advance(Changes(2, 3, cluster.now_ms, claims=(), touched={9: ()}, queues=board_queues(board)))
    assert board.rooms.nodes[0].free[0] == 1000
    assert board.touched == {}


def board_queues(board: Board) -> tuple[object, ...]:
    return tuple(board.waiting.queues.values())  # the same ones again: nothing is rebuilt


def test_what_is_held_on_a_node_that_is_gone_is_passed_over() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000))
    cluster.run("r", Shape(Amounts(1000)), ["a"])
    snapshot = cluster.snapshot()
    claim = Claim(1, 9, (Placement(0, 5),), Amounts(600), 50)
    orphaned = replace(snapshot, nodes=(), claims=(claim,))
    board = Board.of(orphaned)
    board.advance(Changes(1, 2, cluster.now_ms, running_removed=(1, 77), claims=()))
    assert board.running == {}
    assert isinstance(orphaned, Snapshot)


def test_a_job_of_an_unknown_queue_waits_like_any_other() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000, GIB))
    cluster.wait("j", Shape(Amounts(1000)))
    snapshot = replace(cluster.snapshot(), queues=())
    assert len(DEFAULT.plan(snapshot).decisions) == 1


def essence(plan: Plan) -> Plan:
    return replace(plan, units=0)


@pytest.mark.parametrize("policy", [DEFAULT, EASY], ids=lambda policy: policy.name)
@pytest.mark.parametrize("age_ms", [0, 3_600_000])
def test_many_groups_are_planned_as_few_are(age_ms: int, policy: StagedPolicy) -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(9000), 4)
    cluster.node("b", Amounts(9000), 4)
    cluster.run("r", Shape(Amounts(1000), gpu_milli=1000), ["a"], ends_ms=None if age_ms else 9000)
    cluster.wait("head", Shape(gpu_milli=4000, tasks=2), age_ms=age_ms, priority=9)
    for number in range(40):
        shape = Shape(Amounts(1000 * (number % 3)), gpu_milli=(500, 1000, 0)[number % 3])
        cluster.wait(f"j{number}", shape, limit_ms=500 * number, priority=1 + number % 10, age_ms=number * 7919 % 31)
    for number in range(30):
        cluster.wait(f"alike{number}", Shape(Amounts(500)), queue="other", limit_ms=500, age_ms=number * 7919 % 31)
    snapshot = cluster.snapshot()
    assert essence(policy.plan(snapshot)) == naive_plan(snapshot, policy.stages)


def test_a_board_that_is_kept_for_long_forgets_what_it_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.core.board.LOG_LIMIT", 5)
    monkeypatch.setattr("tenure.core.board.LOG_LIMIT_PER_NODE", 1)
    cluster = waiting_cluster()
    snapshot = cluster.snapshot()
    board = Board.of(snapshot)
    for _ in range(8):
        plan = DEFAULT.plan_on(board, snapshot.now_ms)
        assert plan == DEFAULT.plan(snapshot)
        if plan.decisions:
            snapshot, changes = committed(snapshot, plan)
        else:
            changes = ended(snapshot, tuple(job.id for job in snapshot.running), snapshot.now_ms + 1)
            snapshot = applied(snapshot, changes)
        board.advance(changes)
        assert len(board.rooms.log) <= 6
    assert len(snapshot.pending) == 0


def test_a_claim_counts_as_used_until_its_job_has_ended_or_its_deadline_passed() -> None:
    cluster = Cluster()
    node = cluster.node("a", Amounts(2000, GIB))
    cluster.run("r", Shape(Amounts(0, 1)), ["a"], ends_ms=9)
    promised = cluster.wait("promised", Shape(Amounts(1000)), held=1, limit_ms=20)
    cluster.wait("j", Shape(Amounts(2000)))
    claim = Claim(1, promised.id, (Placement(0, node.id),), Amounts(1000), cluster.now_ms + 50)
    snapshot = replace(cluster.snapshot(), claims=(claim,))
    plan = EASY.plan(snapshot)
    assert plan.decisions == ()
    assert plan.next_ms == claim.deadline_ms
    assert plan.reservation is not None
    assert plan.reservation.start_ms == claim.deadline_ms + 20
    assert [start.job_id for start in EASY.plan(replace(snapshot, now_ms=claim.deadline_ms)).decisions[0].starts] == [3]
    board = Board.of(snapshot)
    larger = replace(node, capacity=Amounts(4000, GIB))
    board.advance(Changes(1, 2, cluster.now_ms, nodes=(larger,)))
    assert board.rooms.nodes[0].free[:2] == [3000, node.capacity.memory_bytes - 1]


def test_without_a_node_that_takes_work_nothing_is_near() -> None:
    cluster = Cluster()
    for number in range(9):
        cluster.node(f"n{number}", status=NodeStatus.DOWN)
    cluster.wait("j", Shape(Amounts(1000)))
    table = Candidates.of(Board.of(cluster.snapshot()), BestFit()).table
    assert table.nearest(ask_of(Shape())) is None
    assert [hold.reason.code for hold in DEFAULT.plan(cluster.snapshot()).holds] == ["node_unavailable"]
