"""The local executor when the supervisor dies, refuses, or cannot be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tenure.executors.local import launching, session
from tenure.executors.local.connection import SupervisorError
from tenure.executors.local.executor import LocalExecutor
from tenure.model.amounts import Amounts
from tenure.model.commands import Holder, JobSpec
from tenure.model.observations import EndReason, Launch, Signal, SignalAction, TaskStarted
from tenure.testing.executor_rig import Watcher
from tests.support.local_executor import LocalRig, local_rig


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    with local_rig() as rig:
        yield rig


@pytest.fixture
def watch(rig: LocalRig) -> Watcher:
    return Watcher(rig)


def launch(attempt_id: int, *argv: str, **fields: Any) -> Launch:
    spec = JobSpec(argv or ("sleep", "1000"), fields.pop("cwd", "/"), {"PATH": "/usr/bin:/bin"})
    return Launch(attempt_id, attempt_id, 0, 1, "here", "job", spec, Amounts(1000), **fields)


def stop(attempt_id: int) -> Signal:
    return Signal(attempt_id, 0, 1, SignalAction.STOP, reason="cancelled")


def test_tasks_survive_the_supervisor_and_are_adopted_by_the_next(rig: LocalRig, watch: Watcher) -> None:
    """Nothing is started twice, an exit that nobody could collect is unknown, what ended before is kept."""
    rig.executor.launch([launch(1), launch(2), launch(3, "sh", "-c", "exit 7")])
    before = watch.started(1)
    doomed = watch.started(2)
    kept = watch.ended(3)
    generation = rig.executor.generation
    rig.woken.clear()
    rig.kill_supervisor()
    os.kill(doomed.pid, 9)
    watch.until(lambda: rig.executor.generation > generation, "a new supervisor")
    assert rig.executor.problem == ""
    rig.executor.launch([launch(1), launch(2), launch(3, "sh", "-c", "exit 7")])  # what a control loop does: send again
    lost = watch.ended(2)
    assert (lost.reason, lost.exit_code, lost.signal) == (EndReason.UNKNOWN, None, 0)
    assert [(task.attempt_id, task.pid) for task in rig.executor.discover()] == [(1, before.pid)]
    watch.look()
    assert {report.pid for report in watch.reports(TaskStarted, 1)} == {before.pid}
    assert {end.exit_code for end in watch.reports(type(kept), 3)} == {7}
    rig.executor.signal([stop(1)])
    assert watch.ended(1).reason is EndReason.STOPPED


def test_the_loss_of_the_supervisor_wakes_the_control_loop(rig: LocalRig) -> None:
    watch = Watcher(rig)
    watch.look()
    rig.woken.clear()
    generation = rig.executor.generation
    rig.kill_supervisor()
    assert rig.woken.wait(20), "nobody was woken when the supervisor died"
    rig.executor.observe(0)
    assert rig.executor.generation > generation


def test_a_supervisor_that_cannot_be_started_is_told_and_tried_again(
    rig: LocalRig, watch: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session.ensure_supervisor
    tries: list[int] = []

    def failing(*arguments: Any, **options: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise SupervisorError("no_supervisor", "the disk is full")
        return real(*arguments, **options)

    monkeypatch.setattr(session, "ensure_supervisor", failing)
    generation = rig.executor.generation
    rig.kill_supervisor()
    watch.until(lambda: bool(tries), "the first try")
    if rig.executor.generation == generation:
        assert "the disk is full" in rig.executor.problem
        assert rig.executor.supervisor()[0] == 0
        assert {finding.name: finding.level for finding in rig.executor.diagnose()}["supervisor"] == "problem"
        rig.executor.launch([launch(1)])  # nobody can carry it out; it is sent again after the reconnect
        rig.executor.signal([stop(9)])
    watch.until(lambda: rig.executor.generation > generation, "a supervisor")
    assert rig.executor.problem == ""
    assert rig.executor.discover() == []
    rig.executor.launch([launch(1, "true")])
    assert watch.ended(1).exit_code == 0


def test_a_supervisor_that_is_gone_is_not_looked_for_at_every_turn(rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try may take seconds; the control loop has other things to do meanwhile."""
    tries: list[int] = []

    def failing(*_arguments: Any) -> Any:
        tries.append(1)
        raise SupervisorError("no_answer", "it is frozen")

    monkeypatch.setattr(session, "ensure_supervisor", failing)
    monkeypatch.setattr(session, "RETRY_S", 1000.0)
    rig.kill_supervisor()
    for _ in range(50):
        rig.executor.observe(0)
        rig.executor.launch([launch(1)])
    assert len(tries) == 1
    monkeypatch.undo()
    rig.executor._session._next_try_s = 0.0
    rig.executor.observe(0)
    assert rig.executor.problem == ""


def test_an_executor_without_a_supervisor_does_not_come_up(rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: Any) -> Any:
        raise SupervisorError("no_supervisor", "the disk is full")

    monkeypatch.setattr(session, "ensure_supervisor", failing)
    with pytest.raises(SupervisorError, match="the disk is full"):
        LocalExecutor(rig.settings)


def test_one_bad_launch_does_not_spoil_its_batch(rig: LocalRig, watch: Watcher) -> None:
    rig.executor.launch([launch(1, "true"), launch(2, "echo", "a\0b"), launch(3, "true"), launch(4, "true", cwd="relative")])
    assert watch.ended(1).exit_code == watch.ended(3).exit_code == 0
    for attempt_id in (2, 4):
        rejected = watch.rejected(attempt_id)
        assert (rejected.code, rejected.job_fault) == ("bad_request", True)
        assert not watch.reports(TaskStarted, attempt_id)
    assert rig.executor.discover() == []


def test_a_template_that_the_supervisor_dropped_is_sent_again(rig: LocalRig, watch: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "TEMPLATES_KEPT", 10_000)  # more than it keeps
    first = launch(1, "true", limit_ms=1_000_000)
    rig.executor.launch([first])
    rig.executor.launch([launch(number, "true", limit_ms=1_000_000 + number) for number in range(2, 300)])
    rig.executor.launch([launch(1000, "true", limit_ms=1_000_000), launch(1001, "true", limit_ms=1_000_299)])
    assert watch.ended(1000).exit_code == watch.ended(1001).exit_code == 0
    watch.until(lambda: all(watch.gone(number) for number in range(1, 300)), "all ends")


def test_many_tasks_run_through_with_few_wake_ups(rig: LocalRig, watch: Watcher) -> None:
    count = 300
    rig.executor.launch([launch(number, "true", array_id=1, array_index=number) for number in range(1, count + 1)])
    watch.until(lambda: all(watch.gone(number) for number in range(1, count + 1)), "all ends")
    assert len(watch.seen) == 2 * count
    rig.executor.acknowledge(watch.cursor)
    assert rig.executor.observe(0).items == ()
    assert rig.executor.discover() == []


def test_every_report_wakes_not_only_the_first(rig: LocalRig, watch: Watcher) -> None:
    for number in range(1, 6):
        watch.look()
        rig.woken.clear()
        rig.executor.launch([launch(number, "true")])
        while not watch.gone(number):
            assert rig.woken.wait(20), f"nobody was woken for task {number}"
            rig.woken.clear()
            watch.look()


def test_a_stop_of_what_the_supervisor_has_lost_is_answered(rig: LocalRig, watch: Watcher) -> None:
    """It cannot happen while both keep their word: so the executor's memory is bent here."""
    rig.executor._tasks.add(launch(7), ())
    rig.executor.signal([stop(7)])
    ended = watch.ended(7)
    assert (ended.reason, ended.exit_code) == (EndReason.UNKNOWN, None)


def test_nobody_is_told_of_what_was_acknowledged_after_a_crash(rig: LocalRig, watch: Watcher) -> None:
    rig.executor.launch([launch(1, "true"), launch(2)])
    watch.ended(1)
    watch.started(2)
    rig.executor.acknowledge(watch.cursor)
    generation, seen = rig.executor.generation, len(watch.seen)
    rig.kill_supervisor()
    watch.until(lambda: rig.executor.generation > generation, "a new supervisor")
    assert [item for item in watch.seen[seen:] if item.attempt_id == 1] == []


def test_what_the_machine_enforces_is_told(rig: LocalRig) -> None:
    pid, version, enforces = rig.executor.supervisor()
    assert pid > 0
    assert version
    assert enforces["time"] == "enforced"
    assert enforces["memory"] == "sampled"
    names = {finding.name for finding in rig.executor.diagnose()}
    assert {"supervisor", "memory limits", "home", "disk"} <= names
    assert not rig.executor.has_devices


def test_an_earlier_supervisor_is_never_asked_for_another_limit(rig: LocalRig, watch: Watcher) -> None:
    rig.executor.launch([launch(1)])
    watch.started(1)
    link = rig.executor._session.link
    assert link is not None
    link.hello["protocol"] = 1
    assert not rig.executor.capabilities().limit
    rig.executor.signal([Signal(1, 0, 1, SignalAction.LIMIT, limit_ms=1, number=1), stop(1)])
    assert watch.ended(1).reason is EndReason.STOPPED, "what it knows is done, and what it does not know never reaches it"


def test_an_earlier_supervisor_is_given_no_lease_and_its_tasks_go_on(rig: LocalRig, watch: Watcher) -> None:
    rig.executor.launch([launch(1)])
    watch.started(1)
    link = rig.executor._session.link
    assert link is not None
    link.hello["protocol"] = 3
    capabilities = rig.executor.capabilities()
    assert (capabilities.leases, capabilities.rooms, capabilities.limit) == (False, True, True)
    rig.executor.launch([replace(launch(2), spec=replace(launch(2).spec, holder=Holder()))])
    rejected = watch.rejected(2)
    assert (rejected.code, rejected.job_fault) == ("no_leases", False)
    assert [task.attempt_id for task in rig.executor.discover()] == [1]
    rig.reconnect()
    again = Watcher(rig)
    assert again.started(1).pid == watch.started(1).pid, "the next daemon finds it"
