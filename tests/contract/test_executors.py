"""One contract, every executor: the one in memory, and the local one with a real supervisor and real processes."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.fake import Behaviour, FakeExecutor, by_name
from tenure.executors.local.executor import LocalExecutor
from tenure.executors.local.settings import LocalSettings
from tenure.model.amounts import GIB, Amounts
from tenure.model.observations import DeviceFound, NodeFound
from tenure.testing.executor_suite import (
    EXIT_CODE_OF_FAILS,
    FAILS,
    IMPOSSIBLE,
    LASTS,
    STUBBORN,
    SUCCEEDS,
    ExecutorSuite,
    Rig,
)

PATIENCE_S = 30.0


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

    def reconnect(self) -> FakeExecutor:
        self.executor.restart()
        return self.executor


class LocalRig:
    """The local executor in a home of its own. ``cgroups`` off: that works everywhere; the supervisor's own tests cover groups."""

    def __init__(self, home: Path) -> None:
        self._settings = LocalSettings(str(home / "h"), cgroups="off", gpus="none", device_locks=str(home / "locks"))
        self._home = home
        self._woken = threading.Event()
        self._deadline = time.monotonic() + PATIENCE_S
        self._executors: list[LocalExecutor] = []
        self.executor = self.reconnect()

    def argv(self, behaviour: str) -> tuple[str, ...]:
        mark = str(self._home / "settled")
        return {
            SUCCEEDS: ("true",),
            FAILS: ("sh", "-c", f"exit {EXIT_CODE_OF_FAILS}"),
            LASTS: ("sleep", "1000"),
            STUBBORN: ("sh", "-c", f'trap "" TERM; : > {mark}-$ATTEMPT; while :; do sleep 0.05; done'),
            IMPOSSIBLE: ("no-such-program",),
        }[behaviour]

    def settled(self, attempt_id: int) -> bool:
        return (self._home / f"settled-{attempt_id}").exists()

    def pass_time(self) -> bool:
        """Wait for a report, but look again soon: not everything that is waited for is one."""
        self._woken.wait(0.02)
        self._woken.clear()
        return time.monotonic() < self._deadline

    def reconnect(self) -> LocalExecutor:
        if self._executors:
            self._executors[-1].close()
        self.executor = LocalExecutor(self._settings)
        self.executor.subscribe(self._woken.set)
        self._executors.append(self.executor)
        return self.executor

    def clear_away(self) -> None:
        """End every task, then the supervisor, by pid."""
        pid, _, _ = self.executor.supervisor()
        for task in self.executor.discover():
            if task.pid:
                os.killpg(task.pid, signal.SIGKILL)
        os.kill(pid, signal.SIGTERM)
        self.executor.close()
        watch = os.pidfd_open(pid) if Path(f"/proc/{pid}").exists() else -1
        if watch >= 0:
            import select

            select.select([watch], [], [], PATIENCE_S)
            os.close(watch)


class TestFakeExecutor(ExecutorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return FakeRig()


class TestLocalExecutor(ExecutorSuite):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        home = Path(tempfile.mkdtemp(prefix="tx-"))  # short: socket paths are bounded
        rig = LocalRig(home)
        try:
            yield rig
        finally:
            rig.clear_away()
            shutil.rmtree(home)
