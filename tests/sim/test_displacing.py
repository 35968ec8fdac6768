"""Replays of policies that displace: who makes room, what is lost, what goes on from where, and that nothing else goes missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.amounts import MILLI, Amounts
from tenure.model.settings import HOUR_MS, PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.decisions import records_of
from tenure.sim.full import Full
from tenure.sim.metrics import Figures, ended_jobs, figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import PREEMPT, Replayed
from tenure.sim.runtimes import Exact, Requested
from tenure.sim.workload import BadWorkload, TraceJob, workload_of
from tests.sim.drawn import SECOND_MS, mixed, pool
from tests.support.examples import examples

MINUTE_MS = 60 * SECOND_MS
USUAL = Rules().settings
PLANNED = replace(USUAL, preempt_min_run_ms=30_000, preempt_cool_down_ms=300_000)


def one(number: int, at_min: int, run_min: int, priority: int, cpus: int = 2) -> TraceJob:
    """A job of the pool."""
    times = at_min * MINUTE_MS, run_min * MINUTE_MS, 2 * run_min * MINUTE_MS
    return TraceJob(number, f"j{number}", Shape(Amounts(cpu_milli=cpus * MILLI)), *times, user="u", priority=priority)


def replayed(jobs: list[TraceJob], planned: PlanSettings = USUAL, policy: str = "preemptive") -> Replayed:
    """A replay on two cpus."""
    workload = workload_of("three", [pool(2)], jobs)
    result = Replay(workload, policy_by_name(policy), Requested(), Rules(settings=planned)).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    return result


def minutes(times: list[int]) -> list[int]:
    """Milliseconds as whole minutes."""
    return [at // MINUTE_MS for at in times]


THREE = [one(1, 0, 100, 2), one(2, 20, 10, 9), one(3, 25, 5, 2)]


@pytest.mark.parametrize(("every_min", "ends", "lost_min"), [(0, [130, 30, 135], 20), (15, [115, 30, 120], 5), (10, [110, 30, 115], 0)])
def test_a_displaced_job_goes_on_from_its_last_checkpoint(every_min: int, ends: list[int], lost_min: int) -> None:
    result = replayed(THREE, replace(USUAL, checkpoint_every_ms=every_min * MINUTE_MS))
    assert minutes(result.ended_ms) == ends
    found = figures_of(result)
    assert (found["preemptions"], found["work_lost_s"]) == (1, lost_min * 60)
    assert [(minutes([item.wait_ms, item.run_ms])) for item in ended_jobs(result)] == [
        [ends[0] - 100, 100],
        [0, 10],
        [ends[2] - 30, 5],
    ]
    assert found["cpu_utilisation_pct"] == pytest.approx(100)


def test_without_the_policy_and_before_the_least_run_nobody_is_displaced() -> None:
    assert minutes(replayed(THREE, policy="default").ended_ms) == [100, 110, 115]
    late = replayed(THREE, replace(USUAL, preempt_min_run_ms=25 * MINUTE_MS))
    assert minutes([action.t_ms for action in late.actions if action.kind == PREEMPT]) == [25]
    assert minutes(late.ended_ms) == [135, 35, 140]


def test_who_was_displaced_has_peace_until_the_cool_down_is_over() -> None:
    jobs = [one(1, 0, 300, 2), one(2, 20, 10, 9), one(3, 45, 10, 9)]
    result = replayed(jobs, replace(USUAL, preempt_cool_down_ms=40 * MINUTE_MS))
    assert minutes([action.t_ms for action in result.actions if action.kind == PREEMPT]) == [20, 60]
    assert minutes(result.ended_ms) == [370, 30, 70]


def test_production_is_not_asked_to_replay_displacing() -> None:
    with pytest.raises(BadWorkload, match="policies that displace"):
        Full(workload_of("three", [pool(2)], THREE), policy_by_name("preemptive"), Exact(), Rules())


@settings(max_examples=examples(25), deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["preemptive", "fifo-easy-preemptive", "greedy-preemptive+fgd"]),
    st.sampled_from([0, 70 * SECOND_MS]),
    st.sampled_from([0, 2, 100]),
    st.booleans(),
)
def test_whatever_is_displaced_everything_ends_and_no_law_is_broken(seed: int, name: str, every: int, most: int, apart: bool) -> None:
    workload = mixed(seed, 60)
    planned = replace(PLANNED, checkpoint_every_ms=every, preempt_per_hour=most)
    rules = Rules(settings=planned, one_by_one=apart)
    result = Replay(workload, policy_by_name(name), Requested(), rules).run()
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    assert [item.run_ms for item in ended_jobs(result)] == [job.run_ms for job in workload.jobs]
    at = [action.t_ms for action in result.actions if action.kind == PREEMPT]
    assert max([sum(t - HOUR_MS < other <= t for other in at) for t in at], default=0) <= most
    for job in {action.job for action in result.actions if action.kind == PREEMPT}:
        mine = [action.t_ms for action in result.actions if action.kind == PREEMPT and action.job == job]
        assert all(later - earlier >= planned.preempt_cool_down_ms for earlier, later in pairwise(mine))
    again = Replay(workload, policy_by_name(name), Requested(), rules).run()
    assert again.actions == result.actions


GOLDEN = [
    ("default", 0, 0, 0.0, 1193.0, 336.2),
    ("preemptive", 0, 91, 28390.0, 3857.3, 46.6),
    ("preemptive", 60, 66, 1410.0, 2307.0, 33.4),
]
"""Policy, seconds between checkpoints; jobs displaced, seconds of work lost, mean wait of the lowest and of the highest priority."""


def by_level(result: Replayed) -> dict[int, float]:
    """The mean wait of each priority, in seconds."""
    waits, counts = Counter[int](), Counter[int]()
    for item in ended_jobs(result):
        waits[item.job.priority] += item.wait_ms
        counts[item.job.priority] += 1
    return {priority: waits[priority] / counts[priority] / MILLI for priority in sorted(counts)}


def figures(policy: str, every_s: int) -> tuple[Figures, dict[int, float]]:
    planned = replace(PLANNED, checkpoint_every_ms=every_s * SECOND_MS)
    result = Replay(mixed(7, 300), policy_by_name(policy), Requested(), Rules(settings=planned)).run()
    return figures_of(result), by_level(result)


@pytest.mark.parametrize(("policy", "every_s", "preemptions", "lost_s", "low_s", "high_s"), GOLDEN)
def test_the_figures_of_displacing(policy: str, every_s: int, preemptions: int, lost_s: float, low_s: float, high_s: float) -> None:
    found, waits = figures(policy, every_s)
    assert (found["preemptions"], found["work_lost_s"]) == (preemptions, lost_s)
    assert (waits[2], waits[8]) == (pytest.approx(low_s, abs=0.1), pytest.approx(high_s, abs=0.1))
