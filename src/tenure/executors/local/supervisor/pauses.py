"""Suspending a task and letting it go on; its time limit stands still meanwhile.

Where a freezer exists the task's processes are moved into a frozen group of it, which nothing inside can notice or leave;
otherwise every process is stopped by signal. Invariant: a frozen task is thawed before it is told to end, because a frozen
process cannot obey, and in version 1 cannot even be killed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from signal import SIGCONT, SIGSTOP

from . import clock
from .groups import Files
from .journal import Journal
from .task import Task
from .timers import LIMIT, Timers
from .tree import Tree

_ROUNDS = 200


class Pauses:
    """Suspends and resumes tasks. `freezer` is our folder in a version 1 freezer, or None."""

    def __init__(self, tree: Tree, journal: Journal, timers: Timers, freezer: str | None) -> None:
        self._tree = tree
        self._journal = journal
        self._timers = timers
        self._freezer = freezer

    def suspend(self, task: Task) -> None:
        """Let no process of it run. A lease has none, and its time does not stand still."""
        if task.frozen or task.draining or task.lease:
            return
        task.frozen = task.paused = True
        task.frozen_boot_ms = clock.boot_ms()
        if task.deadline_boot_ms:
            task.remaining_ms = max(task.deadline_boot_ms - task.frozen_boot_ms, 1)
            task.deadline_boot_ms = 0
        self._journal.note(task, "suspended", remaining_ms=task.remaining_ms, at_boot_ms=task.frozen_boot_ms)
        if not self._freeze(task):
            self._tree.send_until_stable(task, SIGSTOP)

    def resume(self, task: Task) -> None:
        """Let it go on."""
        if not task.frozen:
            return
        task.frozen = False
        now = clock.boot_ms()
        task.stood_ms += now - task.frozen_boot_ms
        if task.remaining_ms:
            task.deadline_boot_ms = now + task.remaining_ms
            self._timers.add(task.deadline_boot_ms, LIMIT, task)
            task.remaining_ms = 0
        self._journal.note(task, "resumed", deadline_boot_ms=task.deadline_boot_ms, stood_ms=task.stood_ms)
        if not self._thaw(task):
            self._tree.send(task, SIGCONT)

    def forget(self, task: Task) -> None:
        """Nothing of the task is left."""
        if self._freezer is not None:
            Files(self._group(task), hot=False).remove()

    def close(self) -> None:
        """Remove what was made for all tasks, if none is left."""
        if self._freezer is not None:
            Files(self._freezer, hot=False).remove()

    def _group(self, task: Task) -> str:
        return f"{self._freezer}/{task.attempt}.{task.task}"

    def _freeze(self, task: Task) -> bool:
        """By the freezer; False where that does not work, and nothing is frozen then."""
        if self._freezer is None:
            return False
        group = Files(self._group(task), hot=False)
        try:
            os.makedirs(group.directory, exist_ok=True)
            group.put("freezer.state", b"FROZEN")  # who is moved in from now on stops at once
            seen: set[int] = set()
            for _ in range(_ROUNDS):
                new = [pid for pid in self._tree.members(task) if pid not in seen]
                if not new:
                    return True
                for pid in new:
                    with suppress(ProcessLookupError):
                        group.put("cgroup.procs", b"%d" % pid)
                seen.update(new)
        except OSError:
            self._thaw(task)
            return False
        return True

    def _thaw(self, task: Task) -> bool:
        if self._freezer is None:
            return False
        try:
            Files(self._group(task), hot=False).put("freezer.state", b"THAWED")
        except OSError:
            return False
        return True
