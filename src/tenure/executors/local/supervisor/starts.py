"""How tasks start: known ones are left alone, intents are journaled, processes spawned, rejections recorded.

Invariant: no process is spawned whose intent is not in the journal, and none for a (attempt, task) that is live or whose
end is not acknowledged.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from itertools import groupby

from . import clock, holding, records
from .devices import Busy, DeviceLocks
from .endings import FOLLOWED_NEWS_MS, Endings
from .groups import Pool
from .journal import DiskFull, Journal
from .protocol import Launch, Signal
from .rooms import Rooms, Waiting
from .spawn import Rejected, Spawner
from .task import Key, Task
from .timers import LIMIT, Timers
from .tree import Tree

CHUNK = 32
START_NEWS_MS = 10
"""A start is told together with the next end, if one comes soon: short tasks would wake the daemon twice for nothing."""
RETURNED = "returned"
"""The code of a rejection that nobody is at fault for: the task was never started, because its turn did not come in time."""


class Starts:
    """Starts batches of tasks. `adopt` takes in a task that is no child of ours. `between` runs after every chunk, so that a large
    batch delays nobody else's end."""

    def __init__(
        self,
        tree: Tree,
        journal: Journal,
        spawner: Spawner,
        timers: Timers,
        endings: Endings,
        pool: Pool | None,
        devices: DeviceLocks,
        rooms: Rooms,
        adopt: Callable[[Task], None],
        between: Callable[[], None],
    ) -> None:
        self._tree = tree
        self._journal = journal
        self._spawner = spawner
        self._timers = timers
        self._endings = endings
        self._pool = pool
        self._devices = devices
        self._rooms = rooms
        self._adopt = adopt
        self._between = between
        self.transient: list[bytes] = []  #: announcements that could not be journaled: seq 0, told once
        self.launched = 0

    def known(self, key: Key) -> bool:
        """It was launched before and its end is not acknowledged."""
        return key in self._tree.tasks or key in self._endings.unacknowledged or self._rooms.find(key) is not None

    def launch(self, batch: Iterable[Launch], fence: int) -> list[Key]:
        """Start what is not known yet, or let it wait for its room; the keys that are known."""
        fresh: dict[Key, Launch] = {}
        known: list[Key] = []
        for launch in batch:
            key = (launch.attempt, launch.task)
            if key in fresh or self.known(key):
                known.append(key)
            elif self._rooms.take(launch.room):
                fresh[key] = launch
            else:
                self._rooms.wait(launch, fence)
        waiting = list(fresh.values())
        for start in range(0, len(waiting), CHUNK):
            self._start(waiting[start : start + CHUNK], fence)
            self._between()
        return known

    def follow(self) -> None:
        """Start the tasks whose room has become free; a rejected one leaves it to the next at once."""
        while due := self._rooms.next():
            for fence, group in groupby(due, key=lambda waiting: waiting.fence):
                self._start([waiting.launch for waiting in group], fence)

    def hand_back(self, waiting: Iterable[Waiting], why: str) -> None:
        """Record that these, which wait no more, were not started and will not be."""
        for one in waiting:
            self._record_rejection(Task.of(one.launch, one.fence), Rejected("node", RETURNED, why))

    def clear_behind(self, task: Task, why: str) -> None:
        """Hand back everything that waits for the task's room."""
        if task.room:
            self.hand_back(self._rooms.clear(task.room), why)

    def tell_waiting(self, signal: Signal) -> bool:
        """A signal for a task that waits for its room; False if there is none such. Whatever stops it hands it back."""
        key = (signal.attempt, signal.task)
        waiting = self._rooms.find(key)
        if waiting is None:
            return False
        if signal.action == "limit":
            waiting.launch.time_limit_ms = signal.limit_ms
        elif signal.action in ("stop", "kill", "suspend"):
            self._rooms.leave(key)
            self.hand_back([waiting], signal.reason or "it was stopped before it started")
        return True

    def _start(self, batch: list[Launch], fence: int) -> None:
        at_ms = clock.wall_ms()
        tasks = [Task.of(launch, fence) for launch in batch]
        intents = [self._prepared(task, at_ms) for task in tasks]
        try:
            self._journal.intend(b"".join(intents))
        except DiskFull:
            self._refuse_all(tasks, at_ms)
            return
        try:
            for launch, task in zip(batch, tasks, strict=True):
                self._spawn(launch, task)
        finally:
            self._spawner.rest()

    def _prepared(self, task: Task, at_ms: int) -> bytes:
        """Give the task a group, and its intent."""
        if self._pool is not None and not task.lease:
            try:
                task.group = self._pool.acquire()
            except OSError:
                task.group = None  # refused below, where a rejection can be recorded
            else:
                task.group_path = task.group.path
                task.oom_before = task.group.oom_kills()
        seq = self._journal.next_seq()
        line = records.intent(seq, task, at_ms)
        task.lines.append((seq, line))
        return line

    def _spawn(self, launch: Launch, task: Task) -> None:
        if self._pool is not None and task.group is None and not task.lease:
            why = "no control group could be made for it; see the limits of the machine"
            self._reject(task, Rejected("node", "spawn_failed", why))
            return
        try:
            fds = self._devices.take(task.devices) if task.devices else []
        except Busy as busy:
            self._reject(task, Rejected("node", "device_busy", str(busy)))
            return
        if task.lease:
            self._hold(task)
            return
        failure = None
        try:
            self._spawner.spawn(launch, task, fds)
        except Rejected as rejection:
            self._devices.release(task.devices)
            self._reject(task, rejection)
            return
        except OSError as error:  # it runs, but could not be confined
            failure = error
        self._record_start(task)
        if failure is not None:
            self._end_unconfined(task, failure)

    def _hold(self, task: Task) -> None:
        """A lease begins; its devices are held by us alone, since nobody inherits anything."""
        if not holding.grasp(task):
            self._devices.release(task.devices)
            self._reject(task, Rejected("job", "holder_gone", "the process that asked for the lease has ended"))
            return
        task.started_boot_ms = clock.boot_ms()
        self._record_start(task)

    def _record_start(self, task: Task) -> None:
        task.started_at_ms = clock.wall_ms()
        self.launched += 1
        if task.lease:
            self._adopt(task)
        else:
            self._tree.add(task)
        seq = self._journal.next_seq()
        line = records.started(seq, task)
        task.lines.append((seq, line))
        self._journal.add(line, patience_ms=self._patience_ms(task))
        if task.time_limit_ms:
            task.deadline_boot_ms = task.started_boot_ms + task.time_limit_ms
            self._timers.add(task.deadline_boot_ms, LIMIT, task)

    def _patience_ms(self, task: Task) -> int:
        """How long the news of a start may wait; whoever asked for a lease waits for it."""
        if task.lease:
            return 0
        return FOLLOWED_NEWS_MS if self._rooms.is_followed(task.room) else START_NEWS_MS

    def _end_unconfined(self, task: Task, error: OSError) -> None:
        if error.errno == errno.EBUSY:  # already larger than its limit
            self._endings.end(task, "oom", "", 0)
        else:
            self._endings.end(task, "stopped", f"its limits could not be set: {error.strerror}", 0)

    def _reject(self, task: Task, rejection: Rejected) -> None:
        self._give_up(task)
        self._record_rejection(task, rejection)

    def _record_rejection(self, task: Task, rejection: Rejected) -> None:
        seq = self._journal.next_seq()
        at_ms = clock.wall_ms()
        self._journal.add(records.rejected(seq, task, rejection.fault, rejection.code, rejection.why, at_ms))
        self._endings.remember(seq, task.key)

    def _refuse_all(self, tasks: list[Task], at_ms: int) -> None:
        """Not journaled: the room that is left belongs to the ends of running tasks."""
        why = "the disk with the supervisor's journal is full; free some space"
        for task in tasks:
            self._give_up(task)
            self.transient.append(records.rejected(0, task, "node", "disk_full", why, at_ms))

    def _give_up(self, task: Task) -> None:
        if task.group is not None and self._pool is not None:
            self._pool.release(task.group)
            task.group = None
        self._rooms.vacate(task.room)
