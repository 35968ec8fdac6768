"""The contract of `ports.Executor` as tests, to be run over every executor.

A test module derives from `ExecutorSuite` and from `ExecutorLimitsSuite` beside it, and gives them a `rig`: an executor and the few
things that differ between executors, namely what to run for a certain behaviour and how time passes. Invariant: nothing here knows
which executor it tests, and no test waits for luck: it lets time pass until what it waits for is reported, or fails.
"""

from __future__ import annotations

import pytest

from tenure.model.observations import (
    EndReason,
    Signal,
    SignalAction,
    SignalDone,
    TaskEnded,
    TaskStarted,
)
from tenure.testing.executor_rig import (
    EXIT_CODE_OF_FAILS,
    FAILS,
    IMPOSSIBLE,
    LASTS,
    STUBBORN,
    SUCCEEDS,
    ExecutorSuiteBase,
    Rig,
    Watcher,
)


class ExecutorSuite(ExecutorSuiteBase):
    """Starts, ends, signals, reports, and what a daemon that starts anew finds."""

    def test_a_task_starts_ends_and_leaves_nothing(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS)])
        started, ended = watch.started(1), watch.ended(1)
        assert (ended.reason, ended.exit_code, ended.signal) == (EndReason.EXIT, 0, 0)
        assert started.fence == ended.fence == self.FENCE
        assert watch.seen.index(started) < watch.seen.index(ended)
        assert started.at_ms <= ended.ended_at_ms
        watch.until(lambda: watch.gone(1), "its evidence")

    def test_an_exit_code_is_reported(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, FAILS)])
        ended = watch.ended(1)
        assert (ended.reason, ended.exit_code, ended.signal) == (EndReason.EXIT, EXIT_CODE_OF_FAILS, 0)

    def test_what_cannot_start_is_the_jobs_fault_and_spoils_nobody_else(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS), self.launch(rig, 2, IMPOSSIBLE), self.launch(rig, 3, SUCCEEDS)])
        rejected = watch.rejected(2)
        assert rejected.job_fault
        assert rejected.code
        assert rejected.why
        assert watch.ended(1).exit_code == watch.ended(3).exit_code == 0
        assert not watch.reports(TaskStarted, 2)
        assert not watch.reports(TaskEnded, 2)

    def test_a_launch_sent_twice_starts_once(self, rig: Rig, watch: Watcher) -> None:
        launch = self.launch(rig, 1, LASTS)
        rig.executor.launch([launch])
        first = watch.started(1)
        rig.executor.launch([launch, self.launch(rig, 2, SUCCEEDS)])
        watch.ended(2)
        assert set(watch.reports(TaskStarted, 1)) == {first}
        assert len(watch.reports(TaskStarted, 1)) > 1, "a repeated launch is answered by reporting the task again"
        assert [task.attempt_id for task in rig.executor.discover()] == [1]

    def test_an_ended_task_is_not_started_again_but_reported_again(self, rig: Rig, watch: Watcher) -> None:
        launch = self.launch(rig, 1, FAILS)
        rig.executor.launch([launch])
        ended = watch.ended(1)
        rig.executor.launch([launch])
        watch.until(lambda: len(watch.reports(TaskEnded, 1)) > 1, "the second report of its end")
        assert set(watch.reports(TaskEnded, 1)) == {ended}
        assert len(set(watch.reports(TaskStarted, 1))) == 1

    def test_a_stale_fence_starts_nothing(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS)])
        watch.ended(1)
        rig.executor.launch([self.launch(rig, 2, SUCCEEDS, fence=self.FENCE - 1)])
        rejected = watch.rejected(2)
        assert (rejected.code, rejected.job_fault, rejected.fence) == ("stale_fence", False, self.FENCE - 1)
        assert not watch.reports(TaskStarted, 2)

    def test_a_stale_fence_stops_nothing(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        rig.executor.signal([self.stop(1, fence=self.FENCE - 1)])
        rig.executor.launch([self.launch(rig, 2, SUCCEEDS)])
        watch.ended(2)
        assert [task.attempt_id for task in rig.executor.discover()] == [1]
        assert not watch.reports(TaskEnded, 1)

    def test_a_later_fence_is_the_new_measure(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        rig.executor.signal([self.stop(1, fence=self.FENCE + 1)])
        assert watch.ended(1).fence == self.FENCE, "a report carries the fence of the launch"
        rig.executor.launch([self.launch(rig, 2, SUCCEEDS)])
        assert watch.rejected(2).code == "stale_fence"

    def test_a_stop_is_polite_and_says_why(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        rig.executor.signal([self.stop(1, "preempted")])
        ended = watch.ended(1)
        assert (ended.reason, ended.stop_reason, ended.exit_code, ended.signal) == (EndReason.STOPPED, "preempted", None, 15)
        watch.until(lambda: watch.gone(1), "its evidence")
        assert rig.executor.discover() == []

    def test_a_task_that_ignores_the_stop_is_ended_after_the_grace(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, STUBBORN)])
        watch.started(1)
        watch.until(lambda: rig.settled(1), "the task to become stubborn")
        rig.executor.signal([self.stop(1, grace_ms=50)])
        ended = watch.ended(1)
        assert (ended.reason, ended.signal) == (EndReason.STOPPED, 9)
        watch.until(lambda: watch.gone(1), "its evidence")

    def test_a_stop_of_an_ended_task_has_it_reported_again(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, FAILS)])
        ended = watch.ended(1)
        rig.executor.signal([self.stop(1)])
        watch.until(lambda: len(watch.reports(TaskEnded, 1)) > 1, "the second report of its end")
        assert set(watch.reports(TaskEnded, 1)) == {ended}

    def test_a_stop_of_a_task_that_nobody_knows_is_answered(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.signal([self.stop(99)])
        ended = watch.ended(99)
        assert (ended.reason, ended.exit_code, ended.signal, ended.empty) == (EndReason.UNKNOWN, None, 0, True)

    def test_reports_are_read_by_cursor_until_they_are_acknowledged(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS)])
        watch.ended(1)
        assert rig.executor.observe(watch.cursor).items == ()
        assert rig.executor.observe(0).items == tuple(watch.seen)
        assert rig.executor.observe(watch.cursor - 1).items == (watch.seen[-1],)
        rig.executor.acknowledge(watch.cursor)
        assert rig.executor.observe(0).items == ()
        assert rig.executor.observe(watch.cursor).cursor == watch.cursor

    def test_what_is_not_acknowledged_stays(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS), self.launch(rig, 2, SUCCEEDS)])
        watch.ended(1), watch.ended(2)
        rig.executor.acknowledge(watch.cursor - 1)
        assert rig.executor.observe(0).items == (watch.seen[-1],)

    def test_discover_knows_a_task_from_its_launch_to_its_end(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 3, LASTS), self.launch(rig, 1, LASTS), self.launch(rig, 2, SUCCEEDS)])
        watch.ended(2)
        started = watch.started(3)
        watch.started(1)
        found = rig.executor.discover()
        assert [(task.attempt_id, task.task) for task in found] == [(1, 0), (3, 0)]
        assert (found[1].pid, found[1].started_at_ms, found[1].fence) == (started.pid, started.at_ms, self.FENCE)

    def test_tasks_of_a_gang_are_told_apart(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS, task, 2) for task in (0, 1)])
        assert watch.started(1, 0).pid != watch.started(1, 1).pid
        rig.executor.signal([Signal(1, 1, self.FENCE, SignalAction.STOP, 10_000, "gang")])
        assert watch.ended(1, 1).stop_reason == "gang"
        assert [(task.attempt_id, task.task) for task in rig.executor.discover()] == [(1, 0)]

    def test_a_suspended_task_goes_on_when_it_is_resumed(self, rig: Rig, watch: Watcher) -> None:
        if not rig.executor.capabilities().suspend:
            pytest.skip("this executor cannot suspend")
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.SUSPEND)])
        assert [task.attempt_id for task in rig.executor.discover()] == [1]
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.RESUME), self.stop(1)])
        assert watch.ended(1).reason is EndReason.STOPPED

    def test_what_was_asked_under_a_number_is_reported_when_it_is_done(self, rig: Rig, watch: Watcher) -> None:
        if not rig.executor.capabilities().suspend:
            pytest.skip("this executor cannot suspend")
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        for number in (7, 7, 9):
            rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.SUSPEND, number=number)])
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.RESUME)])
        watch.until(lambda: len(watch.reports(SignalDone, 1)) == 3, "the reports that the signals were carried out")
        assert [report.number for report in watch.reports(SignalDone, 1)] == [7, 7, 9]
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.STOP, number=11)])
        watch.ended(1)
        watch.until(lambda: 11 in [report.number for report in watch.reports(SignalDone, 1)], "the report of the stop")
        rig.executor.signal([Signal(1, 0, self.FENCE - 1, SignalAction.STOP, number=12), Signal(99, 0, self.FENCE, SignalAction.STOP)])
        watch.ended(99)
        assert 12 not in [report.number for report in watch.reports(SignalDone, 1)], "a stale fence does nothing"

    def test_a_stop_reaches_a_suspended_task(self, rig: Rig, watch: Watcher) -> None:
        if not rig.executor.capabilities().suspend:
            pytest.skip("this executor cannot suspend")
        rig.executor.launch([self.launch(rig, 1, LASTS)])
        watch.started(1)
        rig.executor.signal([Signal(1, 0, self.FENCE, SignalAction.SUSPEND), self.stop(1)])
        assert watch.ended(1).reason is EndReason.STOPPED

    def test_a_daemon_that_starts_anew_finds_its_tasks(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS), self.launch(rig, 2, FAILS)])
        before = watch.started(1)
        ended = watch.ended(2)
        executor = rig.reconnect()
        again = Watcher(rig)
        assert again.ended(2) == ended, "what was not acknowledged is reported again, nothing of it changed"
        again.until(lambda: again.gone(2), "its evidence")
        found = executor.discover()
        assert [(task.attempt_id, task.pid, task.started_at_ms) for task in found] == [(1, before.pid, before.at_ms)]
        executor.launch([self.launch(rig, 1, LASTS), self.launch(rig, 2, FAILS)])
        executor.launch([self.launch(rig, 3, SUCCEEDS)])
        again.ended(3)
        assert {report.pid for report in again.reports(TaskStarted, 1)} == {before.pid}
        assert set(again.reports(TaskEnded, 2)) == {ended}

    def test_a_daemon_that_starts_anew_gets_an_answer_about_an_acknowledged_task(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS), self.launch(rig, 2, LASTS)])
        ended = watch.ended(1)
        watch.started(2)
        rig.executor.acknowledge(watch.cursor)
        executor = rig.reconnect()
        assert [task.attempt_id for task in executor.discover()] == [2]
        again = Watcher(rig)
        executor.signal([self.stop(1)])
        answer = again.ended(1)
        assert answer == ended or answer.reason is EndReason.UNKNOWN, "remembered or forgotten, but never made up"

    def test_whoever_subscribes_is_woken(self, rig: Rig, watch: Watcher) -> None:
        calls: list[int] = []
        rig.executor.subscribe(lambda: calls.append(1))
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS)])
        while not calls:
            assert rig.pass_time(), "nobody was woken although a task started and ended"
        assert watch.ended(1).exit_code == 0

    def test_it_says_what_it_can_do(self, rig: Rig) -> None:
        enforces = rig.executor.capabilities().enforces
        assert {"cpu", "memory", "time"} <= set(enforces)
        assert all(enforces.values())

    def test_nodes_have_names_and_devices_in_order(self, rig: Rig) -> None:
        nodes = rig.executor.nodes()
        assert nodes
        assert len({node.name for node in nodes}) == len(nodes)
        for node in nodes:
            assert node.capacity.cpu_milli > 0
            assert [device.index for device in node.devices] == sorted(device.index for device in node.devices)
