"""Which processes belong to which task, and how to reach all of them.

The supervisor is a child subreaper: whoever loses its parent below it becomes its child. So after a task's main process
has gone, whatever is left of the task hangs below some child of ours that is not a main process: a stray. Counting our
children (one small read) tells at every exit whether there are unknown ones; only those are looked at, once.

Invariant: a process is signalled only if it is below a task's main process or stray, in its control group, or carries its
tag; never the supervisor, never another task's.
"""

from __future__ import annotations

import os
from collections import deque
from signal import SIGKILL

from . import proc
from .spawn import tag_of
from .task import Key, Task

_ROUNDS = 200
_TRIES = 5


class Tree:
    """Every live task, by key, by main process and by session, and the strays."""

    def __init__(self, home_tag: str) -> None:
        self.tasks: dict[Key, Task] = {}
        self.mains: dict[int, Task] = {}  #: children of ours not yet waited for
        self._sessions: dict[int, Task] = {}
        self._recent: deque[Task] = deque()  #: by start; some have ended or are old
        self._strays: dict[int, Task | None] = {}
        self._unclaimed: dict[int, int] = {}  #: strays of nobody known, and how often that was found
        self._retry = False
        self._own = proc.OwnChildren()
        self._home_tag = home_tag
        self._me = os.getpid()

    @property
    def unclaimed(self) -> int:
        """Children of ours that belong to no live task; they are left alone."""
        return len(self._unclaimed)

    def add(self, task: Task) -> None:
        """A task now runs as `task.pid`."""
        self.tasks[task.attempt, task.task] = task
        if task.lease:
            return
        self._sessions[task.pid] = task
        if not task.adopted:
            self.mains[task.pid] = task
            self._recent.append(task)

    def runs_since(self, boot_ms: int) -> bool:
        """Whether a task runs that was started at that moment or later."""
        recent = self._recent
        while recent and (recent[0].draining or recent[0].gone or recent[0].started_boot_ms < boot_ms):
            recent.popleft()
        return bool(recent)

    def forget(self, task: Task) -> None:
        """Nothing of the task is left."""
        del self.tasks[task.attempt, task.task]
        if self._sessions.get(task.pid) is task:
            del self._sessions[task.pid]

    def waited(self, pid: int) -> Task | None:
        """A child that is not a main process was waited for: the task whose stray it was."""
        self._unclaimed.pop(pid, None)
        task = self._strays.pop(pid, None)
        if task is not None:
            task.strays.remove(pid)
        return task

    def refresh(self) -> bool:
        """Find strays that appeared; whether there are new ones."""
        data = self._own.read()
        if data.count(b" ") == len(self.mains) + len(self._strays) and not self._retry:
            return False
        new = [pid for pid in map(int, data.split()) if pid not in self.mains and pid not in self._strays]
        for pid in new:
            self._claim(pid)
        if self._retry:  # whoever was in the middle of an exec showed no tag
            for pid, tries in list(self._unclaimed.items()):
                if tries < _TRIES and pid not in new:
                    self._claim(pid)
        self._retry = any(tries < _TRIES for tries in self._unclaimed.values())
        return bool(new)

    def members(self, task: Task) -> list[int]:
        """Every living process of the task; a lease has none."""
        if task.lease:
            return []
        if task.adopted:
            found = self._scanned(task)
        else:
            self.refresh()
            found = proc.descendants(task.strays if task.draining else [task.pid, *task.strays])
        if task.group is not None:
            found = list(dict.fromkeys([*found, *task.group.pids()]))
        return [pid for pid in found if pid != self._me]

    def send(self, task: Task, number: int) -> list[int]:
        """Signal every process of the task; which ones."""
        reached = [pid for pid in self.members(task) if _signal(pid, number)]
        if task.draining:
            task.signalled.update(reached)
        return reached

    def send_until_stable(self, task: Task, number: int) -> None:
        """Signal until a look at the task finds nobody new: also those forked meanwhile. For KILL and STOP."""
        seen: set[int] = set()
        for _ in range(_ROUNDS):
            new = [pid for pid in self.members(task) if pid not in seen]
            if not new:
                return
            seen.update(new)
            for pid in new:
                if _signal(pid, number) and task.draining and number == SIGKILL:
                    task.signalled.add(pid)

    def owner(self, pid: int) -> Task | None:
        """The task that a process belongs to: by tag, by session, by control group."""
        value = proc.tag(pid)
        if value is not None and (task := self._of_tag(value)) is not None:
            return task
        found = proc.stat(pid)
        if found is not None and found.session in self._sessions:
            return self._sessions[found.session]
        groups = [line.split(b":", 2)[2].decode() for line in proc.read(f"/proc/{pid}/cgroup").splitlines()]
        groups = [group for group in groups if f"/tenure-{self._home_tag}/" in group]
        for task in self.tasks.values():
            if task.group_path and any(task.group_path.endswith(group) for group in groups):
                return task
        return None

    def _claim(self, pid: int) -> None:
        task = self.owner(pid)
        self._strays[pid] = task
        if task is None:
            self._unclaimed[pid] = self._unclaimed.get(pid, 0) + 1
        else:
            self._unclaimed.pop(pid, None)
            task.strays.append(pid)

    def _of_tag(self, value: bytes) -> Task | None:
        home, _, rest = value.decode("ascii", "replace").partition("/")
        attempt, _, task = rest.partition("/")
        if home == self._home_tag and attempt.isdigit() and task.isdigit():
            return self.tasks.get((int(attempt), int(task)))
        return None

    def _scanned(self, task: Task) -> list[int]:
        """Not our children, so all of /proc is read. Its session counts only while nobody else can have its number."""
        value = tag_of(self._home_tag, task.attempt, task.task)
        main = proc.stat(task.pid)
        session = task.pid if main is not None and main.start_ticks == task.start_ticks else -1
        roots = []
        for pid in proc.every_pid():
            found = proc.stat(pid)
            if found is not None and found.alive and (found.session == session or proc.tag(pid) == value):
                roots.append(pid)
        return proc.descendants(roots)


def tagged(home_tag: str, attempt: int, task: int) -> list[int]:
    """Living processes anywhere on the machine that carry the task's tag."""
    value = tag_of(home_tag, attempt, task)
    return [pid for pid in proc.every_pid() if proc.tag(pid) == value and proc.alive(pid)]


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
