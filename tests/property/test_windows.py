"""What is set aside stays free of others, under every policy: whatever is planned beside windows is accepted by a check that knows
nothing of the planner's calendar, what that check forbids is never planned, and jobs start when `why` and `ps` say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.picture import Picture
from tenure.core.set_aside import reaching
from tenure.core.verify import verify
from tenure.model.amounts import Amounts
from tenure.model.job import JobTable
from tenure.model.node import Node
from tenure.model.snapshot import Changes, Snapshot
from tenure.model.window import TimeWindow, WindowPart
from tenure.policies import StagedPolicy, policy_by_name
from tenure.testing.history import History
from tenure.testing.locked import locked_rows
from tenure.testing.outcome import committed
from tenure.testing.strategies import snapshots
from tests.property.test_preemption import after_the_end_of, crowded
from tests.property.test_promises import check_expected_starts
from tests.property.test_why_is_true import POLICIES
from tests.support.examples import examples

MINUTE_MS = 60_000


def part_of(draw: st.DrawFn, node: Node, taken: set[int]) -> WindowPart:
    """All of a node, or some devices that no other window has and a part of the amounts."""
    if draw(st.booleans()):
        return WindowPart(node.id)
    free = [device.id for device in node.devices if device.id not in taken]
    devices = tuple(sorted(draw(st.sets(st.sampled_from(free))))) if free else ()
    taken.update(devices)
    share = draw(st.sampled_from([0, 2, 4]))
    amounts = Amounts(*(amount // share for amount in node.capacity.as_tuple())) if share else Amounts()
    return WindowPart(node.id, whole=False, amounts=amounts, devices=devices)


@st.composite
def beside_windows(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    """The same moment with the jobs of two projects and up to three windows, as a person could have made them."""
    waiting = JobTable.of(replace(job, project=1 + job.id % 2) for job in snapshot.pending.jobs())
    running = tuple(replace(job, project=1 + (job.array_id or job.id) % 2) for job in snapshot.running)
    snapshot = replace(snapshot, pending=waiting, running=running)
    made: list[TimeWindow] = []
    taken: set[int] = set()
    for number in range(1, 1 + draw(st.integers(1, 3))):
        from_ms = snapshot.now_ms + draw(st.sampled_from([-5, 0, 1, 2, 10])) * MINUTE_MS
        until_ms = max(from_ms, snapshot.now_ms) + draw(st.sampled_from([1, 3, 30])) * MINUTE_MS
        chosen = draw(st.sets(st.sampled_from(snapshot.nodes), min_size=1))
        parts = tuple(part_of(draw, node, taken) for node in sorted(chosen, key=lambda node: node.id))
        project, user = draw(st.sampled_from([(0, 0), (1, 0), (2, 0)]))
        made.append(TimeWindow(number, from_ms, until_ms, parts, f"w{number}", project, user))
    return replace(snapshot, reservations=tuple(made))


def check_plan(policy: StagedPolicy, snapshot: Snapshot) -> None:
    """Each decision is accepted after those before it."""
    plan = policy.plan(snapshot)
    assert not any(decision.evicts for decision in plan.decisions)
    for done, decision in enumerate(plan.decisions):
        so_far, _ = committed(snapshot, replace(plan, decisions=plan.decisions[:done]))
        assert verify(decision, locked_rows(so_far), snapshot.shapes) is None


@st.composite
def moments(draw: st.DrawFn) -> tuple[StagedPolicy, Snapshot]:
    """A policy and a moment beside windows."""
    policy = policy_by_name(draw(st.sampled_from(POLICIES)))
    return policy, draw(beside_windows(draw(snapshots(policy, max_nodes=3, max_jobs=5))))


@settings(max_examples=examples(120), deadline=None)
@given(moments())
def test_whatever_is_planned_keeps_out_of_windows(moment: tuple[StagedPolicy, Snapshot]) -> None:
    check_plan(*moment)


@settings(max_examples=examples(25), deadline=None)
@given(st.sampled_from(POLICIES), st.integers(0, 10_000), st.data())
def test_a_busy_cluster_keeps_out_of_windows(name: str, seed: int, data: st.DataObject) -> None:
    policy = policy_by_name(name)
    for snapshot in History(policy, seed).moments(2):
        check_plan(policy, data.draw(beside_windows(snapshot)))


@settings(max_examples=examples(60), deadline=None)
@given(moments())
def test_jobs_start_beside_windows_when_they_are_expected_to(moment: tuple[StagedPolicy, Snapshot]) -> None:
    check_expected_starts(*moment)


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_a_board_follows_windows_and_a_picture_has_them(data: st.DataObject) -> None:
    policy = policy_by_name("default")
    plain = data.draw(snapshots(policy, max_nodes=3, max_jobs=5))
    snapshot = data.draw(beside_windows(plain))
    board = Board.of(replace(snapshot, reservations=()), policy.distinguishes)
    board.advance(Changes(plain.revision, plain.revision + 1, plain.now_ms, reservations=snapshot.reservations))
    fresh = Board.of(replace(snapshot, revision=plain.revision + 1), policy.distinguishes)
    assert board.content() == fresh.content()
    assert policy.plan_on(board, plain.now_ms) == policy.plan_on(fresh, plain.now_ms)
    again = Board.of(Picture.of(board, plain.now_ms).snapshot(), policy.distinguishes)
    assert again.content() == fresh.content()


@settings(max_examples=examples(80), deadline=None)
@given(moments())
def test_who_reaches_into_a_whole_window_ran_before(moment: tuple[StagedPolicy, Snapshot]) -> None:
    policy, snapshot = moment
    capacity = {node.id: node.capacity for node in snapshot.nodes}
    whole = [window for window in snapshot.reservations if all(part.whole for part in window.parts)]
    after, _ = committed(snapshot, policy.plan(snapshot))
    before = {job.id for job in snapshot.running}
    for window in whole:
        assert before.issuperset(reaching(window, after.running, capacity, snapshot.now_ms))


@pytest.mark.parametrize("name", ["preemptive", "fifo-easy-preemptive"])
@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_nobody_is_displaced_for_who_may_come_near_a_window(name: str, data: st.DataObject) -> None:
    """A claim is kept at once or at its last moment: at neither would the start be refused. What was promised is kept so, too."""
    policy, snapshot = policy_by_name(name), data.draw(beside_windows(data.draw(crowded(name))))
    plan = policy.plan(snapshot)
    for done, decision in enumerate(plan.decisions):
        so_far, _ = committed(snapshot, replace(plan, decisions=plan.decisions[:done]))
        assert verify(decision, locked_rows(so_far, decision), snapshot.shapes) is None
        for claim in decision.claims:
            job = snapshot.job(claim.job_id)
            assert job is not None
            for window in snapshot.reservations:
                late = window.meets(claim.deadline_ms, job.limit_ms) and window.from_ms > snapshot.now_ms
                assert window.admits(job.project, job.user) or not (late or window.meets(snapshot.now_ms, job.limit_ms))
    after, _ = committed(snapshot, plan)
    gone = [job.id for job in after.running if job.stopping]
    later = after_the_end_of(after, gone)[0]
    again = policy.plan(later)
    for done, decision in enumerate(again.decisions):
        so_far, _ = committed(later, replace(again, decisions=again.decisions[:done]))
        assert verify(decision, locked_rows(so_far, decision), later.shapes) is None


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", POLICIES)
def test_windows_hold_in_a_long_sweep(name: str) -> None:
    @settings(max_examples=1500, deadline=None)
    @given(st.integers(0, 10**6), st.data())
    def sweep(seed: int, data: st.DataObject) -> None:
        policy = policy_by_name(name)
        for snapshot in History(policy, seed).moments(2):
            beside = data.draw(beside_windows(snapshot))
            check_plan(policy, beside)
            check_expected_starts(policy, beside)

    sweep()
