"""The contract of `ports.Executor` about leases as tests: tasks without a process of their own, whose holder is watched."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest

from tenure.model.commands import Holder, JobSpec
from tenure.model.observations import EndReason, Launch, Signal, SignalAction, SignalDone, TaskEnded, TaskStarted
from tenure.testing.executor_rig import LASTS, SUCCEEDS, ExecutorSuiteBase, Rig, Watcher


class LeaseRig(Rig, Protocol):
    """A place where leases have holders."""

    def holder(self) -> Holder:
        """A process that lives until `end_holder`."""
        ...

    def end_holder(self, holder: Holder) -> None:
        """It ends, as if it were killed."""
        ...


class ExecutorLeasesSuite(ExecutorSuiteBase):
    """Leases: held, ended, moved on, lost with their holders, found again."""

    @pytest.fixture
    def rig(self) -> LeaseRig:
        """The place to test in."""
        raise NotImplementedError("a suite is run with a rig of its own")

    def lease(
        self, rig: Rig, attempt_id: int, holder: Holder | None = None, limit_ms: int = 0, devices: tuple[str, ...] = ()
    ) -> Launch:
        """A launch of a lease."""
        spec = JobSpec(("tool",), "/", holder=holder or Holder())
        return replace(self.launch(rig, attempt_id, LASTS, limit_ms=limit_ms), spec=spec, devices=devices)

    def left(self, attempt_id: int, left_ms: int, number: int = 0) -> Signal:
        """Let it end that much later than now."""
        return Signal(attempt_id, 0, self.FENCE, SignalAction.LIMIT, number=number, left_ms=left_ms)

    def test_a_lease_is_held_until_it_is_stopped(self, rig: LeaseRig, watch: Watcher) -> None:
        assert rig.executor.capabilities().leases
        rig.executor.launch([self.lease(rig, 1), self.launch(rig, 2, SUCCEEDS)])
        started = watch.started(1)
        watch.ended(2)
        assert not watch.reports(TaskEnded, 1)
        assert [task.attempt_id for task in rig.executor.discover()] == [1]
        rig.executor.signal([self.stop(1, "released", grace_ms=0)])
        ended = watch.ended(1)
        assert (ended.reason, ended.stop_reason, ended.exit_code, ended.signal) == (EndReason.STOPPED, "released", None, 0)
        assert ended.empty, "there is nothing that could be left"
        assert started.at_ms <= ended.ended_at_ms
        assert rig.executor.discover() == []

    def test_a_stop_gives_the_holder_its_grace(self, rig: LeaseRig, watch: Watcher) -> None:
        rig.executor.launch([self.lease(rig, 1), self.lease(rig, 2)])
        watch.started(1), watch.started(2)
        rig.executor.signal([self.stop(1, "preempted", grace_ms=3_600_000), self.stop(2, "preempted", grace_ms=60)])
        assert watch.ended(2).stop_reason == "preempted"
        assert not watch.reports(TaskEnded, 1)
        rig.executor.signal([self.stop(1, "released", grace_ms=0)])
        assert watch.ended(1).stop_reason == "preempted", "the first wish says why, the second one only makes it faster"

    def test_its_limit_ends_it_at_once(self, rig: LeaseRig, watch: Watcher) -> None:
        rig.executor.launch([replace(self.lease(rig, 1, limit_ms=50), grace_ms=3_600_000)])
        ended = watch.ended(1)
        assert (ended.reason, ended.exit_code, ended.signal) == (EndReason.TIMEOUT, None, 0)

    def test_its_end_can_be_moved_from_now_on(self, rig: LeaseRig, watch: Watcher) -> None:
        rig.executor.launch([self.lease(rig, 1, limit_ms=300), self.lease(rig, 2)])
        watch.started(1), watch.started(2)
        rig.executor.signal([self.left(1, 3_600_000, number=4), self.left(2, 300, number=4)])
        watch.until(lambda: len(watch.reports(SignalDone, 1)) == 1, "the report that it was told")
        assert watch.ended(2).reason is EndReason.TIMEOUT
        assert not watch.reports(TaskEnded, 1), "its first end has passed as well"
        rig.executor.signal([self.left(1, 1)])
        assert watch.ended(1).reason is EndReason.TIMEOUT

    def test_it_ends_with_its_holder(self, rig: LeaseRig, watch: Watcher) -> None:
        mine, other = rig.holder(), rig.holder()
        rig.executor.launch([self.lease(rig, 1, mine), self.lease(rig, 2, other), self.lease(rig, 3, mine)])
        for attempt_id in (1, 2, 3):
            watch.started(attempt_id)
        rig.end_holder(mine)
        for attempt_id in (1, 3):
            ended = watch.ended(attempt_id)
            assert (ended.reason, ended.exit_code, ended.empty) == (EndReason.EXIT, None, True)
            assert "holder" in ended.why
        assert [task.attempt_id for task in rig.executor.discover()] == [2]

    def test_nobody_holds_a_lease_after_his_end(self, rig: LeaseRig, watch: Watcher) -> None:
        gone = rig.holder()
        rig.end_holder(gone)
        rig.executor.launch([self.lease(rig, 1, gone)])
        rejected = watch.rejected(1)
        assert (rejected.code, rejected.job_fault) == ("holder_gone", True)
        assert not watch.reports(TaskStarted, 1)

    def test_a_lease_is_not_suspended(self, rig: LeaseRig, watch: Watcher) -> None:
        rig.executor.launch([self.lease(rig, 1, limit_ms=200)])
        watch.started(1)
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.SUSPEND)])
        assert watch.ended(1).reason is EndReason.TIMEOUT

    def test_a_daemon_that_starts_anew_finds_its_leases(self, rig: LeaseRig, watch: Watcher) -> None:
        holder = rig.holder()
        rig.executor.launch([self.lease(rig, 1, holder, limit_ms=3_600_000), self.lease(rig, 2)])
        watch.started(1), watch.started(2)
        executor = rig.reconnect()
        again = Watcher(rig)
        assert [task.attempt_id for task in executor.discover()] == [1, 2]
        executor.launch([self.lease(rig, 1, holder)])
        assert again.started(1).at_ms == watch.started(1).at_ms
        rig.end_holder(holder)
        assert again.ended(1).reason is EndReason.EXIT
        executor.signal([self.stop(2, "released", grace_ms=0)])
        assert again.ended(2).reason is EndReason.STOPPED
