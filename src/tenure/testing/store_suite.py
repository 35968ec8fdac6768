"""The contract of `ports.Store` as tests, to be run over every store: what runs, what is held, what becomes of it.

A test module derives from the suites and gives them ``open_store``: a function that opens the same, at first empty, database again and
again, with the projects `tenure.testing.store_rig.CAPPED` in its settings. What protects the truth is in
`tenure.testing.store_guard_suite`, what people do in `tenure.testing.store_acts_suite`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec
from tenure.model.lifecycle import AllocationState
from tenure.model.observations import EndReason, SignalAction
from tenure.model.shape import Shape
from tenure.ports import Store
from tenure.testing.store_rig import (
    GPU_MEMORY,
    ONE_GPU,
    StoreRig,
    emptied,
    ended,
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
