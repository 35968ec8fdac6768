"""What every plan has in common, on clusters nobody thought of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tenure.core.backlog import backlog_ms
from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.invariants import plan_violations, violations
from tenure.core.verify import verify
from tenure.model.job import JobTable, PendingJob
from tenure.model.plan import Plan
from tenure.model.reasons import BetterPlace
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.testing.locked import locked_rows
from tenure.testing.naive import naive_plan
from tenure.testing.outcome import applied, committed
from tenure.testing.strategies import changes_after, shapes, snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")


def essence(plan: Plan) -> Plan:
    """A plan without what the naive planner does not count."""
    return replace(plan, units=0, truncated_at=None)


@pytest.mark.parametrize("name", ["default", "easy", "easy-sjbf", "fifo", "greedy"])
@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_the_planner_agrees_with_the_naive_one(name: str, data: st.DataObject) -> None:
    policy = policy_by_name(name)
    snapshot = data.draw(snapshots(policy))
    snapshot = replace(snapshot, settings=replace(snapshot.settings, backfill_depth=10_000))
    assert essence(policy.plan(snapshot)) == naive_plan(snapshot, policy.stages)


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_holding_back_for_a_better_place_agrees_with_the_naive_planner(data: st.DataObject) -> None:
    stages = replace(DEFAULT.stages, delays=True)
    snapshot = data.draw(snapshots(DEFAULT))
    snapshot = replace(snapshot, settings=replace(snapshot.settings, backfill_depth=10_000))
    assert essence(StagedPolicy("delayed", stages).plan(snapshot)) == naive_plan(snapshot, stages)


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT))
def test_who_wishes_for_nothing_is_never_held_back(snapshot: Snapshot) -> None:
    """With all patience over, holding back changes nothing, and nobody is told to wait for a better place."""
    delayed = StagedPolicy("delayed", replace(DEFAULT.stages, delays=True))
    over = replace(snapshot, shapes={number: replace(shape, prefer_wait_ms=0) for number, shape in snapshot.shapes.items()})
    assert delayed.plan(over) == DEFAULT.plan(over)
    for hold in delayed.plan(snapshot).holds:
        if isinstance(hold.reason, BetterPlace):
            shape, job = snapshot.shapes[hold.shape], snapshot.job(hold.first_job)
            assert shape.prefer
            assert job is not None
            assert snapshot.now_ms < hold.reason.until_ms <= snapshot.now_ms + shape.prefer_wait_ms


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT))
def test_a_plan_breaks_no_invariant_and_its_decisions_are_accepted_one_after_the_other(snapshot: Snapshot) -> None:
    assert violations(snapshot) == ()
    plan = DEFAULT.plan(snapshot)
    assert plan_violations(snapshot, plan) == ()
    after, _ = committed(snapshot, plan)
    assert violations(after) == ()
    for done, decision in enumerate(plan.decisions):
        so_far, _ = committed(snapshot, replace(plan, decisions=plan.decisions[:done]))
        assert verify(decision, locked_rows(so_far), snapshot.shapes) is None


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(snapshot: Snapshot, random: object) -> None:
    rows = list(snapshot.pending.jobs())
    getattr(random, "shuffle")(rows)  # noqa: B009  # hypothesis gives a Random that is typed as object here
    running = list(snapshot.running)
    getattr(random, "shuffle")(running)  # noqa: B009
    nodes = list(snapshot.nodes)
    getattr(random, "shuffle")(nodes)  # noqa: B009
    shuffled = replace(snapshot, pending=JobTable.of(rows), running=tuple(running), nodes=tuple(nodes))
    assert DEFAULT.plan(shuffled) == DEFAULT.plan(snapshot) == DEFAULT.plan(snapshot)


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT), st.integers(0, 12))
def test_a_plan_cut_short_is_repeated_by_the_same_budget(snapshot: Snapshot, limit: int) -> None:
    cut = DEFAULT.plan(snapshot, UnitBudget(limit))
    assert cut.units <= limit
    if cut.truncated_at is not None:
        assert DEFAULT.plan(snapshot, UnitBudget(cut.truncated_at)) == cut
    else:
        assert cut == DEFAULT.plan(snapshot)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_an_advanced_board_is_a_rebuilt_board(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(DEFAULT))
    board = Board.of(snapshot)
    for _ in range(3):
        plan = DEFAULT.plan_on(board, snapshot.now_ms)
        assert plan == DEFAULT.plan(snapshot)
        if data.draw(st.booleans()):
            snapshot, changes = committed(snapshot, plan)
        else:
            changes = data.draw(changes_after(snapshot))
            snapshot = applied(snapshot, changes)
        note(str(changes))
        board.advance(changes)
        anew = Board.of(snapshot)
        assert board.content() == anew.content()
        assert backlog_ms(board.waiting.columns) == backlog_ms(anew.waiting.columns)


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT))
def test_a_board_is_as_it_was_after_planning_and_looking_ahead(snapshot: Snapshot) -> None:
    board = Board.of(snapshot)
    before = board.content()
    DEFAULT.plan_on(board, snapshot.now_ms)
    assert board.content() == before
    DEFAULT.expected_starts(board, snapshot.now_ms, 3)
    assert board.content() == before


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT), shapes())
def test_what_fits_still_fits_when_a_node_is_added(snapshot: Snapshot, shape: Shape) -> None:
    alone = replace(snapshot, pending=JobTable.of([PendingJob(1, 1, 1)]), shapes={**snapshot.shapes, 1: shape})
    alone = replace(alone, queues=(), running=tuple(replace(job, id=job.id + 1000) for job in alone.running))
    twin = replace(snapshot.nodes[0], id=len(snapshot.nodes) + 1, name="twin", devices=())
    larger = replace(alone, nodes=(*alone.nodes, twin))
    if DEFAULT.plan(alone).decisions:
        assert DEFAULT.plan(larger).decisions


@settings(max_examples=examples(200), deadline=None)
@given(snapshots(DEFAULT))
def test_backfill_never_delays_the_reservation(snapshot: Snapshot) -> None:
    plan = DEFAULT.plan(snapshot)
    if plan.reservation is None or plan.reservation.start_ms == 0:
        return
    head = snapshot.job(plan.reservation.job_id)
    assert head is not None
    after, _ = committed(snapshot, plan)
    start_ms = plan.reservation.start_ms
    still = tuple(job for job in after.running if (job.ends_by_ms or start_ms + 1) > start_ms and not job.stopping)
    alone = replace(after, running=still, pending=JobTable.of([head]), now_ms=start_ms)
    starts = [start for decision in DEFAULT.plan(alone).decisions for start in decision.starts]
    assert [start.job_id for start in starts][:1] == [head.id]
