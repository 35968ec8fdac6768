"""What an explanation promises: all causes, and suggestions that work."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from tenure.core.board import Board
from tenure.model.explanation import UnknownStart
from tenure.model.job import RunningJob
from tenure.model.plan import Plan
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.outcome import applied, committed, ended
from tenure.testing.strategies import snapshots

DEFAULT = policy_by_name("default")


def started(plan: Plan) -> set[int]:
    """The jobs (arrays) that a plan starts something of."""
    return {start.job_id for decision in plan.decisions for start in decision.starts}


@settings(max_examples=120, deadline=None)
@given(snapshots(DEFAULT, max_nodes=3, max_jobs=5))
def test_a_job_starts_after_any_change_that_is_suggested(snapshot: Snapshot) -> None:
    for job in snapshot.pending.jobs():
        for suggestion in DEFAULT.explain(snapshot, job.id).suggestions:
            changed = replace(job, shape=999, limit_ms=suggestion.limit_ms, queue=suggestion.queue)
            after = replace(
                snapshot,
                pending=snapshot.pending.changed({job.id: changed}, ()),
                shapes={**snapshot.shapes, 999: suggestion.shape},
            )
            assert job.id in started(DEFAULT.plan(after)), suggestion


@settings(max_examples=120, deadline=None)
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


@settings(max_examples=80, deadline=None)
@given(snapshots(DEFAULT, max_nodes=3, max_jobs=5))
def test_jobs_start_when_they_are_expected_to_if_nothing_else_happens(snapshot: Snapshot) -> None:
    board = Board.of(snapshot)
    timeline = DEFAULT.expected_starts(board, snapshot.now_ms, 4)
    assert all(at_ms >= snapshot.now_ms for at_ms in timeline.starts.values())
    assert not timeline.starts.keys() & timeline.unknown.keys()
    assert UnknownStart.NOT_READY not in timeline.unknown.values()
    seen: dict[int, int] = {}
    for _ in range(40):
        plan = DEFAULT.plan(snapshot)
        for job_id in started(plan):
            seen.setdefault(job_id, snapshot.now_ms)
        snapshot, _ = committed(snapshot, plan)
        ends = {job.id: _end(job) for job in snapshot.running if _end(job)}
        times = [*ends.values(), *([plan.next_ms] if plan.next_ms else [])]
        if not times:
            break
        at_ms = max(min(times), snapshot.now_ms + 1)
        gone = [job for job in snapshot.running if 0 < ends.get(job.id, 0) <= at_ms]
        arrays = [job.array_id for job in gone if job.array_id]
        roomier = {
            job.id: replace(job, array_room=job.array_room + arrays.count(job.id))
            for job in snapshot.pending.jobs()
            if job.id in arrays
        }
        snapshot = applied(snapshot, replace(ended(snapshot, tuple(job.id for job in gone), at_ms), pending=roomier))
    for job_id, at_ms in timeline.starts.items():
        assert seen.get(job_id) == at_ms


def _end(job: RunningJob) -> int:
    """When a running job is gone, 0 for nobody knows."""
    return job.started_ms if job.stopping else job.ends_by_ms
