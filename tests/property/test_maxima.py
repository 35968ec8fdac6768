"""Who asks for more than his project may hold at the moment is not passed for ever by smaller jobs of his project."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenure.core.invariants import plan_violations
from tenure.model.amounts import Amounts
from tenure.model.project import Bundle
from tenure.model.reasons import MaximumReached
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import Cluster
from tenure.testing.outcome import committed
from tests.property.test_promises import passed

MINUTE_MS = 60_000
PATIENCE = 20
"""Minutes until a job is old, by its bonus or by the guard."""
LONGEST = 10
"""Minutes that a job runs, at most."""
GUARDED = ("default", "greedy", "sjf-easy", "fair", "tenure", "points-conservative")


@pytest.mark.parametrize(("name", "is_guarded"), [("easy", False), ("conservative", False), *((name, True) for name in GUARDED)])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
@example(seed=0)
def test_a_job_above_its_projects_maximum_is_not_passed_for_ever(name: str, is_guarded: bool, seed: int) -> None:
    chance, policy = Random(seed), policy_by_name(name)
    guard_ms = PATIENCE * MINUTE_MS if is_guarded else 0
    cluster = Cluster(settings=PlanSettings(wait_full_ms=PATIENCE * MINUTE_MS, guard_ms=guard_ms))
    cluster.node("a", Amounts(64_000), 8)
    red, blue = cluster.project("red", maximum=Bundle(-1, -1, chance.choice((4000, 5000)))), cluster.project("blue")
    small = Shape(Amounts(1000), gpu_milli=1000)
    for number in range(4):
        cluster.run(f"r{number}", small, ["a"], ends_ms=chance.randint(1, LONGEST) * MINUTE_MS, project=red.id)
    large = cluster.wait("large", replace(small, gpu_milli=4000), limit_ms=MINUTE_MS, project=red.id)
    snapshot, reasons = cluster.snapshot(), set()
    for minute in range(PATIENCE + 3 * LONGEST):
        plan = policy.plan(snapshot)
        assert plan_violations(snapshot, plan) == ()
        if any(start.job_id == large.id for decision in plan.decisions for start in decision.starts):
            assert minute
            break
        reasons |= {type(hold.reason) for hold in plan.holds if hold.first_job == large.id}
        snapshot = replace(committed(snapshot, plan)[0], promises=plan.promises)
        now_ms = snapshot.now_ms + MINUTE_MS
        snapshot = passed(snapshot, tuple(job.id for job in snapshot.running if job.ends_by_ms <= now_ms), now_ms)
        fresh = [
            cluster.wait(f"{minute}-{number}", small, limit_ms=chance.randint(1, LONGEST) * MINUTE_MS, project=project)
            for number, project in enumerate(chance.choices((red.id, red.id, blue.id), k=chance.randint(1, 2)))
        ]
        fresh = [replace(job, submitted_ms=now_ms) for job in fresh]
        shapes = {number: shape for shape, number in cluster.shapes.items()}
        snapshot = replace(snapshot, shapes=shapes, pending=snapshot.pending.changed({job.id: job for job in fresh}, ()))
    else:
        pytest.fail("it was passed for ever")
    assert MaximumReached in reasons
