"""One contract, every executor: the one in memory, and the local one with a real supervisor and real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenure.executors.fake import Behaviour, FakeExecutor, by_name
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Holder
from tenure.model.observations import DeviceFound, NodeFound
from tenure.testing.executor_leases_suite import ExecutorLeasesSuite, LeaseRig
from tenure.testing.executor_limits_suite import ExecutorLimitsSuite
from tenure.testing.executor_resizes_suite import ExecutorResizesSuite
from tenure.testing.executor_rig import EXIT_CODE_OF_FAILS, FAILS, IMPOSSIBLE, LASTS, STUBBORN, SUCCEEDS
from tenure.testing.executor_rooms_suite import ExecutorRoomsSuite
from tenure.testing.executor_suite import ExecutorSuite
from tests.require import require
from tests.support.local_executor import local_rig


class HandClock:
    """A clock that goes where it is put."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms


class FakeRig:
    """The executor in memory; time jumps to what is next."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.holders = 0
        script = by_name(
            {
                SUCCEEDS: Behaviour(5),
                FAILS: Behaviour(5, EXIT_CODE_OF_FAILS, evidence_delay_ms=20),
                LASTS: Behaviour(-1, start_delay_ms=1),
                STUBBORN: Behaviour(-1, ignores_stop=True),
                IMPOSSIBLE: Behaviour(reject="job"),
            }
        )
        devices = tuple(DeviceFound(f"D{index}", index, "A100", 80 * GIB) for index in range(2))
        self.executor = FakeExecutor(self.clock, [NodeFound("here", Amounts(8000, 64 * GIB), devices)], script)

    def argv(self, behaviour: str) -> tuple[str, ...]:
        return (behaviour,)

    def settled(self, attempt_id: int) -> bool:
        return True

    def pass_time(self) -> bool:
        upcoming = self.executor.next_event_ms()
        if upcoming is None:
            return False
        self.clock.at_ms = max(self.clock.at_ms, upcoming)
        self.executor.step()
        return True

    def holder(self) -> Holder:
        self.holders += 1
        return Holder(100 + self.holders, 1)

    def end_holder(self, holder: Holder) -> None:
        self.executor.end_holder(holder.pid)

    def reconnect(self) -> FakeExecutor:
        self.executor.restart()
        return self.executor


class TestFakeExecutor(ExecutorSuite, ExecutorLimitsSuite, ExecutorRoomsSuite, ExecutorLeasesSuite, ExecutorResizesSuite):
    @pytest.fixture
    def rig(self) -> LeaseRig:
        return FakeRig()


class TestLocalExecutor(ExecutorSuite, ExecutorLimitsSuite, ExecutorRoomsSuite, ExecutorLeasesSuite, ExecutorResizesSuite):
    @pytest.fixture
    def rig(self) -> Iterator[LeaseRig]:
        with local_rig() as rig:
            yield rig


class TestLocalExecutorInGroups(ExecutorResizesSuite):
    """Where control groups keep tasks to what they hold."""

    @pytest.fixture
    def rig(self) -> Iterator[LeaseRig]:
        with local_rig(cgroups="auto") as rig:
            require("cgroups", rig.executor.capabilities().resize, "cpu and memory are not both enforced by control groups")
            yield rig
