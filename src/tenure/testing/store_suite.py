"""The contract of `ports.Store` as tests, to be run over every store: what runs, what is held, who may write.

A test module derives from the suites and gives them ``open_store``: a function that opens the same, at first empty, database again and
again. What people do to jobs is in `tenure.testing.store_acts_suite`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import CancelJob, JobSpec, RequeueJob
from tenure.model.lifecycle import AllocationState, NodeStatus
from tenure.model.observations import DeviceFound, EndReason, SignalAction
from tenure.model.plan import Decision, Evict, Hold, Start
from tenure.model.reasons import Capacity
from tenure.model.shape import Shape
from tenure.ports import StaleEpoch, Store
from tenure.testing.store_rig import (
    GPU_MEMORY,
    HALF_GPU,
    ONE_CPU,
    ONE_GPU,
    StoreRig,
    emptied,
    ended,
    node,
    rejected,
    started,
)

OpenStore = Callable[[], Store]


class StoreSuiteBase:
    """The fixtures of every suite; a test module overrides ``open_store``."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store under test; each call opens the same database."""
        raise NotImplementedError("a test module gives the suite its store")

    @pytest.fixture
    def rig(self, open_store: OpenStore) -> StoreRig:
        """A store of one node with a leader."""
        return StoreRig(open_store)


class StoreLifecycleSuite(StoreSuiteBase):
    """From start to end: what a job holds, what its tasks report, what becomes of it."""

    def test_a_start_takes_and_an_end_gives_back(self, rig: StoreRig) -> None:
        job = rig.submit(ONE_GPU, limit_ms=60_000)
        launch = rig.start(job, ONE_GPU, devices=[[1]])[0]
        assert (launch.job_id, launch.node, launch.devices, launch.limit_ms) == (job, "n1", ("GPU-n1-0",), 60_000)
        held = rig.running(job)
        assert held is not None
        assert held.allocations[0].state is AllocationState.LAUNCHING
        assert held.allocations[0].devices[0].memory_bytes == GPU_MEMORY
        assert rig.try_start(rig.submit(ONE_GPU), ONE_GPU, devices=[[1]])[0].code == "device_taken"  # type: ignore[union-attr]
        assert rig.states(rig.record(started(launch, 5), ended(launch, ended_at_ms=9))) == {job: "succeeded"}
        assert rig.running(job) is None
        rig.start(job + 1, ONE_GPU, devices=[[1]])
        rig.sound()

    def test_reports_pass_through_the_lifecycle(self, rig: StoreRig) -> None:
        job = rig.submit(limit_ms=5_000)
        launch = rig.start(job)[0]
        assert rig.states(rig.record(started(launch, 2_000_000))) == {job: "running"}
        held = rig.running(job)
        assert held is not None
        assert (held.started_ms, held.ends_by_ms) == (2_000_000, 2_005_000)
        assert rig.states(rig.record(ended(launch, 3, empty=False))) == {job: "failed"}
        left = rig.running(job)
        assert left is not None
        assert left.stopping == 1
        assert left.allocations[0].state is AllocationState.RELEASING
        assert rig.record(emptied(launch)).ignored == 0
        assert rig.running(job) is None
        rig.sound()

    def test_repeated_and_stale_reports_change_nothing(self, rig: StoreRig) -> None:
        launch = rig.run(rig.submit())
        report = ended(launch, 0)
        stale = ended(launch, 1)
        assert rig.record(started(launch, 1)).ignored == 1
        assert rig.record(report, report).ignored == 1
        before = rig.store.snapshot(rig.now_ms).revision
        again = rig.record(stale, started(launch, 1), emptied(launch))
        assert (again.ignored, again.revision, again.changes) == (3, before, ())
        unknown = ended(launch)
        assert rig.record(type(unknown)(99, 0, 1, EndReason.EXIT, 0)).ignored == 1
        rig.sound()

    def test_a_report_with_an_older_fence_is_refused(self, rig: StoreRig) -> None:
        rig.epoch = rig.lead("second")
        launch = rig.start(rig.submit())[0]
        old = ended(launch)
        assert rig.record(type(old)(launch.attempt_id, 0, launch.fence - 1, EndReason.EXIT, 0)).ignored == 1
        assert rig.record(old).ignored == 0

    @pytest.mark.parametrize(
        ("reason", "exit_code", "signal", "state"),
        [
            (EndReason.EXIT, 0, 0, "succeeded"),
            (EndReason.EXIT, 2, 0, "failed"),
            (EndReason.EXIT, None, 11, "failed"),
            (EndReason.TIMEOUT, None, 15, "timed_out"),
            (EndReason.OOM, None, 9, "failed"),
            (EndReason.OOM_SAMPLED, None, 9, "failed"),
            (EndReason.UNKNOWN, None, 0, "lost"),
        ],
    )
    def test_how_a_task_ended_decides(self, rig: StoreRig, reason: EndReason, exit_code: int | None, signal: int, state: str) -> None:
        job = rig.submit()
        launch = rig.run(job)
        assert rig.states(rig.record(ended(launch, exit_code, reason, signal=signal))) == {job: state}
        rig.sound()

    def test_a_failed_run_is_repeated_with_growing_waits(self, rig: StoreRig) -> None:
        job = rig.submit(retries=2)
        waits = []
        for _ in range(2):
            assert rig.states(rig.record(ended(rig.run(job), 1))) == {job: "pending"}
            waiting = rig.pending(job)
            assert waiting is not None
            waits.append(waiting.eligible_ms - rig.now_ms)
            assert rig.try_start(job)[0].code == "job_changed"  # type: ignore[union-attr]
            rig.now_ms = waiting.eligible_ms
        assert waits == [1_000, 2_000]
        assert rig.states(rig.record(ended(rig.run(job), 1))) == {job: "failed"}
        rig.sound()

    def test_a_lost_run_is_repeated_while_retries_are_left(self, rig: StoreRig) -> None:
        job = rig.submit(retries=1)
        assert rig.states(rig.record(ended(rig.run(job), None, EndReason.UNKNOWN))) == {job: "pending"}
        rig.now_ms += 1_000
        assert rig.states(rig.record(ended(rig.run(job), None, EndReason.UNKNOWN))) == {job: "lost"}

    def test_a_launch_that_the_job_spoilt_fails_it_at_once(self, rig: StoreRig) -> None:
        job = rig.submit(ONE_GPU, retries=5)
        launch = rig.start(job, ONE_GPU, devices=[[1]])[0]
        assert rig.states(rig.record(rejected(launch, job_fault=True))) == {job: "failed"}
        rig.start(rig.submit(ONE_GPU), ONE_GPU, devices=[[1]])
        rig.sound()

    def test_a_launch_that_a_node_spoilt_is_tried_three_times(self, rig: StoreRig) -> None:
        job = rig.submit()
        states = []
        for _ in range(3):
            states.append(rig.states(rig.record(rejected(rig.start(job)[0], job_fault=False)))[job])
            rig.now_ms += 60_000
        assert states == ["pending", "pending", "failed"]
        rig.sound()

    def test_a_retried_job_waits_until_its_last_run_is_gone(self, rig: StoreRig) -> None:
        job = rig.submit(retries=1)
        launch = rig.run(job)
        rig.record(ended(launch, 1, empty=False))
        rig.now_ms += 60_000
        assert rig.pending(job) is None
        assert rig.try_start(job)[0] is not None
        rig.record(emptied(launch))
        assert rig.pending(job) is not None
        rig.start(job)
        rig.sound()

    def test_the_first_failing_task_ends_its_gang(self, rig: StoreRig) -> None:
        gang = Shape(Amounts(cpu_milli=1000), tasks=3)
        job = rig.submit(gang, grace_ms=700)
        first, second, third = rig.start(job, gang, nodes=(1, 1, 1))
        assert first.peers == ("n1", "n1", "n1")
        rig.record(started(first, 1), started(second, 1), started(third, 1), ended(third, 0))
        failed = rig.record(ended(second, 7))
        assert [(stop.task, stop.action, stop.grace_ms, stop.reason) for stop in failed.stops] == [(0, SignalAction.STOP, 700, "gang")]
        assert failed.changes == ()
        assert [signal.task for signal in rig.store.claim_commands(rig.epoch, rig.now_ms).signals] == [0]
        assert rig.states(rig.record(ended(first, None, EndReason.STOPPED, signal=15, stop_reason="gang"))) == {job: "failed"}
        rig.sound()

    def test_a_gang_succeeds_when_all_of_it_has(self, rig: StoreRig) -> None:
        gang = Shape(Amounts(cpu_milli=1000), tasks=2)
        job = rig.submit(gang)
        first, second = rig.start(job, gang, nodes=(1, 1))
        assert rig.states(rig.record(ended(second))) == {}
        assert rig.states(rig.record(ended(first))) == {job: "succeeded"}
        rig.sound()

    def test_an_array_runs_element_by_element(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 8, 4),), array_cap=2)
        first, second = rig.start(array, position=0)[0], rig.start(array, position=1)[0]
        assert [(one.array_id, one.array_index) for one in (first, second)] == [(array, 0), (array, 4)]
        waiting = rig.pending(array)
        assert waiting is not None
        assert (waiting.array_next, waiting.array_left, waiting.array_room) == (2, 1, 0)
        assert rig.try_start(array, position=2)[0] is not None
        assert rig.try_start(array, position=1)[0] is not None
        rig.record(ended(first))
        third = rig.start(array, position=2)[0]
        assert rig.pending(array) is None
        assert rig.states(rig.record(ended(third))) == {third.job_id: "succeeded"}
        assert rig.states(rig.record(ended(second, 1))) == {second.job_id: "failed", array: "failed"}
        rig.sound()

    def test_missing_tasks_are_lost_but_unconfirmed_launches_are_not(self, rig: StoreRig) -> None:
        known, unsent = rig.submit(), rig.submit()
        alive, waiting = rig.run(known), rig.start(unsent)[0]
        keys = [(alive.attempt_id, 0), (waiting.attempt_id, 0)]
        assert rig.store.live_tasks() == keys
        lost = rig.store.missing(keys, rig.epoch, rig.now_ms)
        assert (rig.states(lost), lost.ignored) == ({known: "lost"}, 1)
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == (waiting,)
        rig.sound()

    def test_logs_go_where_the_job_says(self, rig: StoreRig) -> None:
        named = rig.submit(spec=JobSpec(("true",), "/data", stdout="out-%j-%x.txt", stderr="/var/%A_%a-%t.err"), name="fit")
        launch = rig.start(named)[0]
        assert launch.stdout == f"/data/out-{named}-fit.txt"
        assert launch.stderr == f"/var/{named}_4294967294-0.err"
        array = rig.submit(array=((7, 7, 1),), spec=JobSpec(("true",), "/data", stdout="%A_%a.txt"))
        assert rig.start(array, position=0)[0].stdout == f"/data/{array}_7.txt"
        plain = rig.submit()
        assert rig.start(plain)[0].stdout.endswith(f"/0/{plain}.1.log")


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
        with pytest.raises(ZeroDivisionError), rig.store.group():
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
        with pytest.raises(StaleEpoch), rig.store.group():
            rig.submit()
            with pytest.raises(StaleEpoch):
                rig.commit(epoch=rig.epoch + 7)
        assert rig.store.snapshot(rig.now_ms) == before

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
