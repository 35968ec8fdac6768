"""A local executor for tests: a home of its own under a short path, a real supervisor, real processes; all ended by pid afterwards."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenure.executors.local.executor import LocalExecutor
from tenure.executors.local.settings import LocalSettings
from tenure.executors.local.tasks import holder_of
from tenure.model.commands import Holder
from tenure.testing.executor_rig import EXIT_CODE_OF_FAILS, FAILS, IMPOSSIBLE, LASTS, STUBBORN, SUCCEEDS

PATIENCE_S = 30.0


class LocalRig:
    """The local executor in a home of its own. ``cgroups`` off: that works everywhere; the supervisor's own tests cover groups."""

    def __init__(self, home: Path, **settings: Any) -> None:
        plain = LocalSettings(str(home / "h"), cgroups="off", gpus="none", device_locks=str(home / "locks"))
        self.settings = replace(plain, **settings)
        self.home = home
        self.woken = threading.Event()
        self._deadline = time.monotonic() + PATIENCE_S
        self._executors: list[LocalExecutor] = []
        self._holders: dict[int, subprocess.Popen[bytes]] = {}
        self.executor = self.reconnect()

    def argv(self, behaviour: str) -> tuple[str, ...]:
        mark = str(self.home / "settled")
        return {
            SUCCEEDS: ("true",),
            FAILS: ("sh", "-c", f"exit {EXIT_CODE_OF_FAILS}"),
            LASTS: ("sleep", "1000"),
            STUBBORN: ("sh", "-c", f'trap "" TERM; : > {mark}-$ATTEMPT; while :; do sleep 0.05; done'),
            IMPOSSIBLE: ("no-such-program",),
        }[behaviour]

    def settled(self, attempt_id: int) -> bool:
        return (self.home / f"settled-{attempt_id}").exists()

    def pass_time(self) -> bool:
        """Wait for a report, but look again soon: not everything that is waited for is one."""
        self.woken.wait(0.02)
        self.woken.clear()
        return time.monotonic() < self._deadline

    def reconnect(self) -> LocalExecutor:
        if self._executors:
            self._executors[-1].close()
        self.executor = LocalExecutor(self.settings)
        self.executor.subscribe(self.woken.set)
        self._executors.append(self.executor)
        return self.executor

    def holder(self) -> Holder:
        process = subprocess.Popen(["sleep", "1000"])
        self._holders[process.pid] = process
        return holder_of(process.pid)

    def end_holder(self, holder: Holder) -> None:
        process = self._holders.pop(holder.pid)
        process.kill()
        process.wait()

    def kill_supervisor(self) -> int:
        """As a crash would; its pid."""
        pid, _, _ = self.executor.supervisor()
        os.kill(pid, signal.SIGKILL)
        _wait_for_end(pid)
        return pid

    def clear_away(self) -> None:
        """End every task, then the supervisor, by pid."""
        for task in self.executor.discover():
            if task.pid:
                with contextlib.suppress(ProcessLookupError):  # a lease has no group of its own
                    os.killpg(task.pid, signal.SIGKILL)
        for process in self._holders.values():
            process.kill()
            process.wait()
        pid, _, _ = self.executor.supervisor()
        self.executor.close()
        if pid:
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([watched], [], [], PATIENCE_S)
    finally:
        os.close(watched)


@contextlib.contextmanager
def local_rig(**settings: Any) -> Iterator[LocalRig]:
    """A rig with these settings, cleared away afterwards."""
    home = Path(tempfile.mkdtemp(prefix="tx-"))  # short: socket paths are bounded
    try:
        rig = LocalRig(home, **settings)
        try:
            yield rig
        finally:
            rig.clear_away()
    finally:
        shutil.rmtree(home)
