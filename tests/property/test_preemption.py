"""Displacing, on clusters nobody thought of: nobody goes in vain, nobody goes who need not, and a promise is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.contest import quotas_on
from tenure.core.invariants import plan_violations, violations
from tenure.core.stages import Reclaim
from tenure.core.verify import verify
from tenure.model.job import JobTable, PendingJob, RunningJob
from tenure.model.plan import Decision, Plan
from tenure.model.settings import HOUR_MS, PlanSettings
from tenure.model.snapshot import Changes, Snapshot
from tenure.policies import policy_by_name
from tenure.policies.preemption import PREEMPTION
from tenure.testing.locked import locked_rows
from tenure.testing.outcome import applied, committed
from tenure.testing.strategies import MINUTE_MS, snapshots
from tests.support.examples import examples

POLICIES = ("preemptive", "fifo-easy-preemptive", "greedy-preemptive", "sjf-preemptive", "points-easy-sjbf-preemptive+fgd")
ROUNDS = 12
QUICK = PlanSettings(preempt_min_run_ms=0, preempt_cool_down_ms=0, preempt_per_cycle=100, preempt_per_hour=1000)


@st.composite
def crowded(draw: st.DrawFn, name: str, planned: PlanSettings = QUICK) -> Snapshot:
    """Running jobs of any priority, and others that wait."""
    policy = policy_by_name(name.replace("-preemptive", "").replace("preemptive", "default"))
    snapshot = draw(snapshots(policy))
    ages = [draw(st.sampled_from([1, 5, 30, 300])) * MINUTE_MS for _ in snapshot.running]
    running = tuple(
        replace(job, priority=draw(st.sampled_from([1, 2, 3, 5, 7])), started_ms=snapshot.now_ms - age, grace_ms=1000, stopping=0)
        for job, age in zip(snapshot.running, ages, strict=True)
    )
    rows = {job.id: replace(job, priority=draw(st.sampled_from([5, 7, 9])), held=0, blocked=0) for job in snapshot.pending.jobs()}
    queues = tuple(replace(queue, paused=False) for queue in snapshot.queues)
    return replace(snapshot, running=running, pending=snapshot.pending.changed(rows, ()), queues=queues, settings=planned)


def part_of(snapshot: Snapshot) -> Reclaim:
    """Who may be displaced for whom, with the quotas as they stand."""
    board = Board.of(snapshot)
    return PREEMPTION.on(board, quotas_on(board))


def made(plan: Plan) -> Decision | None:
    """The decision that displaces, if there is one."""
    found = [decision for decision in plan.decisions if decision.evicts]
    assert len(found) <= 1
    assert not found or found[0] is plan.decisions[-1]
    return found[0] if found else None


def after_the_end_of(snapshot: Snapshot, gone: list[int]) -> tuple[Snapshot, Changes]:
    """What follows when jobs that were stopped have ended: those that were displaced wait again."""
    rows = {job.id: job for job in snapshot.running}
    displaced = {eviction.job_id for eviction in snapshot.evictions}
    again = {
        job_id: PendingJob(job_id, rows[job_id].shape, rows[job_id].queue, priority=rows[job_id].priority, submitted_ms=1)
        for job_id in gone
        if job_id in displaced
    }
    changes = Changes(snapshot.revision, snapshot.revision + 1, snapshot.now_ms + 1000, pending=again, running_removed=tuple(gone))
    return applied(snapshot, changes), changes


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_who_is_displaced_makes_enough_room_and_none_of_them_is_too_much(name: str, data: st.DataObject) -> None:
    snapshot = data.draw(crowded(name))
    policy = policy_by_name(name)
    plan = policy.plan(snapshot)
    assert plan_violations(snapshot, plan) == ()
    found = made(plan)
    if found is None:
        return
    before, _ = committed(snapshot, replace(plan, decisions=plan.decisions[:-1]))
    assert verify(found, locked_rows(before, found), snapshot.shapes) is None
    claim = found.claims[0]
    job = snapshot.job(claim.job_id)
    assert job is not None
    victims = {evict.job_id for evict in found.evicts}
    rows = {running.id: running for running in before.running}
    for victim in victims:
        assert part_of(before).outranks(job, rows[victim], snapshot.settings)
    assert claim.deadline_ms == snapshot.now_ms + 1000 + snapshot.settings.preempt_hold_ms
    for spared in victims:
        assert not _starts_without(before, job, victims - {spared})
    assert _starts_without(before, job, victims)


def _starts_without(snapshot: Snapshot, job: PendingJob, gone: set[int]) -> bool:
    """Whether a job alone in the queue starts when these, and those that are being stopped, are gone."""
    staying = tuple(row for row in snapshot.running if row.id not in gone and not row.stopping)
    alone = replace(snapshot, running=staying, pending=JobTable.of([job]))
    return any(decision.starts for decision in policy_by_name("default").plan(alone).decisions)


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_of_a_single_task_the_cheapest_set_is_found(data: st.DataObject) -> None:
    snapshot = data.draw(crowded("preemptive"))
    plan = policy_by_name("preemptive").plan(snapshot)
    found = made(plan)
    if found is None:
        return
    job = snapshot.job(found.claims[0].job_id)
    before, _ = committed(snapshot, replace(plan, decisions=plan.decisions[:-1]))
    if job is None or snapshot.shapes[job.shape].tasks > 1:
        return
    able = [row for row in before.running if not row.stopping and part_of(before).outranks(job, row, snapshot.settings)]
    able = [row for row in able if not row.ends_by_ms or row.ends_by_ms - snapshot.now_ms > 61_000]
    paid = _cost(before, job, [row for row in able if row.id in {evict.job_id for evict in found.evicts}])
    for size in range(1, min(len(able), 3) + 1):
        for chosen in combinations(able, size):
            if _cost(before, job, chosen) < paid:
                assert not _starts_without(before, job, {row.id for row in chosen})


def _cost(snapshot: Snapshot, job: PendingJob, victims: tuple[RunningJob, ...] | list[RunningJob]) -> int:
    cpu = sum(node.capacity.cpu_milli for node in snapshot.nodes)
    gpu = sum(device.capacity_milli for node in snapshot.nodes for device in node.devices)
    rate = gpu * 1000 // cpu if gpu else 1000
    total = 0
    for row in victims:
        cores = sum(held.amounts.cpu_milli for held in row.allocations)
        cards = sum(share.milli for held in row.allocations for share in held.devices)
        total += part_of(snapshot).cost(job, row, max(cards, cores * rate // 1000, 1), snapshot.now_ms, snapshot.settings)
    return total


@pytest.mark.parametrize("name", POLICIES[:3])
@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_the_promise_is_kept_and_a_kept_board_says_what_a_new_one_says(name: str, data: st.DataObject) -> None:
    snapshot = data.draw(crowded(name))
    policy = policy_by_name(name)
    board = Board.of(snapshot, policy.distinguishes)
    promised: set[int] = set()
    for _ in range(ROUNDS):
        plan = policy.plan_on(board, snapshot.now_ms)
        assert plan == policy.plan(snapshot)
        assert plan == policy.plan_on(board, snapshot.now_ms)
        promised |= {claim.job_id for decision in plan.decisions for claim in decision.claims}
        promised -= {start.job_id for decision in plan.decisions for start in decision.starts if start.claim}
        if plan.decisions:
            snapshot, changes = committed(snapshot, plan)
        else:
            leaving = [job.id for job in snapshot.running if job.stopping]
            gone = data.draw(st.lists(st.sampled_from(leaving), min_size=1, unique=True)) if leaving else []
            snapshot, changes = after_the_end_of(snapshot, gone)
        assert violations(snapshot) == ()
        board.advance(changes)
        assert board.content() == Board.of(snapshot, policy.distinguishes).content()
        policy.expected_starts(board, snapshot.now_ms, 3)
        assert board.content() == Board.of(snapshot, policy.distinguishes).content()
    if not any(job.stopping for job in snapshot.running) and not policy.plan(snapshot).decisions:
        assert promised == {claim.job_id for claim in snapshot.claims} == set()


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.sampled_from([0, 1, 3]), st.sampled_from([0, 20 * MINUTE_MS]), st.sampled_from([0, 30 * MINUTE_MS]))
def test_jobs_do_not_displace_each_other_in_turn(data: st.DataObject, most: int, min_run_ms: int, cool_down_ms: int) -> None:
    planned = replace(QUICK, preempt_per_hour=most, preempt_min_run_ms=min_run_ms, preempt_cool_down_ms=cool_down_ms)
    # With quotas, whose turn it is changes with what is held.
    snapshot = replace(data.draw(crowded("preemptive", planned)), projects=())
    policy = policy_by_name("preemptive")
    began_ms = snapshot.now_ms
    while snapshot.now_ms < began_ms + 3 * HOUR_MS:
        plan = policy.plan(snapshot)
        started = {job.id: job.started_ms for job in snapshot.running}
        for evict in (evict for decision in plan.decisions for evict in decision.evicts):
            assert snapshot.now_ms - started[evict.job_id] >= min_run_ms
            earlier = [eviction.at_ms for eviction in snapshot.evictions if eviction.job_id == evict.job_id]
            assert not earlier or snapshot.now_ms - max(earlier) >= cool_down_ms
            for eviction in snapshot.evictions:
                assert (eviction.job_id, eviction.beneficiary) != (evict.beneficiary, evict.job_id)
        if plan.decisions:
            snapshot, _ = committed(snapshot, plan)
        else:
            leaving = [job.id for job in snapshot.running if job.stopping]
            snapshot, _ = after_the_end_of(snapshot, leaving)
            snapshot = replace(snapshot, now_ms=snapshot.now_ms + data.draw(st.sampled_from([1, 7])) * 5 * MINUTE_MS)
        recent = [eviction for eviction in snapshot.evictions if eviction.at_ms > snapshot.now_ms - HOUR_MS]
        assert len(recent) <= most


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_the_order_of_rows_changes_nothing(data: st.DataObject) -> None:
    snapshot = data.draw(crowded("preemptive"))
    policy = policy_by_name("preemptive")
    board = Board.of(snapshot)
    for job in reversed(snapshot.running):
        board.advance(Changes(board.revision, board.revision, snapshot.now_ms, running={job.id: job}))
    assert policy.plan_on(board, snapshot.now_ms) == policy.plan(snapshot)


@settings(max_examples=examples(100), deadline=None)
@given(st.data(), st.sampled_from(POLICIES))
def test_decisions_alone_are_the_decisions_of_the_whole_plan(data: st.DataObject, name: str) -> None:
    snapshot = data.draw(crowded(name))
    policy = policy_by_name(name)
    board = Board.of(snapshot, policy.distinguishes)
    alone, whole = policy.plan_on(board, snapshot.now_ms, decisions_only=True), policy.plan(snapshot)
    assert (alone.decisions, alone.next_ms) == (whole.decisions, whole.next_ms)
