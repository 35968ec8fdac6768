"""Promised starts in a case that drawn clusters show rarely."""

from __future__ import annotations

from dataclasses import replace

from tenure.model.amounts import GIB, Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import Cluster

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def test_a_job_without_a_limit_is_not_kept_waiting_by_its_own_promise() -> None:
    policy, cluster = policy_by_name("conservative"), Cluster()
    cluster.node("n0", Amounts(2000, 8 * GIB, 3 * GIB))
    large = Shape(Amounts(storage_bytes=2 * GIB))
    first, second = (cluster.wait(name, large, age_ms=2 * HOUR_MS).id for name in ("first", "second"))
    snapshot = cluster.snapshot()
    plan = policy.plan(snapshot)
    assert [start.job_id for decision in plan.decisions for start in decision.starts] == [first]
    assert [(promise.job_id, promise.start_ms) for promise in plan.promises] == [(second, 0)]
    cluster.pending.pop(first)
    after = policy.plan(replace(cluster.snapshot(), promises=plan.promises))
    assert [start.job_id for decision in after.decisions for start in decision.starts] == [second]


def test_whoever_is_promised_room_at_an_unknown_time_keeps_nobody_from_an_older_promise() -> None:
    policy, cluster = policy_by_name("points-conservative"), Cluster()
    cluster.node("n0", Amounts(2000, 8 * GIB, 3 * GIB))
    whole = Shape(Amounts(cpu_milli=2000))
    cluster.run("before", whole, ["n0"], ends_ms=MINUTE_MS)
    short = cluster.wait("short", whole, limit_ms=MINUTE_MS)
    endless = cluster.wait("endless", whole, priority=2)
    snapshot = cluster.snapshot()
    start_ms = snapshot.now_ms + MINUTE_MS
    plan = policy.plan(snapshot)
    assert [(one.job_id, one.start_ms) for one in plan.promises] == [(short.id, start_ms), (endless.id, start_ms + MINUTE_MS)]
    # Its age is such that its room is kept for it, though nobody knows when the job without a limit will have ended.
    late = cluster.wait("late", whole, age_ms=2 * HOUR_MS, priority=10, limit_ms=MINUTE_MS)
    plan = policy.plan(replace(cluster.snapshot(), promises=plan.promises))
    assert (late.id, 0) in [(one.job_id, one.start_ms) for one in plan.promises]
    cluster.running.clear()
    after = policy.plan(replace(cluster.snapshot(), now_ms=start_ms, promises=plan.promises))
    assert [start.job_id for decision in after.decisions for start in decision.starts] == [short.id]
