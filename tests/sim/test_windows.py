"""Windows in a replay: nobody runs in what is set aside for others, everybody else as before, and a mistake is told."""

from __future__ import annotations

import pytest

from tenure.model.amounts import Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import Replayed
from tenure.sim.runtimes import Exact
from tenure.sim.windows import WindowSpec, window_spec
from tenure.sim.workload import BadWorkload, TraceJob, workload_of
from tests.sim.drawn import batch, mixed, pool

HOUR_MS = 3_600_000


def spans(result: Replayed) -> list[tuple[int, int, set[int]]]:
    """(start, end, node ids) of each job that ran."""
    places = {action.job: {place.node_id for place in action.placements} for action in result.actions if action.placements}
    return [(start, end, places[job]) for job, (start, end) in enumerate(zip(result.started_ms, result.ended_ms, strict=True))]


@pytest.mark.parametrize("policy", ["easy", "conservative", "default", "sjf", "greedy"])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_runs_in_a_maintenance_window_and_everybody_runs(policy: str, seed: int) -> None:
    for workload in (batch(seed, 80), mixed(seed, 60)):
        name = workload.nodes[0].name
        replay = Replay(workload, policy_by_name(policy), Exact(), Rules(windows=(window_spec(f"{name}@10m+15m"),)))
        result = replay.run()
        (window,) = replay.windows
        assert min(result.started_ms) >= 0
        for start, end, nodes in spans(result):
            if workload.nodes[0].id in nodes:
                assert end <= window.from_ms or start >= window.until_ms


@pytest.mark.parametrize("policy", ["easy", "conservative"])
def test_a_project_runs_in_its_window_and_others_wait_for_its_end(policy: str) -> None:
    shape = Shape(Amounts(4000))
    jobs = [
        TraceJob(1, "theirs", shape, 0, HOUR_MS, HOUR_MS, project="other"),
        TraceJob(2, "ours", shape, 1000, HOUR_MS // 2, HOUR_MS // 2, project="vision"),
    ]
    rules = Rules(windows=(WindowSpec(("*",), 1800_000, 2 * HOUR_MS, "vision"),))
    result = Replay(workload_of("two", [pool(4)], jobs), policy_by_name(policy), Exact(), rules).run()
    assert result.started_ms == [2 * HOUR_MS, 1000]


def test_a_window_without_effect_changes_nothing() -> None:
    plain = Replay(batch(3, 80), policy_by_name("easy"), Exact()).run()
    beside = Replay(batch(3, 80), policy_by_name("easy"), Exact(), Rules(windows=(window_spec("*@400d+1h"),))).run()
    assert beside.started_ms == plain.started_ms


@pytest.mark.parametrize("text", ["", "n1", "n1@2h", "n1@soon+2h", "n1@2h+0s", "@2h+1h"])
def test_what_is_no_window_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(BadWorkload, match="NODES@FROM"):
        window_spec(text)


def test_a_node_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BadWorkload, match=r"no node 'nowhere' to set aside; the nodes are called pool"):
        Replay(batch(1, 5), policy_by_name("easy"), Exact(), Rules(windows=(window_spec("nowhere@1h+1h"),)))
