"""The replay decides as production does: the same jobs start and end at the same times in the same places."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.policies import policy_by_name
from tenure.sim.compare import compare
from tenure.sim.full import Full
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import Action, Replayed
from tenure.sim.runtimes import BY_NAME
from tenure.sim.workload import BadWorkload, Workload
from tests.sim.drawn import batch, mixed

ENFORCED = Rules(enforce_limits=True)


def told(result: Replayed) -> tuple[list[int], list[int], list[int], list[Action]]:
    """What must be the same: of ends in the same millisecond the order does not matter."""
    return result.started_ms, result.ended_ms, result.believed_ms, sorted(result.actions)


def both(workload: Workload, policy: str, runtimes: str) -> tuple[Replayed, Replayed]:
    fast = Replay(workload, policy_by_name(policy), BY_NAME[runtimes](), ENFORCED).run()
    return fast, Full(workload, policy_by_name(policy), BY_NAME[runtimes](), ENFORCED).run()


@pytest.mark.parametrize(
    ("policy", "seed"),
    [("default", 1), ("easy", 2), ("sjf-easy-sjbf", 3), ("greedy", 4), ("fifo+fgd", 5), ("hrrn-easy+gpu-packing", 6)],
)
def test_gpu_jobs_start_when_and_where_production_starts_them(policy: str, seed: int) -> None:
    fast, full = both(mixed(seed, 60), policy, "requested")
    assert told(fast) == told(full)
    assert any(start > job.submitted_ms for start, job in zip(full.started_ms, full.workload.jobs, strict=True)), "nobody waited"


@pytest.mark.parametrize(("policy", "runtimes"), [("easy", "exact"), ("easy-sjbf", "requested"), ("fifo", "exact")])
def test_batch_jobs_do_too(policy: str, runtimes: str) -> None:
    fast, full = both(batch(7, 80), policy, runtimes)
    assert told(fast) == told(full)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(1, 10_000), policy=st.sampled_from(("default", "easy", "saf-easy", "sjf", "greedy", "spread")))
def test_whatever_is_drawn(seed: int, policy: str) -> None:
    fast, full = both(mixed(seed, 25), policy, "requested")
    assert told(fast) == told(full)


def test_a_job_is_ended_at_its_limit() -> None:
    workload = batch(3, 20)
    short = replace(workload, jobs=tuple(replace(job, requested_ms=max(job.run_ms // 2, 1)) for job in workload.jobs))
    fast, full = both(short, "easy", "requested")
    assert told(fast) == told(full)
    assert all(end - start <= job.requested_ms for start, end, job in zip(full.started_ms, full.ended_ms, short.jobs, strict=True))


@pytest.mark.parametrize(
    ("policy", "runtimes", "rules"),
    [
        ("easy", "predicted", ENFORCED),
        ("spf-easy", "requested", ENFORCED),
        ("edf", "exact", ENFORCED),
        ("easy", "exact", Rules(drop=True)),
        ("easy", "exact", Rules(one_by_one=True)),
        ("easy", "exact", Rules(lots=1)),
    ],
)
def test_what_production_has_no_counterpart_for_is_refused(policy: str, runtimes: str, rules: Rules) -> None:
    with pytest.raises(BadWorkload, match="leave --full away"):
        Full(batch(1, 5), policy_by_name(policy), BY_NAME[runtimes](), rules)


def test_both_ways_are_compared_by_name() -> None:
    fast, full = (
        compare(batch(1, 30), ["easy"], "exact", rules, lambda *_: None)[0] for rules in (ENFORCED, replace(ENFORCED, full=True))
    )
    assert full.policy == fast.policy == "easy"
    assert full.ended_ms == fast.ended_ms
    assert full.elapsed_s > 0
