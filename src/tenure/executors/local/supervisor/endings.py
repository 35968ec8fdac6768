"""How tasks end: collecting exits, limits, stops, and the hunt for what is left behind.

Every ending takes the same road: TERM to the whole tree, the grace, KILL to the whole tree, again until nothing is left.
Invariant: `exited` is recorded once per task, `emptied` once and only if `exited` said that something was left; a task
keeps its group and its devices until then.
"""

from __future__ import annotations

import os
from collections import deque
from resource import RUSAGE_SELF, getrusage, struct_rusage
from signal import SIGKILL, SIGTERM

from . import clock, holding, records
from .devices import DeviceLocks
from .groups import Pool
from .journal import Journal
from .loop import Loop
from .pauses import Pauses
from .records import End
from .rooms import Rooms
from .task import Key, Task
from .timers import KILL, LIMIT, WATCH, Timers
from .tree import Tree

WATCH_MS = 100
SHORT_MS = 5
END_NEWS_MS = 2
"""The ends of short tasks that run side by side are told together: the daemon's turn costs the same for one as for ten."""
FOLLOWED_NEWS_MS = 30
"""While others wait for a task's room, the daemon has nothing to do about its end, so the news waits for theirs."""


class Endings:
    """Ends tasks and records it."""

    def __init__(
        self,
        tree: Tree,
        journal: Journal,
        timers: Timers,
        pauses: Pauses,
        pool: Pool | None,
        devices: DeviceLocks,
        rooms: Rooms,
        loop: Loop,
    ) -> None:
        self._tree = tree
        self._journal = journal
        self._timers = timers
        self._pauses = pauses
        self._pool = pool
        self._devices = devices
        self._rooms = rooms
        self._loop = loop
        self._ended: deque[tuple[int, Key]] = deque()
        self.unacknowledged: dict[Key, int] = {}  #: ended or rejected tasks and the seq of their last record
        self.exits = 0

    def reap(self) -> None:
        """Wait for every child that has ended."""
        while True:
            mains, touched = self._collect()
            if not mains and not touched:
                return
            self._tree.refresh()
            for task, status, usage in mains:
                self.main_ended(task, status, usage)
            for task in dict.fromkeys(touched):
                if task.draining and not task.gone:
                    self.look(task)

    def _collect(self) -> tuple[list[tuple[Task, int, struct_rusage]], list[Task]]:
        mains: list[tuple[Task, int, struct_rusage]] = []
        touched: list[Task] = []
        tree = self._tree
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            task = tree.mains.pop(pid, None)
            if task is not None:
                mains.append((task, status, usage))
            elif (owner := tree.waited(pid)) is not None:
                owner.stray_cpu_ms += _cpu_ms(usage)
                touched.append(owner)
        return mains, touched

    def main_ended(self, task: Task, status: int | None, usage: struct_rusage | None) -> None:
        """The main process has gone; `status` as wait gives it, None where nobody could wait for it."""
        self.exits += 1
        task.draining = True
        left = bool(self._tree.members(task)) if task.adopted else bool(task.strays)
        end = self._end_of(task, status, usage)
        end.empty = not left
        self.record(task, end)
        if not left:
            self.forget(task)
        elif task.kill_sent:
            self.kill(task)
        elif not task.kill_set:
            self._tree.send(task, SIGTERM)
            self._kill_at(task, clock.boot_ms() + task.grace_ms)
        if left and task.adopted:
            self._timers.add(clock.boot_ms() + WATCH_MS, WATCH, task)

    def record(self, task: Task, end: End) -> None:
        """Write down that the main process ended."""
        seq = self._journal.next_seq()
        line = records.exited(seq, task, end)
        self._journal.add(line, patience_ms=self._patience_ms(task, end))
        if end.empty:
            self.remember(seq, task.key)
        else:
            task.lines.append((seq, line))

    def _patience_ms(self, task: Task, end: End) -> int:
        """How long the news may wait: while the task is followed, or if it was short and another is about to end like it."""
        if self._rooms.is_followed(task.room):
            return FOLLOWED_NEWS_MS
        if end.wall_ms is None or end.wall_ms > SHORT_MS or task.lease:
            return 0
        return END_NEWS_MS if self._tree.runs_since(clock.boot_ms() - SHORT_MS) else 0

    def remember(self, seq: int, key: Key) -> None:
        """`seq` is the last record of a task; until it is acknowledged the task counts as known."""
        self.unacknowledged[key] = seq
        self._ended.append((seq, key))

    def acknowledged(self, upto: int) -> None:
        """Tasks whose last record is up to there may be forgotten altogether."""
        while self._ended and self._ended[0][0] <= upto:
            seq, key = self._ended.popleft()
            if self.unacknowledged.get(key) == seq:
                del self.unacknowledged[key]

    def end(self, task: Task, reason: str, stop_reason: str, grace_ms: int) -> None:
        """End the task: TERM now, KILL after the grace. A second wish can only make it faster."""
        now = clock.boot_ms()
        if not task.ending and not task.draining:
            task.ending, task.stop_reason = reason, stop_reason
        self._journal.note(task, "ending", reason=task.ending, stop_reason=task.stop_reason, kill_at_ms=now + grace_ms)
        if task.frozen:
            self._pauses.resume(task)
        if grace_ms:
            self._tree.send(task, SIGTERM)
            self._kill_at(task, now + grace_ms)
        else:
            self.kill(task)

    def kill(self, task: Task) -> None:
        """KILL whatever there is of it, and look again. A lease is over with that."""
        if task.lease:
            self.main_ended(task, None, None)
            return
        again = WATCH_MS if not task.kill_sent else WATCH_MS * 4
        task.kill_sent = task.kill_set = True
        self._tree.send_until_stable(task, SIGKILL)
        self._timers.add(clock.boot_ms() + again, WATCH, task)

    def due(self, what: int, task: Task) -> None:
        """A timer of the task rang."""
        now = clock.boot_ms()
        if what == LIMIT:
            if task.draining or task.ending or not task.deadline_boot_ms:
                return
            if now < task.deadline_boot_ms:  # it was suspended meanwhile
                self._timers.add(task.deadline_boot_ms, LIMIT, task)
                return
            self.end(task, "timeout", "", task.limit_grace_ms)
        elif what == KILL:
            self.kill(task)
        elif what == WATCH:
            self.look(task)

    def look(self, task: Task) -> None:
        """Is anything of a task left? Record `emptied` if not, go on after it otherwise."""
        if not task.draining:
            if task.kill_sent:  # the main process does not die: in the kernel, or forked past us
                self.kill(task)
            return
        self._tree.refresh()
        if task.strays or (task.adopted and self._tree.members(task)):
            if task.kill_sent:
                self._tree.send_until_stable(task, SIGKILL)
            if task.kill_sent or task.adopted:
                self._timers.add(clock.boot_ms() + WATCH_MS * 2, WATCH, task)
            return
        seq = self._journal.next_seq()
        self._journal.add(records.emptied(seq, task, clock.wall_ms()))
        self.remember(seq, task.key)
        self.forget(task)

    def forget(self, task: Task) -> None:
        """Nothing is left: its group and devices are free."""
        task.gone = True
        self._timers.drop(task)
        self._tree.forget(task)
        if task.devices:
            self._devices.release(task.devices)
        if task.room:
            self._rooms.vacate(task.room)
        if task.paused:
            self._pauses.forget(task)
        if task.group is not None and self._pool is not None:
            self._pool.release(task.group)
            task.group = None
        if task.pidfd >= 0:
            self._loop.unwatch(task.pidfd)
            os.close(task.pidfd)
            task.pidfd = -1

    def _kill_at(self, task: Task, at_ms: int) -> None:
        task.kill_set = True
        self._timers.add(at_ms, KILL, task)

    def _end_of(self, task: Task, status: int | None, usage: struct_rusage | None) -> End:
        end = End()
        end.at_ms = clock.wall_ms()
        if task.started_boot_ms:
            end.wall_ms = max(clock.boot_ms() - task.started_boot_ms, 0)
        group = task.group
        if group is not None:
            end.oom_kills = group.oom_kills() - task.oom_before
            end.peak_bytes = group.peak_bytes()
            if usage is None:
                end.cpu_ms = group.cpu_ms()
        if usage is not None:
            end.cpu_ms = _cpu_ms(usage) + task.stray_cpu_ms
            end.peak_rss_bytes = _largest_bytes(usage)
        if end.peak_bytes is None:
            end.peak_bytes = max(task.peak_bytes, end.peak_rss_bytes or 0) or None
        if status is not None:
            if os.WIFSIGNALED(status):
                end.signal = os.WTERMSIG(status)
            else:
                end.exit_code = os.WEXITSTATUS(status)
        end.reason, end.why = _reason(task, status, end.oom_kills)
        return end


def _reason(task: Task, status: int | None, oom_kills: int) -> tuple[str, str]:
    if task.ending == "oom_sampled":
        why = f"used {task.peak_bytes} bytes of memory, more than its {task.memory_bytes}, when last looked at"
        return "oom_sampled", why
    if task.ending == "timeout":
        return "timeout", f"reached its time limit of {task.time_limit_ms} ms"
    if task.ending:
        return task.ending, ""
    if oom_kills > 0 and status != 0:
        return "oom", f"the kernel ended {oom_kills} of its processes at its memory limit of {task.memory_bytes} bytes"
    if status is None:
        why = "it ended under a supervisor that had not started it, so its exit code went elsewhere"
        return ("exit", holding.HOLDER_ENDED) if task.lease else ("unknown", why)
    return "exit", ""


def _cpu_ms(usage: struct_rusage) -> int:
    return round((usage.ru_utime + usage.ru_stime) * 1000)


def _largest_bytes(usage: struct_rusage) -> int | None:
    """Of the largest process. A spawned process starts with our own size as its peak, so a smaller one cannot be told."""
    if usage.ru_maxrss <= 65536 and usage.ru_maxrss <= getrusage(RUSAGE_SELF).ru_maxrss:
        return None
    return usage.ru_maxrss * 1024
