"""Replays in which jobs take turns: who rests, who goes on, that nothing is lost by it, and that nobody's slice is cut short."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.decisions import records_of
from tenure.sim.faults import Faults
from tenure.sim.full import Full
from tenure.sim.generate import generate
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import END, FAIL, PREEMPT, RESUME, START, SUSPEND, Replayed
from tenure.sim.runtimes import BY_NAME, Requested
from tenure.sim.workload import TraceJob, Workload, workload_of
from tests.sim.drawn import SECOND_MS, batch, mixed, pool
from tests.support.examples import examples

MINUTE_MS = 60 * SECOND_MS
SLICE_MS = 10 * MINUTE_MS
USUAL = replace(Rules().settings, slice_ms=SLICE_MS)


def one(number: int, at_min: int, run_min: int, cpus: int = 1, priority: int = 5, memory_bytes: int = 0) -> TraceJob:
    """A job of the pool whose user asks for ten times what it needs."""
    times = at_min * MINUTE_MS, run_min * MINUTE_MS, 10 * run_min * MINUTE_MS
    return TraceJob(number, f"j{number}", Shape(Amounts(cpus * MILLI, memory_bytes)), *times, user="u", priority=priority)


def replayed(jobs: list[TraceJob], cpus: int = 1, policy: str = "time_slicing", memory_bytes: int = 0) -> Replayed:
    """A replay on so many cpus."""
    node = replace(pool(cpus), capacity=Amounts(cpus * MILLI, memory_bytes))
    workload = workload_of("few", [node], jobs)
    result = Replay(workload, policy_by_name(policy), Requested(), Rules(settings=USUAL)).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    return result


def turns(result: Replayed) -> list[tuple[int, str, int]]:
    """What happened, in minutes, by the jobs' numbers."""
    return [(action.t_ms // MINUTE_MS, action.kind, action.job + 1) for action in result.actions]


def test_two_long_jobs_take_turns_on_one_cpu() -> None:
    result = replayed([one(1, 0, 25), one(2, 0, 15)])
    assert turns(result) == [
        (0, START, 1),
        (10, SUSPEND, 1),
        (10, START, 2),
        (20, SUSPEND, 2),
        (20, RESUME, 1),
        (30, SUSPEND, 1),
        (30, RESUME, 2),
        (35, END, 2),
        (35, RESUME, 1),
        (40, END, 1),
    ]
    found = figures_of(result)
    assert (found["suspensions"], found["preemptions"], found["work_lost_s"]) == (3, 0, 0)
    assert found["cpu_utilisation_pct"] == pytest.approx(100)


def test_a_job_of_lower_priority_rests_too_and_one_of_higher_priority_never() -> None:
    assert turns(replayed([one(1, 0, 25, priority=2), one(2, 0, 15)]))[1:3] == [(15, END, 2), (15, START, 1)]
    late = replayed([one(1, 0, 25, priority=2), one(2, 5, 15)])
    assert turns(late)[1:4] == [(10, SUSPEND, 1), (10, START, 2), (25, END, 2)], "nobody of its standing waits for the second"


def test_memory_stays_taken_so_that_who_does_not_fit_beside_it_waits_for_the_end() -> None:
    beside = replayed([one(1, 0, 25, memory_bytes=4 * GIB), one(2, 0, 15, memory_bytes=4 * GIB)], memory_bytes=8 * GIB)
    assert (10, SUSPEND, 1) in turns(beside)
    alone = replayed([one(1, 0, 25, memory_bytes=5 * GIB), one(2, 0, 15, memory_bytes=5 * GIB)], memory_bytes=8 * GIB)
    assert turns(alone) == [(0, START, 1), (25, END, 1), (25, START, 2), (40, END, 2)]


def test_a_wide_job_gets_all_it_needs_at_once_and_no_later_one_slips_in_between() -> None:
    result = replayed([one(1, 0, 60), one(2, 5, 60), one(3, 6, 30, cpus=2), one(4, 7, 60)], cpus=2)
    assert turns(result)[2:5] == [(15, SUSPEND, 1), (15, SUSPEND, 2), (15, START, 3)]
    assert Counter(kind for _, kind, _ in turns(result))[END] == 4


def check_slices(result: Replayed, slice_ms: int) -> None:
    """Nobody rests before its slice is over, who rests goes on, and what runs is what was asked for."""
    since: dict[int, int] = {}
    ran: Counter[int] = Counter()
    resting: set[int] = set()
    for action in result.actions:
        if action.kind in (START, RESUME):
            assert (action.job in resting) == (action.kind == RESUME)
            resting.discard(action.job)
            since[action.job] = action.t_ms
        elif action.kind in (SUSPEND, END):
            lasted_ms = action.t_ms - since.pop(action.job)
            ran[action.job] += lasted_ms
            if action.kind == SUSPEND:
                assert lasted_ms >= slice_ms, f"job {action.job} rested after {lasted_ms} ms"
                resting.add(action.job)
        elif action.kind in (PREEMPT, FAIL):
            resting.discard(action.job)
            since.pop(action.job, None)
            ran.pop(action.job, None)
    assert not resting
    assert not since
    assert all(ran[job] == result.workload.jobs[job].run_ms for job in ran)


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(1, 10_000), of=st.sampled_from((batch, mixed)), slice_ms=st.sampled_from((5_000, 60_000, 400_000)))
def test_whatever_is_drawn_everybody_ends_and_no_slice_is_cut_short(seed: int, of: object, slice_ms: int) -> None:
    workload: Workload = of(seed, 40)  # type: ignore[operator]
    rules = Rules(settings=replace(USUAL, slice_ms=slice_ms))
    result = Replay(workload, policy_by_name("time_slicing"), Requested(), rules).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    check_slices(result, slice_ms)
    assert all(end >= 0 for end in result.ended_ms)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 10_000))
def test_nodes_that_fail_take_those_who_rest_with_them(seed: int) -> None:
    workload = mixed(seed, 40)
    rules = Rules(settings=replace(USUAL, slice_ms=30_000), faults=Faults(600_000, 60_000, requeue=True), seed=seed)
    result = Replay(workload, policy_by_name("time_slicing"), Requested(), rules).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    check_slices(result, 30_000)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("of", [batch, mixed])
def test_production_takes_the_same_turns(seed: int, of: object) -> None:
    workload: Workload = of(seed, 40)  # type: ignore[operator]
    rules = Rules(enforce_limits=True, settings=replace(USUAL, slice_ms=100_000))
    fast = Replay(workload, policy_by_name("time_slicing"), BY_NAME["requested"](), rules).run()
    full = Full(workload, policy_by_name("time_slicing"), BY_NAME["requested"](), rules).run()
    assert sorted(fast.actions) == sorted(full.actions)
    assert (fast.started_ms, fast.ended_ms, fast.earlier_ms) == (full.started_ms, full.ended_ms, full.earlier_ms)
    assert of is mixed or any(action.kind == RESUME for action in fast.actions)


def test_another_policy_lets_nobody_rest() -> None:
    assert all(kind in (START, END) for _, kind, _ in turns(replayed([one(1, 0, 25), one(2, 0, 15)], policy="default")))


def test_where_memory_is_no_matter_turns_shorten_slowdowns_and_waits() -> None:
    rules, workload = Rules(settings=USUAL), generate("lublin:jobs=200,nodes=64,seed=5,load=0.95")
    found = figures_of(Replay(workload, policy_by_name("time_slicing"), Requested(), rules).run())
    assert (found["suspensions"], found["ended"]) == (2266, 200)
    assert found["avebsld"] == pytest.approx(5.6430, abs=1e-4), "68.8670 without turns"
    assert found["mean_wait_s"] == pytest.approx(10007.1, abs=0.1), "12177.1 without turns"
    assert found["max_wait_s"] == pytest.approx(51531.3, abs=0.1), "152009.0 without turns"
