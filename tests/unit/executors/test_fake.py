"""The executor in memory beyond the contract: its script, its clock, its faults."""

from __future__ import annotations

import pytest

from tenure.executors.fake import Behaviour, FakeExecutor, by_name
from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec
from tenure.model.observations import EndReason, Launch, LaunchRejected, Signal, SignalAction, TaskEmptied, TaskEnded, TaskStarted


class Clock:
    def __init__(self) -> None:
        self.at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def launch(attempt_id: int, *argv: str, name: str = "job", limit_ms: int = 0) -> Launch:
    return Launch(attempt_id, attempt_id, 0, 1, "n", name, JobSpec(argv or ("true",), "/"), Amounts(), limit_ms=limit_ms)


def ends(executor: FakeExecutor) -> dict[int, TaskEnded]:
    return {item.attempt_id: item for item in executor.observe(0).items if isinstance(item, TaskEnded)}


def test_commands_say_how_long_and_how(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "1.5"), launch(2, "exit", "4"), launch(3, "false"), launch(4, "sleep", "infinity")])
    assert {number: end.exit_code for number, end in ends(executor).items()} == {2: 4, 3: 1}
    assert executor.next_event_ms() == 1500
    clock.at_ms = 1499
    assert 1 not in ends(executor)
    clock.at_ms = 1600
    assert (ends(executor)[1].ended_at_ms, ends(executor)[1].exit_code) == (1500, 0)
    assert executor.next_event_ms() is None
    assert [task.attempt_id for task in executor.discover()] == [4]


def test_a_script_by_name_comes_before_the_command(clock: Clock) -> None:
    executor = FakeExecutor(clock, script=by_name({"bad": Behaviour(reject="node", code="broken", why="no disk")}))
    executor.launch([launch(1, name="bad"), launch(2, "false")])
    rejected = executor.observe(0).items[0]
    assert rejected == LaunchRejected(1, 0, 1, False, "broken", "no disk")
    assert ends(executor)[2].exit_code == 1


def test_things_happen_in_order_of_time_then_of_launch(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "2"), launch(2, "sleep", "1"), launch(3, "sleep", "1")])
    clock.at_ms = 5000
    assert [item.attempt_id for item in executor.observe(0).items if isinstance(item, TaskEnded)] == [2, 3, 1]


def test_evidence_may_come_later(clock: Clock) -> None:
    executor = FakeExecutor(clock, script=by_name({"job": Behaviour(10, evidence_delay_ms=90)}))
    executor.launch([launch(1)])
    clock.at_ms = 10
    assert not ends(executor)[1].empty
    assert [task.attempt_id for task in executor.discover()] == [1]
    clock.at_ms = 100
    assert TaskEmptied(1, 0, 1) in executor.observe(0).items
    assert executor.discover() == []


def test_a_suspended_task_uses_no_time(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "1")])
    clock.at_ms = 400
    executor.signal([Signal(1, 0, 1, SignalAction.SUSPEND)])
    clock.at_ms = 9000
    assert ends(executor) == {}
    executor.signal([Signal(1, 0, 1, SignalAction.RESUME)])
    assert executor.next_event_ms() == 9600


def test_a_limit_ends_what_lasts_longer(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "10", limit_ms=2000), launch(2, "sleep", "1", limit_ms=2000)])
    clock.at_ms = 60_000
    assert (ends(executor)[1].reason, ends(executor)[1].ended_at_ms) == (EndReason.TIMEOUT, 2000)
    assert ends(executor)[2].reason is EndReason.EXIT


def test_a_task_can_be_ended_by_hand_and_forgotten(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "infinity"), launch(2, "sleep", "infinity")])
    executor.end(1, 0, signal=9, reason=EndReason.OOM)
    assert (ends(executor)[1].reason, ends(executor)[1].signal, ends(executor)[1].exit_code) == (EndReason.OOM, 9, None)
    executor.forget(2, 0)
    assert executor.discover() == []
    assert 2 not in ends(executor)


def test_a_restart_keeps_tasks_and_loses_the_exits_it_is_told_to_lose(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "5"), launch(2, "sleep", "5")])
    before = executor.generation
    executor.restart(unknown=[(2, 0)])
    assert executor.generation > before
    assert [task.attempt_id for task in executor.discover()] == [1]
    assert (ends(executor)[2].reason, ends(executor)[2].exit_code) == (EndReason.UNKNOWN, None)


def test_a_severed_executor_loses_what_is_asked_and_keeps_what_happened(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    executor.launch([launch(1, "sleep", "1")])
    cursor = executor.observe(0).cursor
    woken: list[int] = []
    executor.subscribe(lambda: woken.append(1))
    executor.sever()
    executor.launch([launch(2)])
    executor.signal([Signal(1, 0, 1, SignalAction.STOP)])
    clock.at_ms = 2000
    assert executor.observe(cursor).items == ()
    assert woken == []
    before = executor.generation
    executor.mend()
    assert woken
    assert executor.generation > before
    assert [type(item) for item in executor.observe(cursor).items] == [TaskEnded]
    assert ends(executor)[1].exit_code == 0


def test_hardware_may_change_and_a_closed_executor_wakes_nobody(clock: Clock) -> None:
    executor = FakeExecutor(clock)
    woken: list[int] = []
    executor.subscribe(lambda: woken.append(1))
    executor.close()
    executor.launch([launch(1)])
    assert woken == []
    assert executor.nodes() == []
    assert [type(item) for item in executor.observe(0).items] == [TaskStarted, TaskEnded]
