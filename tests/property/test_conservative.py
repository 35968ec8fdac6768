"""What a promised start is worth: the planner against a naive one, promises kept in replays, the guard's word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core import cycle
from tenure.core.board import Board
from tenure.core.forward import first_in_order, look_ahead
from tenure.core.invariants import plan_violations, violations
from tenure.model.amounts import Amounts
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import ORDERS, StagedPolicy, policy_by_name
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import Exact, Requested
from tenure.sim.workload import TraceJob, Workload, workload_of
from tenure.testing.history import History
from tenure.testing.naive_promises import naive_promises
from tenure.testing.outcome import applied, committed
from tenure.testing.strategies import changes_after, snapshots
from tests.sim.drawn import batch, mixed, pool
from tests.support.examples import examples

CONSERVATIVE = policy_by_name("conservative")
NAMES = ("conservative", "points-conservative", "sjf-conservative")


def told(plan: Plan) -> tuple[object, ...]:
    """What the naive planner tells as well."""
    return plan.decisions, plan.promises, plan.reservation


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_the_planner_agrees_with_the_naive_one_with_and_without_earlier_promises(name: str, data: st.DataObject) -> None:
    check_against_the_naive_one(policy_by_name(name), data.draw(snapshots(policy_by_name(name), 3, 6)), data)


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 10_000), st.data())
def test_the_planner_agrees_with_the_naive_one_where_all_are_of_an_app(name: str, seed: int, data: st.DataObject) -> None:
    """Each bears so many of the app on its node, or any number: those who wait as well as those who run."""
    policy = policy_by_name(name)
    snapshot = next(History(policy, seed).moments(1))
    most = st.sampled_from([0, 1, 2, 3])
    shapes = {number: replace(shape, app="web", max_per_node=data.draw(most)) for number, shape in snapshot.shapes.items()}
    check_against_the_naive_one(policy, replace(snapshot, shapes=shapes), data)


def check_against_the_naive_one(policy: StagedPolicy, snapshot: Snapshot, data: st.DataObject) -> None:
    """The same promises and starts, now and later."""
    # The naive planner of promises knows neither bounds of projects nor places that a job prefers.
    shapes = {number: replace(shape, prefer=(), prefer_wait_ms=0) for number, shape in snapshot.shapes.items()}
    snapshot = replace(snapshot, settings=replace(snapshot.settings, backfill_depth=10_000), shapes=shapes, projects=(), usage=())
    first = policy.plan(snapshot)
    assert told(first) == told(naive_promises(snapshot, policy.stages))
    after, _ = committed(snapshot, first)
    later = replace(applied(after, data.draw(changes_after(after))), promises=first.promises)
    second = policy.plan(later)
    assert told(second) == told(naive_promises(later, policy.stages))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycle, "FEW_NODES", 0)
        assert told(policy.plan(later)) == told(second)


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(CONSERVATIVE), st.data())
def test_a_plan_breaks_no_invariant_and_a_kept_board_gives_the_same(snapshot: Snapshot, data: st.DataObject) -> None:
    board = Board.of(snapshot)
    plan = CONSERVATIVE.plan_on(board, snapshot.now_ms)
    assert plan == CONSERVATIVE.plan(snapshot)
    assert plan_violations(snapshot, plan) == ()
    after, changes = committed(snapshot, plan)
    assert violations(after) == ()
    board.advance(replace(changes, promises=plan.promises))
    news = data.draw(changes_after(after))
    board.advance(news)
    rebuilt = replace(applied(after, news), promises=plan.promises)
    assert board.content() == Board.of(rebuilt).content()
    assert CONSERVATIVE.plan_on(board, news.now_ms) == CONSERVATIVE.plan(rebuilt)


def first_promises(workload: Workload, name: str, runtimes: Exact | Requested) -> tuple[Replay, dict[int, int]]:
    """A replay, and what each job was promised first."""
    replay, promised = Replay(workload, policy_by_name(name), runtimes, Rules(enforce_limits=True)), {}
    latest: dict[int, int] = {}
    while (now_ms := replay.next_ms()) is not None:
        replay.step(now_ms)
        for promise in replay.policy.plan_on(replay.board, now_ms, decisions_only=True).promises:
            promised.setdefault(promise.job_id, promise.start_ms)
            assert promise.start_ms <= latest.get(promise.job_id, promise.start_ms), "a promise was made worse"
            latest[promise.job_id] = promise.start_ms
    return replay, promised


def apart(workload: Workload) -> Workload:
    """The same with all jobs of one app, of which some bear only one or two on a node."""
    most = (0, 1, 0, 2, 3)
    jobs = [
        replace(job, shape=replace(job.shape, app="web", max_per_node=most[number % len(most)]))
        for number, job in enumerate(workload.jobs)
    ]
    return replace(workload, jobs=tuple(jobs))


@pytest.mark.parametrize("name", ["conservative", "sjf-conservative", "hrrn-conservative"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("runtimes", [Exact(), Requested()], ids=["exact", "early ends"])
def test_nobody_starts_later_than_was_first_promised(name: str, seed: int, runtimes: Exact | Requested) -> None:
    for workload in (batch(seed, 60), mixed(seed, 40), apart(batch(seed, 60))):
        replay, promised = first_promises(workload, name, runtimes)
        assert promised, "nobody had to wait"
        for job_id, start_ms in promised.items():
            assert 0 <= replay.result.started_ms[job_id - 1] <= start_ms


def test_an_expected_start_is_the_promise() -> None:
    replay = Replay(batch(1, 60), CONSERVATIVE, Exact())
    seen = 0
    while (now_ms := replay.next_ms()) is not None:
        replay.step(now_ms)
        board = replay.board
        plan = CONSERVATIVE.plan_on(board, now_ms)
        promised = {promise.job_id: promise.start_ms for promise in plan.promises}
        before = board.content()
        expected = look_ahead(board, now_ms, CONSERVATIVE.stages, list(promised)).starts
        assert {job_id: expected[job_id] for job_id in promised} == promised
        assert board.content() == before
        seen += len(promised)
    assert seen > 50


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_promises_are_bounded_and_the_rest_delays_none(bound: int) -> None:
    rules = Rules(settings=replace(Rules().settings, promises=bound))
    replay = Replay(batch(2, 80), CONSERVATIVE, Exact(), rules)
    promised: dict[int, int] = {}
    while (now_ms := replay.next_ms()) is not None:
        replay.step(now_ms)
        promises = CONSERVATIVE.plan_on(replay.board, now_ms).promises
        assert len(promises) <= bound
        for promise in promises:
            promised.setdefault(promise.job_id, promise.start_ms)
    assert all(replay.result.started_ms[job_id - 1] <= start_ms for job_id, start_ms in promised.items())
    assert bool(promised) == bool(bound)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=examples(40), deadline=None)
@given(snapshots(CONSERVATIVE), st.sampled_from([1, 60_000, 1_800_000]))
def test_with_the_guard_the_oldest_is_the_head_whatever_the_order(order: str, snapshot: Snapshot, guard_ms: int) -> None:
    guarded = replace(snapshot, settings=PlanSettings(guard_ms=guard_ms))
    stages = policy_by_name(order).stages
    board = Board.of(guarded, stages.distinguishes)
    line = [board.waiting.rows[job_id] for job_id in first_in_order(board, guarded.now_ms, stages, 99)]
    old = [job for job in line if guarded.now_ms - job.submitted_ms > guard_ms]
    assert line[: len(old)] == sorted(old, key=lambda job: (job.submitted_ms, job.id))


def stream() -> Workload:
    """A job that wants the whole pool, and without an end in sight small ones that always leave a part of it free, never all."""
    small = [TraceJob(number, f"s{number}", Shape(Amounts(2000)), number * 10_000, 25_000, 25_000) for number in range(1, 200)]
    wide = TraceJob(0, "wide", Shape(Amounts(6000)), 35_000, 20_000, 20_000)
    return workload_of("stream", [pool(6)], sorted([wide, *small], key=lambda job: job.submitted_ms))


@pytest.mark.parametrize("name", ["greedy", "sjf-greedy", "spf-greedy", "hrrn-greedy"])
def test_with_the_guard_a_wide_job_starts_that_would_starve_without(name: str) -> None:
    def wait_ms(guard_ms: int) -> int:
        rules = Rules(settings=replace(Rules().settings, guard_ms=guard_ms))
        found = Replay(stream(), policy_by_name(name), Exact(), rules).run()
        return next(
            start - job.submitted_ms for job, start in zip(found.workload.jobs, found.started_ms, strict=True) if job.name == "wide"
        )

    assert wait_ms(0) > 1_900_000
    assert 60_000 < wait_ms(60_000) <= 60_000 + 25_000 + 10_000
