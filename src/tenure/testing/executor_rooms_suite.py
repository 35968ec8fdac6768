"""The contract of executors for tasks that run one after another in the same room; to be run beside `ExecutorSuite`."""

from __future__ import annotations

from dataclasses import replace

from tenure.model.observations import (
    RETURNED,
    EndReason,
    Launch,
    LaunchRejected,
    Signal,
    SignalAction,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.testing.executor_rig import FAILS, IMPOSSIBLE, LASTS, SUCCEEDS, ExecutorSuiteBase, Rig, Watcher

PATIENT_MS = 3_600_000


class ExecutorRoomsSuite(ExecutorSuiteBase):
    """One at a time, in order, never twice; handed back when the turn does not come."""

    def relay(self, rig: Rig, *behaviours: str, room: int = 10, wait_ms: int = PATIENT_MS, **fields: int) -> list[Launch]:
        """Launches of one room; the first has the room's number, the others those after it."""
        return [
            replace(self.launch(rig, room + place, behaviour, **fields), room=room, wait_ms=wait_ms)
            for place, behaviour in enumerate(behaviours)
        ]

    def returned(self, watch: Watcher, attempt_id: int) -> LaunchRejected:
        """Wait until the task is handed back; it has not run."""
        rejected = watch.rejected(attempt_id)
        assert (rejected.code, rejected.job_fault) == (RETURNED, False)
        assert not watch.reports(TaskStarted, attempt_id)
        assert not watch.reports(TaskEnded, attempt_id)
        return rejected

    def test_tasks_of_a_room_run_one_after_another(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, SUCCEEDS, FAILS, SUCCEEDS, FAILS))
        watch.until(lambda: all(watch.gone(attempt) for attempt in range(10, 14)), "all of them")
        begun = [item.attempt_id for item in watch.seen if isinstance(item, TaskStarted)]
        assert begun == [10, 11, 12, 13]
        alive = 0
        for item in watch.seen:
            alive += isinstance(item, TaskStarted)
            assert alive <= 1, watch.seen
            alive -= isinstance(item, TaskEmptied) or (isinstance(item, TaskEnded) and item.empty)
        assert rig.executor.discover() == []

    def test_who_waits_is_known_and_is_sent_twice_in_vain(self, rig: Rig, watch: Watcher) -> None:
        relay = self.relay(rig, LASTS, SUCCEEDS)
        rig.executor.launch(relay)
        watch.started(10)
        rig.executor.launch(relay)
        assert [(task.attempt_id, task.pid > 0) for task in rig.executor.discover()] == [(10, True), (11, False)]
        executor = rig.reconnect()
        executor.launch(relay)
        assert [task.attempt_id for task in executor.discover()] == [10, 11]
        again = Watcher(rig)
        executor.signal([self.stop(10)])
        self.returned(again, 11)
        assert not again.reports(TaskStarted, 11)

    def test_who_waits_too_long_is_handed_back(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, LASTS, SUCCEEDS, SUCCEEDS, wait_ms=30))
        assert self.returned(watch, 11).why
        self.returned(watch, 12)
        assert [task.attempt_id for task in rig.executor.discover()] == [10]
        rig.executor.launch([replace(launch, attempt_id=13) for launch in self.relay(rig, SUCCEEDS)])
        assert [task.attempt_id for task in rig.executor.discover()] == [10, 13]

    def test_one_that_cannot_start_leaves_its_turn(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, SUCCEEDS, IMPOSSIBLE, SUCCEEDS))
        assert watch.ended(12).exit_code == 0
        assert watch.rejected(11).job_fault

    def test_a_stop_of_one_that_waits_hands_back_that_one(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, LASTS, SUCCEEDS, SUCCEEDS))
        rig.executor.signal([replace(self.stop(11), number=7)])
        self.returned(watch, 11)
        watch.until(lambda: bool(watch.reports(SignalDone, 11)), "the report that it was told")
        assert [task.attempt_id for task in rig.executor.discover()] == [10, 12]

    def test_who_is_stopped_or_paused_is_followed_by_nobody(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, LASTS, SUCCEEDS, SUCCEEDS))
        rig.executor.launch(self.relay(rig, LASTS, SUCCEEDS, room=20))
        watch.started(10), watch.started(20)
        rig.executor.signal([self.stop(10), Signal(20, 0, self.FENCE, SignalAction.SUSPEND)])
        for attempt in (11, 12, 21):
            self.returned(watch, attempt)
        assert watch.ended(10).reason is EndReason.STOPPED

    def test_a_limit_reaches_one_that_waits(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch(self.relay(rig, SUCCEEDS, LASTS, SUCCEEDS))
        rig.executor.signal([Signal(11, 0, self.FENCE, SignalAction.LIMIT, limit_ms=40)])
        assert watch.ended(11).reason is EndReason.TIMEOUT
        assert watch.ended(12).exit_code == 0

    def test_rooms_do_not_wait_for_each_other(self, rig: Rig, watch: Watcher) -> None:
        rig.executor.launch([*self.relay(rig, LASTS, SUCCEEDS), *self.relay(rig, SUCCEEDS, SUCCEEDS, room=20)])
        rig.executor.launch([self.launch(rig, 1, SUCCEEDS)])
        assert watch.ended(21).exit_code == watch.ended(1).exit_code == 0
        assert [task.attempt_id for task in rig.executor.discover()] == [10, 11]
