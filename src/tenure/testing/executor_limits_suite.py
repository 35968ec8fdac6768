"""The contract of `ports.Executor` about time limits as tests: the one of the launch, and another one while a task runs."""

from __future__ import annotations

import pytest

from tenure.model.observations import EndReason, Signal, SignalAction, SignalDone, TaskEnded
from tenure.testing.executor_rig import FAILS, LASTS, ExecutorSuiteBase, Rig, Watcher


class ExecutorLimitsSuite(ExecutorSuiteBase):
    """Time limits."""

    def limit(self, attempt_id: int, limit_ms: int, number: int = 0) -> Signal:
        """Another time limit."""
        return Signal(attempt_id, 0, self.FENCE, SignalAction.LIMIT, number=number, limit_ms=limit_ms)

    def limited(self, rig: Rig) -> None:
        """Skip where the time limit of a task that runs cannot be changed."""
        if not rig.executor.capabilities().limit:
            pytest.skip("this executor cannot change a time limit")

    def test_a_longer_limit_holds_instead_of_the_first(self, rig: Rig, watch: Watcher) -> None:
        self.limited(rig)
        rig.executor.launch([self.launch(rig, 1, LASTS, limit_ms=400)])
        watch.started(1)
        for _ in range(2):
            rig.executor.signal([self.limit(1, 3_600_000, number=3)])
        watch.until(lambda: len(watch.reports(SignalDone, 1)) == 2, "the report that it was told")
        rig.executor.launch([self.launch(rig, 2, LASTS, limit_ms=400)])
        assert watch.ended(2).reason is EndReason.TIMEOUT
        assert not watch.reports(TaskEnded, 1), "a later task with the first limit is over, so that moment has passed"
        rig.reconnect()
        rig.executor.signal([self.limit(1, 1)])
        assert Watcher(rig).ended(1).reason is EndReason.TIMEOUT

    def test_a_shorter_limit_than_what_was_used_ends_a_task_as_timed_out(self, rig: Rig, watch: Watcher) -> None:
        self.limited(rig)
        rig.executor.launch([self.launch(rig, 1, LASTS), self.launch(rig, 2, LASTS, limit_ms=3_600_000)])
        watch.started(1), watch.started(2)
        rig.executor.launch([self.launch(rig, 3, LASTS, limit_ms=20)])
        watch.ended(3)
        rig.executor.signal([self.limit(1, 10), self.limit(2, 10)])
        assert [watch.ended(attempt_id).reason for attempt_id in (1, 2)] == [EndReason.TIMEOUT] * 2

    def test_a_limit_can_be_taken_away_and_set_again(self, rig: Rig, watch: Watcher) -> None:
        self.limited(rig)
        rig.executor.launch([self.launch(rig, 1, LASTS, limit_ms=300)])
        watch.started(1)
        rig.executor.signal([self.limit(1, 0)])
        rig.executor.launch([self.launch(rig, 2, LASTS, limit_ms=300)])
        watch.ended(2)
        assert [task.attempt_id for task in rig.executor.discover()] == [1]
        rig.executor.signal([self.limit(1, 600)])
        assert watch.ended(1).reason is EndReason.TIMEOUT

    def test_the_limit_of_a_task_that_ended_or_was_never_here_changes_nothing(self, rig: Rig, watch: Watcher) -> None:
        self.limited(rig)
        rig.executor.launch([self.launch(rig, 1, FAILS)])
        ended = watch.ended(1)
        rig.executor.signal([self.limit(1, 1), self.limit(99, 1)])
        assert watch.ended(99).reason is EndReason.UNKNOWN
        assert set(watch.reports(TaskEnded, 1)) == {ended}

    def test_a_time_limit_ends_a_task(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS, limit_ms=50)])
        ended = watch.ended(1)
        assert (ended.reason, ended.exit_code) == (EndReason.TIMEOUT, None)
