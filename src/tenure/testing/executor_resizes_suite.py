"""The contract of `ports.Executor` about other amounts of cpu and memory for a task that runs, as tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.model.amounts import MIB, Amounts
from tenure.model.observations import EndReason, Launch, Resized, Signal, SignalAction, TaskEnded
from tenure.testing.executor_rig import FAILS, LASTS, ExecutorSuiteBase, Rig, Watcher

ASKED, LESS = Amounts(1000, 512 * MIB), Amounts(300, 256 * MIB)


class ExecutorResizesSuite(ExecutorSuiteBase):
    """What a task that runs is kept to."""

    def resize(self, attempt_id: int, amounts: Amounts, number: int) -> Signal:
        """Other amounts."""
        signal = Signal(attempt_id, 0, self.FENCE, SignalAction.RESIZE, number=number)
        return replace(signal, cpu_milli=amounts.cpu_milli, memory_bytes=amounts.memory_bytes)

    def begun(self, rig: Rig, attempt_id: int, behaviour: str) -> Launch:
        """A task with limits."""
        launch = replace(self.launch(rig, attempt_id, behaviour), amounts=ASKED)
        rig.executor.launch([launch])
        return launch

    def answers(self, watch: Watcher, attempt_id: int, count: int) -> list[Resized]:
        """So many answers about a task."""
        watch.until(lambda: len(watch.reports(Resized, attempt_id)) >= count, "the report of what it is kept to")
        return watch.reports(Resized, attempt_id)

    def able(self, rig: Rig) -> None:
        """Skip where that cannot be done."""
        if not rig.executor.capabilities().resize:
            pytest.skip("this executor cannot change the amounts of a task that runs")

    def test_what_is_asked_for_is_done_and_reported_as_often_as_it_is_asked(self, rig: Rig, watch: Watcher) -> None:
        self.able(rig)
        self.begun(rig, 1, LASTS)
        watch.started(1)
        for _ in range(2):
            rig.executor.signal([self.resize(1, LESS, 3)])
        done = Resized(1, 0, self.FENCE, 3, LESS.cpu_milli, LESS.memory_bytes)
        assert self.answers(watch, 1, 2) == [done] * 2
        rig.reconnect()
        again = Watcher(rig)
        rig.executor.signal([self.resize(1, ASKED, 4)])
        last = self.answers(again, 1, 1)[-1]
        assert (last.number, last.cpu_milli, last.memory_bytes, last.why) == (4, ASKED.cpu_milli, ASKED.memory_bytes, "")

    def test_of_what_ended_or_was_never_here_the_end_is_reported(self, rig: Rig, watch: Watcher) -> None:
        self.able(rig)
        self.begun(rig, 1, FAILS)
        ended = watch.ended(1)
        rig.executor.signal([self.resize(1, LESS, 2), self.resize(99, LESS, 2)])
        assert watch.ended(99).reason is EndReason.UNKNOWN
        assert set(watch.reports(TaskEnded, 1)) == {ended}
        assert not watch.reports(Resized, 99)

    def test_who_cannot_says_so(self, rig: Rig, watch: Watcher) -> None:
        if rig.executor.capabilities().resize:
            pytest.skip("this executor can")
        self.begun(rig, 1, LASTS)
        watch.started(1)
        rig.executor.signal([self.resize(1, LESS, 2)])
        (answer,) = self.answers(watch, 1, 1)
        assert (answer.cpu_milli, answer.memory_bytes, answer.number) == (None, None, 2)
        assert answer.why
