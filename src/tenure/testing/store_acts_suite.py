"""The contract of `ports.Store.apply` as tests: what people ask for, what is refused and why, and what follows for other jobs."""

from __future__ import annotations

import pytest

from tenure.model.access import SCHEDULER, Role
from tenure.model.amounts import Amounts
from tenure.model.commands import (
    Applied,
    Caller,
    CancelJob,
    DependsOn,
    HoldJob,
    JobRequest,
    JobSpec,
    Refused,
    ReleaseJob,
    RequeueJob,
    SetNode,
    SetQueue,
    SubmitJob,
    SuspendJob,
    UpdateJob,
)
from tenure.model.observations import EndReason, SignalAction
from tenure.model.shape import Shape
from tenure.testing.store_rig import ADA, BEN, ONE_CPU, SPEC, StoreRig, done, ended, started
from tenure.testing.store_suite import StoreSuiteBase


class StoreActsSuite(StoreSuiteBase):
    """Submissions, acts on jobs and arrays, dependencies, nodes and queues."""

    def test_the_same_key_has_one_effect(self, rig: StoreRig) -> None:
        command = SubmitJob("k", ADA, JobRequest("a", ONE_CPU), SPEC)
        first = rig.apply(command)
        assert isinstance(first, Applied)
        assert not first.replayed
        rig.reopen()
        assert rig.apply(command) == Applied(first.job_id, first.revision, replayed=True)
        twice = rig.store.apply([SubmitJob("m", ADA, JobRequest("b", ONE_CPU), SPEC)] * 2, rig.now_ms)
        assert [answer.replayed for answer in twice if isinstance(answer, Applied)] == [False, True]
        other = rig.apply(SubmitJob("k", BEN, JobRequest("a", ONE_CPU), SPEC))
        assert isinstance(other, Applied)
        assert other.job_id not in (first.job_id, 0)
        changed = rig.apply(SubmitJob("k", ADA, JobRequest("a", ONE_CPU, priority=6), SPEC))
        assert isinstance(changed, Refused)
        assert changed.code == "key_reused"
        assert len(rig.store.snapshot(rig.now_ms).pending) == 3

    @pytest.mark.parametrize(
        ("request_", "spec", "code"),
        [
            (JobRequest("a", ONE_CPU, queue="nowhere"), SPEC, "not_found"),
            (JobRequest("a", ONE_CPU, after=(DependsOn(99),)), SPEC, "not_found"),
            (JobRequest("a", ONE_CPU, after=(DependsOn(1, "maybe"),)), SPEC, "malformed"),
            (JobRequest("a", ONE_CPU, after=(DependsOn(1), DependsOn(1, "any"))), SPEC, "malformed"),
            (JobRequest("a", ONE_CPU, priority=11), SPEC, "malformed"),
            (JobRequest("a", ONE_CPU), JobSpec((), "/"), "malformed"),
            (JobRequest("a", ONE_CPU, queue="short", limit_ms=70_000), SPEC, "limit_too_long"),
        ],
    )
    def test_what_cannot_be_queued_is_refused_and_hinders_nobody(
        self, rig: StoreRig, request_: JobRequest, spec: JobSpec, code: str
    ) -> None:
        rig.submit()
        rig.apply(SetQueue(rig.key(), ADA, "short", default_limit_ms=10_000, max_limit_ms=60_000))
        answers = rig.store.apply(
            [SubmitJob("x", ADA, request_, spec), SubmitJob("y", ADA, JobRequest("b", ONE_CPU, queue="short"), SPEC)], rig.now_ms
        )
        assert isinstance(answers[0], Refused)
        assert answers[0].code == code
        assert isinstance(answers[1], Applied)
        queued = rig.pending(answers[1].job_id)
        assert queued is not None
        assert queued.limit_ms == 10_000
        rig.sound()

    def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_stopped(self, rig: StoreRig) -> None:
        waiting, running = rig.submit(), rig.submit(grace_ms=42)
        launch = rig.run(running)
        assert isinstance(rig.act(CancelJob, waiting), Applied)
        assert rig.pending(waiting) is None
        rig.act(CancelJob, running, why="enough")
        due = rig.store.claim_commands(rig.epoch, rig.now_ms).signals
        assert [(one.attempt_id, one.action, one.grace_ms, one.reason) for one in due] == [
            (launch.attempt_id, SignalAction.STOP, 42, "cancelled")
        ]
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).signals == due
        assert rig.running(running).stopping == 1  # type: ignore[union-attr]
        done = rig.record(ended(launch, None, EndReason.STOPPED, signal=15, stop_reason="cancelled"))
        assert rig.states(done) == {running: "cancelled"}
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).is_empty
        again = rig.act(CancelJob, running)
        assert isinstance(again, Applied)
        assert again.note
        rig.sound()

    def test_a_cancelled_job_that_ended_by_itself_is_not_run_again(self, rig: StoreRig) -> None:
        job = rig.submit(retries=3)
        launch = rig.run(job)
        rig.act(CancelJob, job)
        assert rig.states(rig.record(ended(launch, 1))) == {job: "failed"}

    def test_nobody_acts_on_the_jobs_of_others(self, rig: StoreRig) -> None:
        job = rig.submit()
        for kind in (CancelJob, HoldJob, ReleaseJob, RequeueJob, SuspendJob, UpdateJob):
            answer = rig.act(kind, job, caller=BEN)
            assert isinstance(answer, Refused)
            assert answer.code == "not_yours"
        assert isinstance(rig.act(HoldJob, job, caller=Caller(0, "root")), Refused)
        for caller in (Caller(0, "root", Role.ADMIN), Caller(7, "eve", projects=(("default", Role.OPERATOR),)), SCHEDULER):
            assert isinstance(rig.act(HoldJob, job, caller=caller), Applied)
        missing = rig.act(CancelJob, 99)
        assert isinstance(missing, Refused)
        assert missing.code == "not_found"

    def test_hold_and_release(self, rig: StoreRig) -> None:
        job = rig.submit(hold=True)
        assert rig.pending(job).held == 1  # type: ignore[union-attr]
        assert rig.try_start(job)[0] is not None
        rig.act(ReleaseJob, job)
        assert rig.pending(job).held == 0  # type: ignore[union-attr]
        rig.act(HoldJob, job)
        assert rig.pending(job).held == 1  # type: ignore[union-attr]
        rig.act(ReleaseJob, job)
        rig.run(job)
        for kind in (HoldJob, ReleaseJob):
            answer = rig.act(kind, job)
            assert isinstance(answer, Refused)
            assert answer.code == "not_waiting"
        rig.sound()

    def test_requeue_runs_an_ended_job_and_restarts_a_running_one(self, rig: StoreRig) -> None:
        job = rig.submit()
        rig.record(ended(rig.run(job), 1))
        rig.act(RequeueJob, job)
        launch = rig.run(job)
        assert launch.attempt_number == 2
        rig.act(RequeueJob, job)
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).signals[0].reason == "requeued"
        assert rig.states(rig.record(ended(launch, None, EndReason.STOPPED, signal=15, stop_reason="requeued"))) == {job: "pending"}
        assert rig.start(job)[0].attempt_number == 3
        rig.sound()

    def test_suspend_and_resume_keep_what_is_held(self, rig: StoreRig) -> None:
        job = rig.submit()
        early = rig.act(SuspendJob, job)
        assert isinstance(early, Refused)
        assert early.code == "not_running"
        launch = rig.run(job)
        rig.act(SuspendJob, job)
        assert [one.action for one in rig.store.claim_commands(rig.epoch, rig.now_ms).signals] == [SignalAction.SUSPEND]
        assert rig.running(job) is not None
        rig.act(SuspendJob, job, resume=True)
        assert [one.action for one in rig.store.claim_commands(rig.epoch, rig.now_ms).signals] == [SignalAction.RESUME]
        rig.act(SuspendJob, job)
        assert rig.states(rig.record(ended(launch))) == {job: "succeeded"}
        rig.sound()

    def test_a_signal_is_due_until_it_is_done(self, rig: StoreRig) -> None:
        job, other = rig.submit(), rig.submit()
        rig.run(other)
        launch = rig.run(job)
        rig.act(SuspendJob, job)
        first = rig.due()
        rig.reopen()
        assert rig.due() == first, "what nobody has confirmed is sent again"
        rig.record(done(first[0]))
        assert rig.due() == []
        rig.act(CancelJob, other)
        assert [one.action for one in rig.due()] == [SignalAction.STOP], "what was done is not sent again with what others ask for"
        rig.act(SuspendJob, job, resume=True)
        rig.act(SuspendJob, job)
        rig.record(done(first[0]))
        assert rig.due()[-1].number > first[0].number
        assert rig.due()[-1].action is SignalAction.SUSPEND, "a late report of an earlier one says nothing of this one"
        rig.record(done(rig.due()[-1]), done(rig.due()[0]))
        assert rig.due() == []
        assert rig.states(rig.record(ended(launch))) == {job: "succeeded"}
        rig.sound()

    def test_every_task_of_a_gang_must_hear_a_signal(self, rig: StoreRig) -> None:
        shape = Shape(Amounts(cpu_milli=1_000), tasks=3)
        job = rig.submit(shape)
        launches = rig.start(job, shape, nodes=(1, 1, 1))
        rig.record(*(started(launch) for launch in launches))
        rig.act(SuspendJob, job)
        signals = rig.due()
        assert [one.task for one in signals] == [0, 1, 2]
        rig.record(done(signals[1]))
        assert [one.task for one in rig.due()] == [0, 2]
        rig.record(ended(launches[0]), done(signals[2]))
        assert rig.due() == [], "who has ended need not hear it"
        stops = rig.record(ended(launches[1], 1)).stops
        assert rig.due() == list(stops), "the rest of the gang is stopped, at once and again until it has heard it"
        assert [one.task for one in stops] == [2]
        rig.record(done(stops[0]))
        assert rig.due() == []
        assert rig.states(rig.record(ended(launches[2], None, EndReason.STOPPED, signal=15, stop_reason="gang"))) == {job: "failed"}
        rig.sound()

    def test_update_changes_what_waits_and_little_of_what_runs(self, rig: StoreRig) -> None:
        job = rig.submit()
        rig.act(UpdateJob, job, priority=8, limit_ms=9_000, shape=Shape(Amounts(cpu_milli=2_000)), retries=1)
        changed = rig.pending(job)
        assert changed is not None
        assert (changed.priority, changed.limit_ms) == (8, 9_000)
        assert rig.store.snapshot(rig.now_ms).shapes[changed.shape].amounts.cpu_milli == 2_000
        rig.run(job, Shape(Amounts(cpu_milli=2_000)))
        rig.act(UpdateJob, job, priority=2, limit_ms=90_000)
        running = rig.running(job)
        assert running is not None
        assert (running.priority, running.ends_by_ms - running.started_ms) == (2, 90_000)
        for change, code in (({"queue": "default"}, "not_waiting"), ({"priority": 0}, "malformed"), ({"array_cap": 2}, "not_an_array")):
            answer = rig.act(UpdateJob, job, **change)
            assert isinstance(answer, Refused)
            assert answer.code == code
        rig.sound()

    def test_a_new_limit_of_what_runs_is_due_until_it_is_heard(self, rig: StoreRig) -> None:
        job = rig.submit(limit_ms=10_000)
        launch = rig.run(job)
        rig.act(UpdateJob, job, priority=7)
        assert rig.due() == []
        rig.act(UpdateJob, job, limit_ms=90_000)
        rig.reopen()
        first = rig.due()
        assert [(one.action, one.limit_ms, one.attempt_id) for one in first] == [(SignalAction.LIMIT, 90_000, launch.attempt_id)]
        rig.act(UpdateJob, job, limit_ms=60_000)
        rig.record(done(first[0]))
        assert [one.limit_ms for one in rig.due()] == [60_000]
        rig.act(SuspendJob, job)
        both = rig.due()
        assert [one.action for one in both] == [SignalAction.LIMIT, SignalAction.SUSPEND]
        assert both[0].number == 0, "only the last of several is confirmed, so that neither is lost"
        rig.record(done(both[1]))
        assert rig.due() == []
        rig.act(RequeueJob, job)
        rig.record(done(rig.due()[-1]), ended(launch, None, EndReason.STOPPED, signal=15, stop_reason="requeued"))
        assert rig.run(job).limit_ms == 60_000, "the next run starts with it"
        assert rig.due() == []
        rig.sound()

    def test_a_new_limit_still_ends_by_the_deadline_and_keeps_to_the_queue(self, rig: StoreRig) -> None:
        rig.apply(SetQueue(rig.key(), ADA, "short", max_limit_ms=60_000))
        job = rig.submit(limit_ms=10_000, deadline_ms=rig.now_ms + 50_000)
        launch = rig.run(job)
        assert launch.limit_ms == 10_000
        rig.act(UpdateJob, job, limit_ms=3_600_000)
        assert [one.limit_ms for one in rig.due()] == [50_000]
        kept = rig.submit(queue="short", limit_ms=5_000)
        for limit_ms in (61_000, 0):
            answer = rig.act(UpdateJob, kept, limit_ms=limit_ms)
            assert isinstance(answer, Refused)
            assert answer.code == "limit_too_long"
        moved = rig.act(UpdateJob, rig.submit(limit_ms=61_000), queue="short")
        assert isinstance(moved, Refused)
        assert isinstance(rig.act(UpdateJob, kept, limit_ms=60_000), Applied)
        rig.sound()

    def test_a_dependent_waits_and_starts_when_all_holds(self, rig: StoreRig) -> None:
        first, array = rig.submit(), rig.submit(array=((0, 1, 1),))
        last = rig.submit(after=(DependsOn(first), DependsOn(array, "any"), DependsOn(first)))
        assert rig.pending(last).blocked == 1  # type: ignore[union-attr]
        assert rig.try_start(last)[0] is not None
        rig.record(ended(rig.run(first)))
        rig.record(ended(rig.run(array, position=0), 1))
        assert rig.pending(last).blocked == 1  # type: ignore[union-attr]
        rig.record(ended(rig.run(array, position=1)))
        assert rig.pending(last).blocked == 0  # type: ignore[union-attr]
        assert rig.kinds(last) == ["job.submitted", "job.ready"]
        rig.start(last)
        rig.sound()

    def test_what_can_never_start_is_cancelled_all_the_way_down(self, rig: StoreRig) -> None:
        first = rig.submit()
        second = rig.submit(after=(DependsOn(first),))
        third = rig.submit(after=(DependsOn(second),))
        cleanup = rig.submit(after=(DependsOn(second, "failed"),))
        done = rig.states(rig.record(ended(rig.run(first), 1)))
        assert done == {first: "failed", second: "cancelled", third: "cancelled"}
        assert rig.pending(cleanup).blocked == 0  # type: ignore[union-attr]
        why = [event.data for event in rig.store.events(0, 100, second)[0] if event.kind == "job.ended"]
        assert f"job {first} failed" in why[0]
        late = rig.apply(SubmitJob(rig.key(), ADA, JobRequest("late", ONE_CPU, after=(DependsOn(first),)), SPEC))
        assert isinstance(late, Applied)
        assert f"job {first} failed" in late.note
        assert rig.pending(late.job_id) is None
        hopeless = rig.act(RequeueJob, second)
        assert isinstance(hopeless, Refused)
        assert hopeless.code == "dependency_never"
        rig.act(RequeueJob, first)
        rig.act(RequeueJob, second)
        rig.record(ended(rig.run(first)))
        rig.start(second)
        rig.sound()

    def test_a_cancelled_array_drops_what_has_not_started(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 99_999, 1),))
        launch = rig.run(array, position=0)
        rig.act(CancelJob, array)
        assert rig.pending(array) is None
        stopped = rig.record(ended(launch, None, EndReason.STOPPED, signal=15, stop_reason="cancelled"))
        assert rig.states(stopped) == {launch.job_id: "cancelled", array: "cancelled"}
        rig.sound()
        rig.act(RequeueJob, array, position=5)
        back = rig.store.snapshot(rig.now_ms).pending
        assert len(back) == 1
        rig.sound()
        rig.act(RequeueJob, array)
        assert rig.pending(array).array_left == 99_998  # type: ignore[union-attr]
        rig.sound()

    def test_one_element_is_acted_on_before_it_starts(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 4, 1),))
        rig.act(CancelJob, array, position=1)
        rig.act(HoldJob, array, position=3)
        rig.act(UpdateJob, array, position=4, priority=9)
        snapshot = rig.store.snapshot(rig.now_ms)
        assert (rig.pending(array).array_left, snapshot.touched) == (2, {array: (1, 3, 4)})  # type: ignore[union-attr]
        assert [(job.held, job.priority) for job in snapshot.pending.jobs() if not job.is_array] == [(1, 5), (0, 9)]
        assert rig.try_start(array, position=1)[0] is not None
        first, second = rig.run(array, position=0), rig.run(array, position=2)
        assert rig.pending(array) is None
        rig.act(ReleaseJob, array, position=3)
        waiting = sorted(job.id for job in rig.store.snapshot(rig.now_ms).pending.jobs())
        third, fourth = (rig.run(job) for job in waiting)
        done = rig.states(rig.record(*(ended(one) for one in (first, second, third, fourth))))
        assert done[array] == "cancelled"
        rig.sound()

    def test_holding_an_array_holds_all_that_waits(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 3, 1),))
        launch = rig.run(array, position=0)
        rig.act(HoldJob, array)
        assert rig.try_start(array, position=1)[0] is not None
        rig.act(ReleaseJob, array)
        rig.start(array, position=1)
        rig.record(ended(launch, 1))
        rig.act(RequeueJob, array, position=0)
        assert rig.pending(launch.job_id) is not None
        rig.act(UpdateJob, array, array_cap=1)
        assert rig.try_start(launch.job_id)[0] is not None
        rig.sound()

    def test_nodes_are_drained_and_resumed(self, rig: StoreRig) -> None:
        job = rig.submit()
        assert isinstance(rig.apply(SetNode(rig.key(), ADA, "n1", "draining", "new disk")), Applied)
        drained = rig.store.snapshot(rig.now_ms).nodes[0]
        assert (drained.status.value, drained.drain_reason) == ("draining", "new disk")
        assert rig.try_start(job)[0] is not None
        rig.apply(SetNode(rig.key(), ADA, "n1", "up"))
        rig.start(job)
        for name, status, code in (("n9", "up", "not_found"), ("n1", "asleep", "malformed")):
            answer = rig.apply(SetNode(rig.key(), ADA, name, status))
            assert isinstance(answer, Refused)
            assert answer.code == code

    def test_queues_are_made_and_changed(self, rig: StoreRig) -> None:
        rig.apply(SetQueue(rig.key(), ADA, "night", paused=True, bonus=7))
        rig.apply(SetQueue(rig.key(), ADA, "night", default_limit_ms=5))
        night = rig.store.snapshot(rig.now_ms).queues[1]
        assert (night.name, night.paused, night.bonus, night.default_limit_ms) == ("night", True, 7, 5)
        refused = rig.apply(SetQueue(rig.key(), ADA, "night", max_limit_ms=1))
        assert isinstance(refused, Refused)
        job = rig.submit(queue="night")
        assert rig.try_start(job)[0] is not None
        since = rig.store.snapshot(rig.now_ms).revision
        rig.apply(SetQueue(rig.key(), ADA, "night", paused=False))
        rig.start(job)
        changes = rig.store.changes(since, rig.now_ms)
        assert changes is not None
        assert changes.queues is not None
        assert not changes.queues[1].paused
