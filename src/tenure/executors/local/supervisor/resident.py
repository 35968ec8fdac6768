"""The supervisor itself: its parts put together, and what happens once per round.

Order of a round: requests and signals are served, then the journal is written once, then observers are told.
Invariant: with no task there is no timer, and nothing is read or written until somebody asks.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from . import clock, logs, memory, records
from .detect import Setup
from .devices import DeviceLocks
from .endings import Endings
from .journal import NO_HURRY_MS, Journal
from .kernel import Alarm
from .loop import Loop
from .pauses import Pauses
from .protocol import Refused
from .requests import Requests
from .rooms import Rooms
from .server import Client, Listener
from .spawn import Spawner
from .spawn_as import SpawnerAs
from .starts import Starts
from .task import Key, Task
from .timers import BACK, TELL, TICK, Timers
from .tree import Tree

FULL_DISK_RETRY_MS = 1_000


class Resident:
    """One supervisor of one home."""

    def __init__(
        self,
        home: str,
        home_tag: str,
        setup: Setup,
        journal: Journal,
        locks: DeviceLocks,
        keep: logs.Logs,
        *,
        shared: bool = False,
        root: bool = False,
    ) -> None:
        """``shared``: tasks run as whom their launch names; ``root``: that may be root."""
        self.setup = setup
        self.shared = shared
        self.journal = journal
        self.fence = 0
        self.boot_id = clock.boot_id()
        self.leaving = False  #: told to: it goes once nothing runs, and serves as before until then
        self.loop = Loop()
        self.tree = Tree(home_tag)
        self.locks = locks
        self.home_tag = home_tag
        self._alarm = Alarm()
        self.timers = Timers(self._alarm)
        self._logs = keep
        self._next_logs = 0
        self._ticking_at = 0  #: when the next tick is due; 0: none
        self._tell_at = 0  #: when the news that wait must be told; 0: none waits
        self._telling_at = 0  #: when a timer will ring for it; 0: none
        self._listener: Listener | None = None
        self._wakeup: tuple[int, int] | None = None
        kind = setup.pool.kind if setup.pool is not None else None
        self.pauses = Pauses(self.tree, journal, self.timers, setup.freezer)
        self.rooms = Rooms(self.timers)
        self.endings = Endings(self.tree, journal, self.timers, self.pauses, setup.pool, locks, self.rooms, self.loop)
        spawner = SpawnerAs(home, home_tag, kind, root) if shared else Spawner(home, home_tag, kind)
        self.starts = Starts(
            self.tree, journal, spawner, self.timers, self.endings, setup.pool, locks, self.rooms, self.adopted, self._between
        )

    def listen(self, path: str) -> None:
        """Serve clients at that path."""
        self._listener = Listener(path, self.loop, Requests(self).serve)

    def run(self) -> None:
        """Until told to leave and without tasks."""
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = (read, write)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGTERM, self._told_to_leave)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self.loop.watch(read, self._signalled)
        self.loop.watch(self._alarm.fd, self._rang)
        self.endings.reap()
        self.loop.run(self._round)
        self._close()

    def raise_fence(self, fence: int) -> None:
        """Take note of a request's fence.

        :raises Refused: `stale_fence`: a later leader has spoken already.
        """
        if fence < self.fence:
            raise Refused("stale_fence", f"fence {fence} is older than {self.fence}: another daemon leads now; step down")
        if fence > self.fence:
            self.fence = fence
            self.journal.add(records.note(self.journal.next_seq(), "fence", fence=fence), public=False)

    def acknowledge(self, upto: int) -> None:
        """The daemon knows every record up to there for good."""
        worth_compacting = self.journal.acknowledge(upto)
        self.endings.acknowledged(self.journal.acked)
        if worth_compacting and self.journal.compact(self._head()) and self._listener is not None:
            for client in self._listener.clients:
                if client.offset is not None:
                    client.offset = 0

    def told_again(self, keys: list[Key]) -> bytes:
        """What the journal says for observers about these tasks."""
        wanted = frozenset(keys)
        self.journal.flush()
        told = []
        offset = 0
        while offset < self.journal.size:
            lines, offset = self.journal.public_lines(offset, 0)
            told += [line for line in lines.splitlines(keepends=True) if records.key_of(records.parsed(line) or {}) in wanted]
        return b"".join(told)

    def adopted(self, task: Task) -> None:
        """A task of an earlier supervisor, or a lease, is ours from now on; its end shows on `task.pidfd`."""
        self.tree.add(task)
        self.rooms.adopt(task.room)
        if task.pidfd >= 0:
            self.loop.watch(task.pidfd, lambda _mask: self._adopted_ended(task))

    def leave(self) -> None:
        """Go once nothing runs."""
        self.leaving = True
        if not self.tree.tasks:
            self.loop.stop()

    def stats(self) -> dict[str, Any]:
        """Figures for `doctor`."""
        times = os.times()
        return {
            "live": len(self.tree.tasks),
            "launched": self.starts.launched,
            "exits": self.endings.exits,
            "cpu_ms": round((times.user + times.system) * 1000),
            "timers": len(self.timers),
            "journal_bytes": self.journal.size,
            "journal_bad_lines": self.journal.bad_lines,
            "journal_blocked": self.journal.blocked,
            "reserve": self.journal.reserved,
            "unacknowledged": len(self.endings.unacknowledged),
            "strays_unclaimed": self.tree.unclaimed,
            "log_bound": {None: "not needed yet", True: "works", False: "not possible on this file system"}[self._logs.supported],
            "log_released_bytes": self._logs.released_bytes,
            "clients": len(self._listener.clients) if self._listener is not None else 0,
        }

    def _round(self) -> None:
        """Once per turn of the loop: write, tell, and see to it that we are woken if we must be."""
        journal = self.journal
        if self.leaving:
            self.starts.hand_back(self.rooms.clear_all(), "the supervisor is about to leave")
        self.starts.follow()
        journal.flush()
        lines = b"" if self._news_may_wait() else journal.announce()
        transient, self.starts.transient = b"".join(self.starts.transient), []
        if self._listener is not None:
            last = records.seq_of(lines[lines.rfind(b"\n", 0, -1) + 1 :]) if lines else 0
            for client in list(self._listener.clients):
                if lines:
                    client.push(lines, last)
                if transient and client.since is not None:
                    client.reply(transient)
                client.advance(journal)
        if self.tree.tasks or journal.blocked:
            self._plan_tick()
        if self.leaving and not self.tree.tasks:
            self.loop.stop()

    def _news_may_wait(self) -> bool:
        """Whether somebody with more news is expected soon enough; if so, a timer sees to it that they are told without him."""
        journal = self.journal
        now = clock.boot_ms()
        until = min(self._tell_at or now + NO_HURRY_MS, now + journal.patience_ms)
        if not journal.news or journal.blocked or until <= now:
            self._tell_at = 0
            return False
        self._tell_at = until
        if not self._telling_at or until < self._telling_at:
            self._telling_at = until
            self.timers.add(until, TELL, None)
        return True

    def _between(self) -> None:
        """In the middle of a large launch: nobody's end or limit waits for it."""
        self.endings.reap()
        self._rang(0)
        self._round()

    def _plan_tick(self) -> None:
        every = logs.EVERY_MS
        if self.setup.memory == "sampled" and memory.limited(self.tree.tasks.values()):
            every = memory.EVERY_MS
        if self.journal.blocked:
            every = min(every, FULL_DISK_RETRY_MS)
        at_ms = clock.boot_ms() + every
        if not self._ticking_at or at_ms < self._ticking_at:  # a task with a limit may have come while a later tick was planned
            self._ticking_at = at_ms
            self.timers.add(at_ms, TICK, None)

    def _tick(self) -> None:
        self._ticking_at = 0
        now = clock.boot_ms()
        tasks = list(self.tree.tasks.values())
        if self.setup.memory == "sampled":
            for task in memory.over(self.tree, memory.limited(tasks)):
                self.endings.end(task, "oom_sampled", "", 0)
        if now >= self._next_logs:
            self._next_logs = now + logs.EVERY_MS
            self._logs.bound(tasks)

    def _rang(self, _mask: int) -> None:
        self._alarm.clear()
        for what, task in self.timers.due(clock.boot_ms()):
            if what == TELL:
                self._telling_at = 0
            elif what == BACK:
                self.starts.hand_back(self.rooms.overdue(clock.boot_ms()), "it waited too long for the task before it")
            elif task is None:
                self._tick()
            elif not task.gone:
                self.endings.due(what, task)

    def _signalled(self, _mask: int) -> None:
        assert self._wakeup is not None
        try:
            os.read(self._wakeup[0], 4096)
        except BlockingIOError:
            return
        self.endings.reap()

    def _adopted_ended(self, task: Task) -> None:
        self.loop.unwatch(task.pidfd)
        if not task.gone and not task.draining:
            self.endings.main_ended(task, None, None)

    def _told_to_leave(self, _number: int, _frame: object) -> None:
        self.leaving = True  # the round that the wake-up starts looks at it

    def _head(self) -> list[bytes]:
        """What the acknowledged part of the journal must still say."""
        journal = self.journal
        boot = records.note(journal.next_seq(), "boot", boot_id=self.boot_id, fence=self.fence, acked=journal.acked)
        lines = [line for task in self.tree.tasks.values() for seq, line in task.lines if seq <= journal.acked]
        return [boot, *lines]

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self.loop.close()
        self.journal.close()
        self.pauses.close()
        if self.setup.pool is not None:
            self.setup.pool.close()


def _nothing(_number: int, _frame: object) -> None:
    """SIGCHLD only has to wake the loop."""


__all__ = ["Client", "Resident"]
