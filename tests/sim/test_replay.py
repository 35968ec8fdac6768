"""Replays: the textbook's EASY, the plan of a fresh board at every event, limits, beliefs, and what cannot happen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.model.amounts import MILLI, Amounts
from tenure.model.job import JobTable
from tenure.model.plan import Plan
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.clock import VirtualClock
from tenure.sim.decisions import records_of
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import DROP, END, NOT_YET, START, Replayed
from tenure.sim.runtimes import BY_NAME, Bounded, Exact, LastTwo, Predicted, Requested
from tenure.sim.workload import TraceJob, Workload, workload_of
from tests.sim.drawn import SECOND_MS, batch, mixed, placement_study, pool
from tests.sim.textbook import Job, easy
from tests.support.examples import examples

DEFAULT = Rules()


def replayed(workload: Workload, policy: str = "easy", runtimes: str = "exact", rules: Rules = DEFAULT) -> Replayed:
    """One replay by names."""
    return Replay(workload, policy_by_name(policy), BY_NAME[runtimes](), rules).run()


def one(number: int, at_s: int, width: int, run_s: int, asked_s: int = 0, user: str = "u") -> TraceJob:
    """A job of a pool."""
    shape = Shape(Amounts(cpu_milli=width * MILLI))
    return TraceJob(number, f"j{number}", shape, at_s * SECOND_MS, run_s * SECOND_MS, asked_s * SECOND_MS, user=user)


def starts_s(result: Replayed) -> list[int]:
    """When the jobs started."""
    return [at // SECOND_MS for at in result.started_ms]


def textbook(workload: Workload, *, exact: bool) -> list[int]:
    """The same by the textbook."""
    jobs = [
        Job(job.number, job.submitted_ms, job.shape.amounts.cpu_milli // MILLI, job.run_ms, job.run_ms if exact else job.requested_ms)
        for job in workload.jobs
    ]
    return easy(jobs, workload.nodes[0].capacity.cpu_milli // MILLI)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_easy_is_the_textbooks_easy(seed: int, exact: bool) -> None:
    workload = batch(seed, 60)
    assert replayed(workload, "easy", "exact" if exact else "requested").started_ms == textbook(workload, exact=exact)


class Doubting:
    """A policy that decides each time on the kept board, plans on a fresh one of the same content as production does, and compares."""

    def __init__(self, policy: StagedPolicy) -> None:
        self.policy = policy
        self.name, self.distinguishes = policy.name, policy.distinguishes
        self.compared = 0

    def plan_on(self, board: Board, now_ms: int, *, decisions_only: bool) -> Plan:
        plan = self.policy.plan_on(board, now_ms, decisions_only=decisions_only)
        snapshot = Snapshot(
            board.revision,
            now_ms,
            nodes=board.nodes,
            shapes=board.shapes,
            pending=JobTable.of(board.waiting.rows.values()),
            running=tuple(board.running[job_id] for job_id in sorted(board.running)),
            queues=tuple(board.waiting.queues.values()),
            settings=board.settings,
        )
        assert plan.decisions == self.policy.plan(snapshot).decisions
        self.compared += 1
        return plan


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["easy", "default", "greedy"]), st.sampled_from(sorted(BY_NAME)))
def test_every_plan_is_the_one_of_a_fresh_board(seed: int, policy: str, runtimes: str) -> None:
    doubting = Doubting(policy_by_name(policy))
    Replay(mixed(seed, 40), doubting, BY_NAME[runtimes]()).run()
    assert doubting.compared > 10


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["easy", "default", "greedy"]), st.sampled_from(sorted(BY_NAME)))
def test_nothing_is_given_out_twice_and_everything_ends(seed: int, policy: str, runtimes: str) -> None:
    workload = mixed(seed, 60)
    result = replayed(workload, policy, runtimes)
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    for job, started, ended in zip(workload.jobs, result.started_ms, result.ended_ms, strict=True):
        assert started >= job.submitted_ms
        assert ended == started + job.run_ms


def test_the_same_replay_twice_is_the_same() -> None:
    first, second = (replayed(mixed(7), "default", "predicted") for _ in range(2))
    assert first.actions == second.actions
    assert first.samples == second.samples


def test_starts_take_effect_before_the_next_event() -> None:
    workload = workload_of("two", [pool(4)], [one(1, 0, 4, 10), one(2, 1, 4, 10)])
    assert [(action.t_ms, action.kind, action.job) for action in replayed(workload).actions] == [
        (0, START, 0),
        (10_000, END, 0),
        (10_000, START, 1),
        (20_000, END, 1),
    ]


def test_a_job_without_any_length_comes_and_goes() -> None:
    workload = workload_of("none", [pool(4)], [one(1, 5, 4, 0), one(2, 5, 4, 0)])
    assert replayed(workload).ended_ms == [5000, 5000]


def test_one_by_one_the_policy_sees_what_happens_together_apart() -> None:
    # At 10 s job 1 ends, and jobs 2 and 3 come, in this order: arrivals first, each of them seen alone.
    jobs = [one(1, 0, 4, 10), one(2, 10, 2, 5), one(3, 10, 4, 5)]
    counting = Doubting(policy_by_name("easy"))
    result = Replay(workload_of("three", [pool(4)], jobs), counting, rules=Rules(one_by_one=True)).run()
    assert starts_s(result) == [0, 10, 15]
    assert result.events == 6
    together = Replay(workload_of("three", [pool(4)], jobs), policy_by_name("easy")).run()
    assert (together.events, together.started_ms) == (4, result.started_ms)
    assert result.plans > together.plans


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 10**6))
def test_one_by_one_nothing_is_given_out_twice(seed: int) -> None:
    workload = mixed(seed, 40)
    result = replayed(workload, "default", "predicted", Rules(one_by_one=True))
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    assert NOT_YET not in result.ended_ms


def test_what_never_fits_is_left_waiting() -> None:
    workload = workload_of("large", [pool(4)], [one(1, 0, 5, 10), one(2, 0, 1, 10)])
    result = replayed(workload)
    assert result.started_ms == [NOT_YET, 0]


def test_a_belief_that_was_too_long_keeps_others_out() -> None:
    # Job 3 would end before job 2 starts in truth, but not by what job 1's user asked for.
    jobs = [one(1, 0, 2, 10, asked_s=20), one(2, 1, 4, 10, asked_s=10), one(3, 2, 1, 15, asked_s=30)]
    workload = workload_of("three", [pool(4)], jobs)
    assert starts_s(replayed(workload, runtimes="requested")) == [0, 10, 20]
    assert starts_s(replayed(workload, runtimes="exact")) == [0, 10, 20]
    shorter = workload_of("three", [pool(4)], [*jobs[:2], one(3, 2, 1, 15, asked_s=18)])
    assert starts_s(replayed(shorter, runtimes="requested")) == [0, 17, 2]


def test_a_job_that_outlives_its_request_goes_on_unless_limits_are_enforced() -> None:
    workload = workload_of("late", [pool(4)], [one(1, 0, 4, 100, asked_s=20), one(2, 1, 4, 10, asked_s=10)])
    assert replayed(workload, runtimes="requested").ended_ms == [100_000, 110_000]
    enforced = replayed(workload, runtimes="requested", rules=Rules(enforce_limits=True))
    assert enforced.ended_ms == [20_000, 30_000]


class Watching:
    """A policy that writes down what it is told of the job with number 2: how long it has run, how long it is believed to run."""

    def __init__(self, policy: StagedPolicy) -> None:
        self.policy = policy
        self.name, self.distinguishes = policy.name, policy.distinguishes
        self.seen: list[tuple[int, int]] = []

    def plan_on(self, board: Board, now_ms: int, *, decisions_only: bool) -> Plan:
        row = board.running.get(2)
        if row is not None:
            self.seen.append((now_ms - row.started_ms, row.ends_by_ms - row.started_ms))
        return self.policy.plan_on(board, now_ms, decisions_only=decisions_only)


def test_an_outlived_belief_grows_until_the_request() -> None:
    workload = workload_of("late", [pool(4)], [one(1, 0, 1, 10, 10), one(2, 20, 4, 1000, 900), one(3, 21, 4, 5, 5)])
    watching = Watching(policy_by_name("easy"))
    Replay(workload, watching, Predicted()).run()
    # 10 s by the user's first job, a minute more, five minutes more, then the request, then on from there.
    assert watching.seen == [(1000, 10_000), (10_000, 70_000), (70_000, 370_000), (370_000, 900_000), (900_000, 2_700_000)]


def test_an_outlived_belief_is_seen_at_once() -> None:
    # The belief about job 2 ends when nothing else has happened since its start.
    workload = workload_of("late", [pool(4)], [one(1, 0, 1, 10, 10), one(2, 20, 4, 100, 90), one(3, 30, 4, 5, 5)])
    watching = Watching(policy_by_name("easy"))
    Replay(workload, watching, Predicted()).run()
    assert watching.seen == [(10_000, 70_000), (70_000, 90_000), (90_000, 990_000)]


def test_the_mean_of_the_last_two_ended_jobs_of_the_user() -> None:
    predictor = LastTwo()
    job = one(9, 0, 1, 1)
    assert predictor.forecast(job, 5) is None
    for run_s in (10, 20, 40):
        predictor.learn(one(1, 0, 1, run_s), run_s * SECOND_MS)
    predictor.learn(one(2, 0, 1, 7, user="other"), 7000)
    forecast = predictor.forecast(job, 5)
    assert forecast is not None
    assert (forecast.job_id, forecast.p50_ms, forecast.p90_ms, forecast.as_of_ms) == (9, 30_000, 40_000, 5)


def test_where_nobody_is_named_jobs_resemble_those_of_their_project() -> None:
    predictor = LastTwo()
    predictor.learn(TraceJob(1, "1", Shape(), 0, 7000, project="a"), 7000)
    predictor.learn(TraceJob(2, "2", Shape(), 0, 9000, project="b"), 9000)
    predictor.learn(TraceJob(3, "3", Shape(), 0, 1000, project="a", user="ann"), 1000)
    found = [predictor.forecast(TraceJob(4, "4", Shape(), 0, 1, **whose), 5) for whose in ({"project": "a"}, {"project": "b"}, {})]
    assert [forecast and forecast.p50_ms for forecast in found] == [7000, 9000, None]
    named = predictor.forecast(TraceJob(4, "4", Shape(), 0, 1, project="b", user="ann"), 5)
    assert named is not None
    assert named.p50_ms == 1000, "a name says more than a project"


@pytest.mark.parametrize(("asked_s", "expected_s"), [(20, 20), (0, 50), (90, 50)])
def test_a_prediction_is_never_more_than_the_request(asked_s: int, expected_s: int) -> None:
    job = one(2, 0, 1, 1, asked_s)
    for beliefs, limit_s in ((Requested(), asked_s), (Predicted(), expected_s)):
        beliefs.ended(one(1, 0, 1, 50), 50_000)
        assert beliefs.limit_ms(job, 0) == limit_s * SECOND_MS
        assert beliefs.expected_ms(job, 0) == expected_s * SECOND_MS


def test_orders_go_by_the_forecast_and_reservations_by_the_request() -> None:
    # The user's first job says that job 3, which asks for more than job 2, is the shorter one.
    jobs = [one(1, 0, 4, 10, 90, user="quick"), one(2, 11, 4, 100, 100, user="slow"), one(3, 12, 4, 10, 200, user="quick")]
    jobs.append(one(4, 13, 4, 50, 60, user="other"))
    workload = workload_of("four", [pool(4)], jobs)
    assert starts_s(replayed(workload, "spf", "requested")) == [0, 11, 111, 121]
    assert starts_s(replayed(workload, "sjf", "requested")) == [0, 11, 161, 111]


def test_who_orders_by_forecasts_is_told_a_limit_that_mostly_holds() -> None:
    beliefs = Predicted().suited(("expected_ms",))
    assert isinstance(beliefs, Bounded)
    plain = Predicted()
    assert plain.suited(()) is plain
    for number in range(1, 42):  # every other job runs for 10 s, the others for 30 s: the mean of two is 20 s and is outlived by half
        job, run_s = one(number, 0, 1, 10, asked_s=100), 10 + number % 2 * 20
        beliefs.limit_ms(job, 0)
        beliefs.ended(job, run_s * SECOND_MS)
    job = one(50, 0, 1, 1, asked_s=100)
    assert beliefs.expected_ms(job, 0) == 20_000
    assert beliefs.limit_ms(job, 0) == 30_000
    assert beliefs.limit_ms(one(51, 0, 1, 1, asked_s=25), 0) == 25_000
    assert beliefs.longer_ms(job, 30_000, 0) == 100_000
    assert beliefs.longer_ms(one(52, 0, 1, 1), 30_000, 0) == 90_000


def test_accuracy_is_that_of_the_forecast_whatever_the_limit() -> None:
    jobs = [one(number, 100 * number, 1, 10 + number % 2 * 20, asked_s=90) for number in range(1, 30)]
    workload = workload_of("two lengths", [pool(2)], jobs)
    found = [figures_of(replayed(workload, policy, "predicted"))["runtime_accuracy"] for policy in ("easy", "tenure")]
    assert found[0] == found[1]


def test_of_a_new_user_nothing_is_predicted() -> None:
    job = one(2, 0, 1, 1, asked_s=90)
    assert (Predicted().limit_ms(job, 0), Predicted().expected_ms(job, 0)) == (90_000, 0)
    assert Exact().expected_ms(job, 0) == 0


def test_nothing_is_believed_of_what_never_ends() -> None:
    lasting = replace(one(1, 0, 1, 5), lives=True)
    assert Exact().limit_ms(lasting, 0) == 0
    assert Requested().limit_ms(lasting, 0) == 0


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 10**6))
def test_in_a_placement_study_a_job_starts_as_it_comes_or_is_gone(seed: int) -> None:
    workload = placement_study(seed)
    result = replayed(workload, "greedy", rules=Rules(drop=True))
    kinds = [action.kind for action in result.actions]
    assert [action.job for action in result.actions] == list(range(len(workload.jobs)))
    assert kinds.count(START) + kinds.count(DROP) == len(workload.jobs)
    assert kinds.count(DROP) > 0
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    Replay(batch(1, 50), policy_by_name("easy")).run(lambda done, total: told.append((done, total)))
    assert told[-1] == (50, 50)
    assert told == sorted(told)


def test_the_clock_never_goes_back() -> None:
    clock = VirtualClock(5)
    clock.move_to(9)
    assert clock.now_ms() == 9
    with pytest.raises(ValueError, match="is over"):
        clock.move_to(8)
