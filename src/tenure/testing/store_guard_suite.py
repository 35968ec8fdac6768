"""The contract of `ports.Store` as tests: what protects the truth, whoever asks for what.

Verification, fencing, groups, agreement between a snapshot and its changes, nodes that come, go and shrink, and what is forgotten.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.model.allocation import Eviction
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import CancelJob, RequeueJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.observations import DeviceFound, EndReason
from tenure.model.plan import ClaimRequest, Decision, Evict, Hold, Start
from tenure.model.reasons import Capacity
from tenure.model.settings import HOUR_MS
from tenure.model.shape import Shape
from tenure.ports import StaleEpoch
from tenure.testing.store_rig import GPU_MEMORY, HALF_GPU, ONE_CPU, ONE_GPU, StoreRig, emptied, ended, node
from tenure.testing.store_suite import StoreSuiteBase


class StoreGuardSuite(StoreSuiteBase):
    """What protects the truth: verification, fencing, groups, and agreement between a snapshot and its changes."""

    def test_a_planner_that_lies_is_rejected(self, rig: StoreRig) -> None:
        big = Shape(Amounts(cpu_milli=5_000))
        jobs = [rig.submit(big) for _ in range(3)]
        decisions = [Decision((Start(job, rig.placements(big, (1,))),)) for job in jobs]
        done = rig.commit(*decisions)
        assert [rejection and rejection.code for rejection in done.rejections] == [None, "no_room", "no_room"]
        both = Decision(tuple(Start(job, rig.placements(ONE_CPU, (9,))) for job in jobs[1:]))
        assert rig.commit(both).rejections[0] is not None
        assert len(done.launches) == 1
        rig.sound()

    def test_a_decision_is_taken_whole_or_not_at_all(self, rig: StoreRig) -> None:
        fits, huge = rig.submit(), rig.submit(Shape(Amounts(cpu_milli=9_000)))
        both = Decision((Start(fits, rig.placements(ONE_CPU, (1,))), Start(huge, rig.placements(ONE_CPU, (1,)))))
        before = rig.store.snapshot(rig.now_ms)
        done = rig.commit(both)
        assert done.rejections[0] is not None
        assert (done.launches, done.revision) == ((), before.revision)
        assert rig.store.snapshot(rig.now_ms) == before

    def test_shares_of_a_device_never_exceed_it(self, rig: StoreRig) -> None:
        jobs = [rig.submit(HALF_GPU) for _ in range(5)]
        started_on = [rig.try_start(job, HALF_GPU, devices=[[1]])[0] is None for job in jobs]
        assert started_on == [True, True, False, False, False]
        assert [rig.try_start(job, HALF_GPU, devices=[[2]])[0] is None for job in jobs[2:]] == [True, True, False]
        rig.sound()

    def test_no_node_takes_more_tasks_of_an_app_than_it_may(self, rig: StoreRig) -> None:
        apart = replace(ONE_CPU, app="web", max_per_node=2)
        jobs = [rig.submit(apart) for _ in range(3)]
        assert [rig.try_start(job, apart)[0] is None for job in jobs] == [True, True, False]
        one, two = rig.submit(replace(apart, app="db")), rig.submit(ONE_CPU)
        assert [rig.try_start(job, shape)[0] is None for job, shape in ((one, replace(apart, app="db")), (two, ONE_CPU))] == [
            True,
            True,
        ]
        pair = replace(apart, app="kv", tasks=3)
        rejection, _ = rig.try_start(rig.submit(pair), pair, nodes=(1, 1, 1))
        assert rejection is not None
        assert rejection.code == "no_room"
        assert rig.store.snapshot(rig.now_ms).shapes[1] == apart
        rig.sound()

    def test_no_project_exceeds_what_it_may_hold(self, rig: StoreRig) -> None:
        jobs = [rig.submit(project="capped") for _ in range(4)]
        done = rig.commit(*(Decision((Start(job, rig.placements(ONE_CPU, (1,))),)) for job in jobs))
        assert [rejection and rejection.code for rejection in done.rejections] == [None, None, None, "maximum"]
        rig.record(*map(ended, done.launches))
        gpus = [rig.submit(HALF_GPU, project="capped") for _ in range(2)]
        assert [rig.try_start(job, HALF_GPU, devices=[[1]])[0] is None for job in gpus] == [True, True]
        assert rig.try_start(rig.submit(HALF_GPU, project="capped"), HALF_GPU, devices=[[2]])[0] is not None
        both = Decision(tuple(Start(rig.submit(project="frugal"), rig.placements(ONE_CPU, (1,))) for _ in range(3)))
        assert rig.commit(both).rejections[0] is not None
        array = rig.submit(project="frugal", array=((0, 9, 1),))
        assert [rig.try_start(array, position=at)[0] is None for at in range(3)] == [True, True, False]
        assert rig.try_start(rig.submit())[0] is None
        rig.reopen()
        rig.sound()
        assert rig.try_start(array, position=2)[0] is not None

    def test_nobody_leaves_for_a_job_that_its_project_may_not_start(self, rig: StoreRig) -> None:
        rig.run(rig.submit(ONE_GPU, project="capped"), ONE_GPU, devices=[[1]])
        victim, winner = rig.submit(ONE_GPU), rig.submit(ONE_GPU, project="capped", priority=9)
        launch = rig.run(victim, ONE_GPU, devices=[[2]])
        made = ClaimRequest(winner, rig.placements(ONE_GPU, [1], [[2]]), rig.now_ms + 5000)
        found = rig.commit(Decision(evicts=(Evict(victim, launch.attempt_id, winner, ""),), claims=(made,))).rejections[0]
        assert found is not None
        assert (found.code, found.subject) == ("maximum", winner)
        assert [job.stopping for job in rig.store.snapshot(rig.now_ms).running] == [0, 0]

    def test_a_stale_leader_writes_nothing(self, rig: StoreRig) -> None:
        launch = rig.start(rig.submit())[0]
        old, rig.epoch = rig.epoch, rig.lead("second")
        assert rig.epoch == old + 1
        before = rig.store.snapshot(rig.now_ms)
        with pytest.raises(StaleEpoch):
            rig.commit(epoch=old)
        with pytest.raises(StaleEpoch):
            rig.store.record([ended(launch)], old, rig.now_ms)
        with pytest.raises(StaleEpoch):
            rig.store.claim_commands(old, rig.now_ms)
        with pytest.raises(StaleEpoch):
            rig.store.missing([(launch.attempt_id, 0)], old, rig.now_ms)
        assert rig.store.snapshot(rig.now_ms) == before

    def test_only_one_leads_and_an_epoch_grows_when_the_holder_changes(self, rig: StoreRig) -> None:
        assert rig.store.elect("first", 30_000, rig.now_ms) == rig.epoch
        assert rig.store.elect("other", 30_000, rig.now_ms + 29_999) is None
        assert rig.store.elect("other", 30_000, rig.now_ms + 30_000) == rig.epoch + 1
        assert rig.store.elect("first", 30_000, rig.now_ms + 30_001) is None

    def test_a_group_is_one_transaction(self, rig: StoreRig) -> None:
        before = rig.store.snapshot(rig.now_ms)
        with pytest.raises(ZeroDivisionError), rig.store.group():  # noqa: PT012 - what precedes the error is the point
            rig.start(rig.submit())
            raise ZeroDivisionError
        assert rig.store.snapshot(rig.now_ms) == before
        with rig.store.group():
            launch = rig.start(rig.submit())[0]
            rig.record(ended(launch))
        assert rig.kinds(launch.job_id) == ["job.submitted", "job.starting", "job.ended"]
        rig.sound()

    def test_a_failure_inside_a_group_dooms_it_even_when_it_is_caught(self, rig: StoreRig) -> None:
        before = rig.store.snapshot(rig.now_ms)
        with pytest.raises(StaleEpoch), rig.store.group():  # noqa: PT012 - what precedes the error is the point
            rig.submit()
            with pytest.raises(StaleEpoch):
                rig.commit(epoch=rig.epoch + 7)
        assert rig.store.snapshot(rig.now_ms) == before

    def test_a_group_inside_a_group_belongs_to_it(self, rig: StoreRig) -> None:
        before = rig.store.snapshot(rig.now_ms)
        with pytest.raises(ZeroDivisionError), rig.store.group():  # noqa: PT012 - what precedes the error is the point
            rig.submit()
            with pytest.raises(ZeroDivisionError), rig.store.group():
                raise ZeroDivisionError
        assert rig.store.snapshot(rig.now_ms) == before
        with rig.store.group(), rig.store.group():
            rig.submit()
        assert len(rig.store.snapshot(rig.now_ms).pending) == 1

    def test_a_reopened_store_says_the_same(self, rig: StoreRig) -> None:
        rig.run(rig.submit(ONE_GPU), ONE_GPU, devices=[[2]])
        rig.submit(array=((0, 9, 1),))
        before, due = rig.store.snapshot(rig.now_ms), rig.store.claim_commands(rig.epoch, rig.now_ms)
        rig.reopen()
        assert rig.store.snapshot(rig.now_ms) == before
        assert rig.store.claim_commands(rig.epoch, rig.now_ms) == due
        changes = rig.store.changes(0, rig.now_ms)
        assert changes is not None
        assert (set(changes.running), set(changes.pending)) == ({1}, {2})
        rig.sound()

    def test_changes_lead_from_one_snapshot_to_the_next(self, rig: StoreRig) -> None:
        keep, go = rig.submit(), rig.submit()
        old = rig.store.snapshot(rig.now_ms)
        launch = rig.start(go)[0]
        array = rig.submit(array=((0, 3, 1),))
        rig.start(array, position=0)
        changes = rig.store.changes(old.revision, rig.now_ms)
        assert changes is not None
        new = rig.store.snapshot(rig.now_ms)
        assert old.pending.changed(changes.pending, changes.pending_removed) == new.pending
        assert tuple(changes.running[number] for number in sorted(changes.running)) == new.running
        assert (changes.since, changes.revision) == (old.revision, new.revision)
        assert keep not in changes.pending
        rig.record(ended(launch))
        later = rig.store.changes(new.revision, rig.now_ms)
        assert later is not None
        assert (later.running_removed, later.running) == ((go,), {})
        nothing = rig.store.changes(later.revision, rig.now_ms)
        assert nothing is not None
        assert nothing.is_empty
        assert rig.store.changes(later.revision + 1, rig.now_ms) is None

    def test_cursors_are_dense_and_filtered_by_job(self, rig: StoreRig) -> None:
        job = rig.submit()
        rig.record(ended(rig.run(job)))
        events, reset = rig.store.events(0, 1_000)
        assert ([event.cursor for event in events], reset) == (list(range(1, len(events) + 1)), False)
        assert rig.kinds(job) == ["job.submitted", "job.starting", "job.running", "job.ended"]
        assert [event.cursor for event in rig.store.events(2, 1)[0]] == [3]

    def test_what_is_old_is_removed_and_readers_are_told(self, rig: StoreRig) -> None:
        rig.record(ended(rig.run(rig.submit())))
        alive = rig.run(rig.submit())
        rig.now_ms += 400 * 86_400_000
        assert rig.store.retain(rig.now_ms) > 0
        assert rig.store.events(0, 10) == ([], True)
        assert rig.store.changes(0, rig.now_ms) is None
        assert rig.store.live_tasks() == [(alive.attempt_id, 0)]
        rig.record(ended(alive))
        assert [event.kind for event in rig.store.events(10**9, 10)[0]] == []
        rig.sound()

    def test_nodes_follow_what_the_executor_finds(self, rig: StoreRig) -> None:
        found = node("n2", cpus=4, labels=("fast",))
        rig.define(node("n1", gpus=2), found)
        before = rig.store.snapshot(rig.now_ms)
        rig.define(node("n1", gpus=2), found)
        assert rig.store.snapshot(rig.now_ms) == before
        foreign = DeviceFound("GPU-n1-0", 0, "H100", GPU_MEMORY, status="foreign", why="pid 7")
        rig.define(node("n1", devices=(foreign,)))
        first, second = rig.store.snapshot(rig.now_ms).nodes
        assert second.status is NodeStatus.DOWN
        assert [device.status.value for device in first.devices] == ["foreign", "lost"]
        assert rig.try_start(rig.submit(ONE_GPU), ONE_GPU, devices=[[1]])[0] is not None
        rig.define(node("n1", gpus=2), found)
        assert rig.store.snapshot(rig.now_ms).nodes == before.nodes
        rig.sound()

    def test_a_machine_may_shrink_below_what_is_held(self, rig: StoreRig) -> None:
        launches = [rig.run(rig.submit()) for _ in range(6)]
        rig.define(node("n1", gpus=2, amounts=Amounts(2_000, 64 * GIB)))
        rig.sound()
        assert rig.try_start(rig.submit())[0] is not None
        for launch in launches[:5]:
            rig.record(ended(launch))
            rig.sound()
        rig.start(rig.submit())
        assert rig.try_start(rig.submit())[0] is not None
        rig.define(node("n1", gpus=2))
        rig.start(rig.submit())
        rig.sound()

    def test_a_reason_makes_an_event_when_it_comes_and_when_it_goes(self, rig: StoreRig) -> None:
        job = rig.submit()
        shape = rig.pending(job).shape  # type: ignore[union-attr]
        rig.commit(holds=(Hold(shape, 1, Capacity(1, until_ms=5), job),))
        rig.commit(holds=(Hold(shape, 1, Capacity(1, until_ms=6), job),))
        assert rig.kinds().count("hold.changed") == 1
        rig.commit(holds=(Hold(shape, 1, Capacity(1, until_ms=6), job),), truncated_at=1)
        rig.commit()
        assert rig.kinds().count("hold.changed") == 2

    def test_an_evicted_job_waits_again(self, rig: StoreRig) -> None:
        victim, winner = rig.submit(), rig.submit(priority=9)
        launch = rig.run(victim)
        evict = Decision(evicts=(Evict(victim, launch.attempt_id, winner, ""),))
        assert rig.commit(evict).rejections == (None,)
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).signals[0].reason == "preempted"
        assert rig.states(rig.record(ended(launch, None, EndReason.STOPPED, signal=15, stop_reason="preempted"))) == {victim: "pending"}
        assert rig.commit(evict).rejections[0] is not None
        rig.act(RequeueJob, victim)
        rig.act(CancelJob, victim)
        rig.sound()

    def test_room_is_promised_while_it_is_held_and_the_promise_is_kept_once(self, rig: StoreRig) -> None:
        victim, other, winner = rig.submit(ONE_GPU), rig.submit(ONE_GPU), rig.submit(ONE_GPU, priority=9)
        launch = rig.run(victim, ONE_GPU, devices=[[1]])
        place = rig.placements(ONE_GPU, [1], [[1]])
        claim = ClaimRequest(winner, place, rig.now_ms + 5000)
        evict = Evict(victim, launch.attempt_id, winner, "it makes room")
        assert rig.commit(Decision(claims=(claim,))).rejections[0] is not None
        before = rig.store.snapshot(rig.now_ms).revision
        assert rig.commit(Decision(evicts=(evict,), claims=(claim,))).rejections == (None,)
        changes = rig.store.changes(before, rig.now_ms)
        snapshot = rig.store.snapshot(rig.now_ms)
        assert changes is not None
        assert changes.claims == snapshot.claims
        assert [(made.job_id, made.victims, made.placements) for made in snapshot.claims] == [(winner, (victim,), place)]
        assert changes.evictions == snapshot.evictions == (Eviction(rig.now_ms, victim, winner),)
        assert [job.stopping for job in snapshot.running] == [1]
        assert rig.commit(Decision(evicts=(evict,), claims=(claim,))).rejections[0] is not None
        assert rig.commit(Decision(claims=(ClaimRequest(other, place, rig.now_ms + 5000),))).rejections[0] is not None
        rig.reopen()
        rig.record(ended(launch, 0, EndReason.STOPPED, stop_reason="preempted"), emptied(launch))
        kept = Start(winner, place, claim=snapshot.claims[0].id)
        assert rig.commit(Decision(starts=(kept,))).rejections == (None,)
        after = rig.store.snapshot(rig.now_ms)
        assert (after.claims, after.evictions) == ((), snapshot.evictions)
        again = after.job(victim)
        assert again is not None
        assert (again.submitted_ms, again.attempts) == (snapshot.now_ms, 1)
        rig.now_ms += 2 * HOUR_MS
        rig.store.retain(rig.now_ms)
        assert rig.store.snapshot(rig.now_ms).evictions == ()
        rig.sound()

    def test_a_job_that_is_cancelled_is_not_evicted(self, rig: StoreRig) -> None:
        victim, winner = rig.submit(), rig.submit(priority=9)
        launch = rig.run(victim)
        rig.act(CancelJob, victim)
        assert rig.commit(Decision(evicts=(Evict(victim, launch.attempt_id, winner, ""),))).rejections[0] is not None
        assert rig.states(rig.record(ended(launch, 0, EndReason.STOPPED, stop_reason="cancelled"))) == {victim: "cancelled"}
