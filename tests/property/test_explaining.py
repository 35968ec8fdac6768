"""What an explanation says is what the plan says. Whether its suggestions work is tested in `test_why_is_true`."""

from __future__ import annotations

from hypothesis import given, settings

from tenure.model.plan import Plan
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")


def started(plan: Plan) -> set[int]:
    """The jobs (arrays) that a plan starts something of."""
    return {start.job_id for decision in plan.decisions for start in decision.starts}


@settings(max_examples=examples(120), deadline=None)
@given(snapshots(DEFAULT, max_nodes=3, max_jobs=5))
def test_an_explanation_agrees_with_the_plan(snapshot: Snapshot) -> None:
    plan = DEFAULT.plan(snapshot)
    codes = {(hold.shape, hold.queue, hold.reason.code) for hold in plan.holds}
    for job in snapshot.pending.jobs():
        explanation = DEFAULT.explain(snapshot, job.id)
        assert explanation.starts_now == (job.id in started(plan))
        if explanation.starts_now and not explanation.blockers:
            continue
        assert explanation.blockers
        ready = not (job.held or job.blocked or job.eligible_ms > snapshot.now_ms or job.array_room <= 0)
        paused = any(queue.paused for queue in snapshot.queues if queue.id == job.queue)
        if ready and not paused and not explanation.starts_now:
            assert (job.shape, job.queue, explanation.blockers[0].code) in codes
        for item in explanation.short:
            assert item.free < item.needed
