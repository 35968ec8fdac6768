"""The contract of `ports.Executor` as tests, to be run over every executor.

A test module derives from `ExecutorSuite` and gives it a `rig`: an executor and the few things that differ between executors,
namely what to run for a certain behaviour and how time passes. Invariant: nothing here knows which executor it tests, and no test
waits for luck: it lets time pass until what it waits for is reported, or fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec
from tenure.model.observations import (
    EndReason,
    Launch,
    LaunchRejected,
    Observation,
    Signal,
    SignalAction,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.ports import Executor

_O = TypeVar("_O", TaskStarted, LaunchRejected, TaskEnded, TaskEmptied, SignalDone)

SUCCEEDS, FAILS, LASTS, STUBBORN, IMPOSSIBLE = "succeeds", "fails", "lasts", "stubborn", "impossible"
EXIT_CODE_OF_FAILS = 3


class Rig(Protocol):
    """What a suite needs of the place where an executor runs."""

    executor: Executor

    def argv(self, behaviour: str) -> tuple[str, ...]:
        """A command that succeeds at once, fails with `EXIT_CODE_OF_FAILS`, lasts until stopped, ignores the stop, or cannot start."""
        ...

    def settled(self, attempt_id: int) -> bool:
        """Whether a stubborn task has begun to ignore the polite stop."""
        ...

    def pass_time(self) -> bool:
        """Let something happen; False when nothing will any more, or patience is at its end."""
        ...

    def reconnect(self) -> Executor:
        """The executor of a daemon that starts anew, while tasks went on; also to be found in ``executor``."""
        ...


class Watcher:
    """Follows the reports of a rig's executor like the control loop does."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.cursor = 0
        self.seen: list[Observation] = []

    def look(self) -> list[Observation]:
        """Take in what is there; the new reports."""
        found = self.rig.executor.observe(self.cursor)
        self.cursor = found.cursor
        self.seen += found.items
        return list(found.items)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until it holds."""
        self.look()
        while not holds():
            assert self.rig.pass_time(), f"waited in vain for {what}; reported so far: {self.seen}"
            self.look()

    def reports(self, kind: type[_O], attempt_id: int, task: int = 0) -> list[_O]:
        """The reports of that kind about a task, in order."""
        return [item for item in self.seen if isinstance(item, kind) and (item.attempt_id, item.task) == (attempt_id, task)]

    def started(self, attempt_id: int, task: int = 0) -> TaskStarted:
        """Wait for the start of a task."""
        self.until(lambda: bool(self.reports(TaskStarted, attempt_id, task)), f"the start of {attempt_id}/{task}")
        return self.reports(TaskStarted, attempt_id, task)[0]

    def ended(self, attempt_id: int, task: int = 0) -> TaskEnded:
        """Wait for the end of a task."""
        self.until(lambda: bool(self.reports(TaskEnded, attempt_id, task)), f"the end of {attempt_id}/{task}")
        return self.reports(TaskEnded, attempt_id, task)[0]

    def rejected(self, attempt_id: int) -> LaunchRejected:
        """Wait for the rejection of a task."""
        self.until(lambda: bool(self.reports(LaunchRejected, attempt_id)), f"the rejection of {attempt_id}")
        return self.reports(LaunchRejected, attempt_id)[0]

    def gone(self, attempt_id: int, task: int = 0) -> bool:
        """Whether nothing of a task is left."""
        ends = self.reports(TaskEnded, attempt_id, task)
        return any(end.empty for end in ends) or bool(self.reports(TaskEmptied, attempt_id, task))


class ExecutorSuite:
    """Derive from it and define the fixture ``rig``. Fences start at 5, so that there are lower ones."""

    FENCE = 5

    @pytest.fixture
    def rig(self) -> Rig:
        """The place to test in."""
        raise NotImplementedError("a suite is run with a rig of its own")

    @pytest.fixture
    def watch(self, rig: Rig) -> Watcher:
        """Follows the rig's executor."""
        return Watcher(rig)

    def launch(
        self, rig: Rig, attempt_id: int, behaviour: str, task: int = 0, tasks: int = 1, fence: int = FENCE, limit_ms: int = 0
    ) -> Launch:
        """A launch of a job with that behaviour."""
        spec = JobSpec(rig.argv(behaviour), "/", {"PATH": "/usr/local/bin:/usr/bin:/bin", "ATTEMPT": str(attempt_id)})
        node = "here"
        return Launch(
            attempt_id, attempt_id, task, fence, node, behaviour, spec, Amounts(1000), tasks, limit_ms=limit_ms, peers=(node,) * tasks
        )

    def stop(self, attempt_id: int, reason: str = "cancelled", fence: int = FENCE, grace_ms: int = 10_000) -> Signal:
        """A polite stop."""
        return Signal(attempt_id, 0, fence, SignalAction.STOP, grace_ms, reason)

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

    def test_a_time_limit_ends_a_task(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([self.launch(rig, 1, LASTS, limit_ms=50)])
        ended = watch.ended(1)
        assert (ended.reason, ended.exit_code) == (EndReason.TIMEOUT, None)

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
