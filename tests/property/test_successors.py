"""Successors take what the plan would give their array anyway: nobody else would have had the room, whoever waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.invariants import violations
from tenure.core.successors import with_successors
from tenure.core.verify import verify
from tenure.model.amounts import Amounts
from tenure.model.job import NO_CAP
from tenure.model.plan import Plan, Start
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.policies.staged import StagedPolicy
from tenure.testing.builders import Cluster
from tenure.testing.locked import locked_rows
from tenure.testing.outcome import applied, committed, ended
from tests.support.examples import examples


def starts_of(plan: Plan) -> list[Start]:
    return [start for decision in plan.decisions for start in decision.starts]


@st.composite
def busy_with_arrays(draw: st.DrawFn, policy: StagedPolicy) -> Snapshot:
    """Few nodes, some of them held; arrays of short jobs among other jobs, of which some need more than is free."""
    cluster = Cluster()
    for number in range(draw(st.integers(1, 2))):
        cluster.node(f"n{number}", Amounts(draw(st.sampled_from([2000, 4000]))))
        held = Shape(Amounts(draw(st.sampled_from([1000, 2000]))))
        cluster.run(f"r{number}", held, [f"n{number}"], ends_ms=draw(st.sampled_from([None, 0, 60_000])))
    for number in range(draw(st.integers(1, 4))):
        is_array = draw(st.sampled_from([True, True, False]))
        cluster.wait(
            f"j{number}",
            Shape(Amounts(draw(st.sampled_from([500, 1000]) if is_array else st.sampled_from([500, 1000, 2000, 4000])))),
            age_ms=number + draw(st.sampled_from([0, 0, 60_000])),
            priority=draw(st.sampled_from([5, 8])),
            limit_ms=draw(st.sampled_from([0, 60_000])),
            eligible_ms=cluster.now_ms + draw(st.sampled_from([0] * 8 + [30, 60_000])),
            is_array=int(is_array),
            array_left=draw(st.sampled_from([9, 30])) if is_array else 1,
            array_room=draw(st.sampled_from([NO_CAP, NO_CAP, 5])) if is_array else NO_CAP,
            pace_ms=draw(st.sampled_from([0, 3, 3, 3, 40, 400])) if is_array else 0,
        )
    snapshot = cluster.snapshot()
    if draw(st.booleans()):
        first = policy.plan(snapshot)
        snapshot, _ = committed(snapshot, replace(first, decisions=first.decisions[: draw(st.integers(0, 3))]))
        gone = [job.id for job in snapshot.running if draw(st.booleans())]
        snapshot = applied(snapshot, ended(snapshot, tuple(gone), snapshot.now_ms + draw(st.sampled_from([0, 1, 60_000]))))
    return snapshot


@pytest.mark.parametrize("name", ["default", "easy-sjbf", "fifo", "greedy"])
@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_each_successor_is_what_the_plan_would_start_in_that_room_next(name: str, data: st.DataObject) -> None:
    policy = policy_by_name(name)
    snapshot = data.draw(busy_with_arrays(policy))
    board = Board.of(snapshot, policy.distinguishes)
    plain = policy.plan_on(board, snapshot.now_ms)
    plan = with_successors(plain, board, snapshot.now_ms, policy.stages.order)
    fronts = [start for start in starts_of(plan) if start.successors]
    event(f"{min(len(fronts), 3)} followed")
    assert [replace(start, successors=()) for start in starts_of(plan)] == starts_of(plain)
    assert violations(committed(snapshot, plan)[0]) == ()
    for number, decision in enumerate(plan.decisions):
        so_far = committed(snapshot, replace(plan, decisions=plan.decisions[:number]))[0]
        assert verify(decision, locked_rows(so_far), snapshot.shapes) is None
    taken = [position for start in fronts for position in (start.position, *start.successors)]
    assert len(set(taken)) == len(taken)
    for front in fronts:
        others = tuple(job.id for job in snapshot.running if data.draw(st.booleans()))
        would_be_next(policy, snapshot, plain, front, others)


def would_be_next(policy: StagedPolicy, snapshot: Snapshot, plain: Plan, front: Start, others: tuple[int, ...]) -> None:
    """Without successors, each end in that room is followed by a plan that first gives it to the same array, whatever else ends."""
    after, changes = committed(snapshot, plain)
    array = snapshot.job(front.job_id)
    assert array is not None
    runs = next(
        job.id
        for job, start in zip(changes.running.values(), starts_of(plain), strict=True)
        if (start.job_id, start.position) == (front.job_id, front.position)
    )
    for _ in front.successors:
        now = applied(after, ended(after, (runs, *others), snapshot.now_ms))
        following = policy.plan(now)
        first = starts_of(following)[0]
        assert first.job_id == front.job_id
        assert first.placements == front.placements or others
        after, changes = committed(now, replace(following, decisions=following.decisions[:1]))
        (runs,) = changes.running
