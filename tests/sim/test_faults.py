"""Nodes that fail, and jobs that are stopped with them and run again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.decisions import records_of
from tenure.sim.faults import Faults, Outages, parse_faults
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import FAIL, NOT_YET, PREEMPT, START, Replayed
from tenure.sim.runtimes import BY_NAME
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of
from tests.sim.drawn import SECOND_MS, cluster, mixed

OFTEN = Faults(between_ms=400 * SECOND_MS, repair_ms=60 * SECOND_MS)


def replayed(workload: Workload, policy: str = "easy", runtimes: str = "exact", **rules: object) -> Replayed:
    return Replay(workload, policy_by_name(policy), BY_NAME[runtimes](), replace(Rules(), **rules)).run()  # type: ignore[arg-type]


def job(number: int, at_s: int, run_s: int, *, gpus: int = 1) -> TraceJob:
    shape = Shape(Amounts(MILLI, GIB), gpu_milli=gpus * MILLI)
    return TraceJob(number, f"j{number}", shape, at_s * SECOND_MS, run_s * SECOND_MS, user="u", project="p")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("30d/2h", Faults(30 * 86_400_000, 7_200_000)),
        ("1.5h/90s,fail", Faults(5_400_000, 90_000, requeue=False)),
    ],
)
def test_faults_are_written_as_times(text: str, faults: Faults) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize("text", ["", "30d", "30d/", "0d/2h", "30d/2h/1h", "30/2", "30d/2h,again", "30d/2h,"])
def test_anything_else_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(BadWorkload, match="such as 30d/2h"):
        parse_faults(text)


def test_outages_depend_on_the_seed_and_the_names_alone() -> None:
    def told(seed: int, step_ms: int) -> list[tuple[int, ...]]:
        outages = Outages(OFTEN, cluster(), seed)
        found = []
        for at_ms in range(0, 5_000_000, step_ms):
            outages.until(at_ms, idle=False)
            if at_ms % 100_000 == 0:
                found.append(tuple(sorted(outages.down)))
        return found

    assert told(1, 100) == told(1, 100) != told(2, 100)


def test_while_all_is_idle_nodes_are_only_repaired() -> None:
    outages = Outages(OFTEN, cluster(), 3)
    while not outages.down:
        at_ms = outages.next_ms(idle=False)
        assert at_ms is not None
        outages.until(at_ms, idle=False)
    for _ in range(20):
        at_ms = outages.next_ms(idle=True)
        if at_ms is None:
            break
        outages.until(at_ms, idle=True)
    assert not outages.down


@pytest.mark.parametrize("policy", ["easy", "greedy+fgd", "sjf"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_job_ends_and_nothing_runs_on_a_node_that_is_down(policy: str, seed: int) -> None:
    workload = mixed(seed, 60)
    result = replayed(workload, policy, faults=OFTEN, seed=seed)
    assert result.failures > 3
    assert [job.name for job, end in zip(workload.jobs, result.ended_ms, strict=True) if end == NOT_YET] == []
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []
    stops = sum(action.kind == PREEMPT for action in result.actions)
    assert sum(action.kind == START for action in result.actions) == len(workload.jobs) + stops
    assert stops > 0 < sum(result.lost_ms.values())
    assert figures_of(result)["failed"] == figures_of(result)["preemptions"] == 0
    again = replayed(workload, policy, faults=OFTEN, seed=seed)
    assert again.actions == result.actions


def test_jobs_may_fail_with_their_node() -> None:
    workload = mixed(1, 60)
    result = replayed(workload, faults=replace(OFTEN, requeue=False), seed=1)
    figures = figures_of(result)
    assert figures["failed"] == sum(action.kind == FAIL for action in result.actions) > 0
    assert figures["ended"] == len(workload.jobs) - int(figures["failed"] or 0)
    assert faults_of(records_of(result), workload.nodes, workload.jobs) == []


def test_a_job_that_fits_nowhere_ends_the_replay_all_the_same() -> None:
    workload = workload_of("wide", cluster(1, 1), [job(1, 0, 100), job(2, 0, 10, gpus=4)])
    result = replayed(workload, "greedy", faults=OFTEN, seed=1)
    assert result.ended_ms[0] > 0
    assert result.started_ms[1] == NOT_YET


def test_who_is_longer_than_nodes_last_fails_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.sim.displaced.MOST_STOPS", 5)
    endless = workload_of("endless", cluster()[:1], [job(1, 0, 4_000_000)])
    result = replayed(endless, faults=OFTEN)
    assert [action.kind for action in result.actions] == [START, PREEMPT] * 4 + [START, FAIL]
    assert figures_of(result)["failed"] == 1
    last = list(records_of(result))[-1]
    assert (last["action"], last["failed"]) == ("end", True)
    assert faults_of(records_of(result), endless.nodes, endless.jobs) == []
