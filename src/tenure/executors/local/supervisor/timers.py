"""When something is due: one heap of (moment, task, what), one kernel timer armed for its head.

Why lazily: most tasks end long before their limit, so an entry of an ended task is only counted when dropped and swept
out in bulk. Invariant: with an empty heap no timer is armed; an idle supervisor never wakes.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Protocol

from .task import Task

LIMIT = 0  #: the task's time limit
KILL = 1  #: the end of its grace
WATCH = 2  #: look again whether anything of it is left
TICK = 3  #: periodic work of the whole supervisor; has no task
TELL = 4  #: news have waited long enough for company; has no task
BACK = 5  #: tasks have waited long enough for their room; has no task


class Ringer(Protocol):
    """What arms the kernel's timer."""

    def set(self, at_ms: int) -> None: ...


class Timers:
    """Due moments in boot ms. `add` and `drop` cost O(log n); the alarm is set only when the head moves forward."""

    def __init__(self, alarm: Ringer) -> None:
        self._alarm = alarm
        self._heap: list[tuple[int, int, int, Task | None]] = []
        self._serial = 0
        self._armed = 0
        self._stale = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at_ms: int, what: int, task: Task | None) -> None:
        """Let `due` return (what, task) from `at_ms` on."""
        self._serial += 1
        if task is not None:
            task.timers += 1
        heappush(self._heap, (at_ms, self._serial, what, task))
        if not self._armed or at_ms < self._armed:
            self._arm(at_ms)

    def drop(self, task: Task) -> None:
        """Entries of a task that ended are swept out once such are the majority."""
        self._stale += task.timers
        if self._stale > 64 and self._stale * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[3] is None or not entry[3].gone]
            heapify(self._heap)
            self._stale = 0

    def due(self, now_ms: int) -> list[tuple[int, Task | None]]:
        """Take out what is due, in order of its moment, and arm the alarm for the rest."""
        ready: list[tuple[int, Task | None]] = []
        heap = self._heap
        while heap and (heap[0][0] <= now_ms or (heap[0][3] is not None and heap[0][3].gone)):
            _, _, what, task = heappop(heap)
            if task is None:
                ready.append((what, task))
            elif not task.gone:
                task.timers -= 1
                ready.append((what, task))
        self._armed = 0
        if heap:
            self._arm(heap[0][0])
        return ready

    def _arm(self, at_ms: int) -> None:
        self._armed = at_ms
        self._alarm.set(at_ms)
