"""Tasks that take over each other's room: which one has it, and which wait for it, in order.

A room is named by the attempt that took it first. Those behind wait here and nowhere else: they are in no journal, so a supervisor that
dies forgets them, and the daemon, to whom nobody confirmed their launch, sends them again. Invariants: of one room at most one task is
alive, counted until nothing of it is left; a task waits no longer than it was launched with, then it is handed back.
"""

from __future__ import annotations

from collections import deque

from . import clock
from .protocol import Launch
from .task import Key
from .timers import BACK, Timers


class Waiting:
    """A task that waits for its room. It is handed back when `until_ms` (boot time) has come."""

    __slots__ = ("fence", "launch", "until_ms")

    def __init__(self, launch: Launch, fence: int, until_ms: int) -> None:
        self.launch = launch
        self.fence = fence
        self.until_ms = until_ms

    @property
    def key(self) -> Key:
        return (self.launch.attempt, self.launch.task)


class Rooms:
    """The rooms in use. Room 0 is none: who has it shares with nobody."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._taken: set[int] = set()
        self._queues: dict[int, deque[Waiting]] = {}
        self._rooms_of: dict[Key, int] = {}
        self._vacated: list[int] = []
        self._back_at = 0  #: when a timer rings for those that wait; 0: none is set

    def is_followed(self, room: int) -> bool:
        """Somebody waits for that room."""
        return room in self._queues

    def take(self, room: int) -> bool:
        """Have the room, if nobody has it or waits for it."""
        if room in self._taken or room in self._queues:
            return False
        if room:
            self._taken.add(room)
        return True

    def adopt(self, room: int) -> None:
        """A task of an earlier supervisor has it."""
        if room:
            self._taken.add(room)

    def vacate(self, room: int) -> None:
        """Nothing is left of the task that had it."""
        if room in self._taken:
            self._taken.remove(room)
            self._vacated.append(room)

    def wait(self, launch: Launch, fence: int) -> None:
        """Wait behind those that wait for the room already."""
        waiting = Waiting(launch, fence, clock.boot_ms() + launch.wait_ms)
        self._queues.setdefault(launch.room, deque()).append(waiting)
        self._rooms_of[waiting.key] = launch.room
        self._ring(waiting.until_ms)

    def next(self) -> list[Waiting]:
        """Those whose room has become free since the last call; each has it now."""
        found = []
        vacated, self._vacated = self._vacated, []
        for room in vacated:
            queue = self._queues.get(room)
            if queue and room not in self._taken:
                found.append(self._remove(queue[0]))
                self._taken.add(room)
        return found

    def leave(self, key: Key) -> Waiting | None:
        """It does not wait any more."""
        waiting = self.find(key)
        return None if waiting is None else self._remove(waiting)

    def find(self, key: Key) -> Waiting | None:
        """It, if it waits here."""
        queue = self._queues.get(self._rooms_of.get(key, 0), ())
        return next((waiting for waiting in queue if waiting.key == key), None)

    def clear(self, room: int) -> list[Waiting]:
        """Nobody waits for that room any more; who did, in order."""
        return [self._remove(waiting) for waiting in tuple(self._queues.get(room, ()))]

    def clear_all(self) -> list[Waiting]:
        """Nobody waits any more; who did."""
        return [waiting for room in tuple(self._queues) for waiting in self.clear(room)]

    def everybody(self) -> list[Waiting]:
        """All that wait, room by room."""
        return [waiting for queue in self._queues.values() for waiting in queue]

    def overdue(self, now_ms: int) -> list[Waiting]:
        """Those that have waited long enough; they wait no more. To be called when the timer rang."""
        self._back_at = 0
        everybody = self.everybody()
        late = [waiting for waiting in everybody if waiting.until_ms <= now_ms]
        for waiting in late:
            self._remove(waiting)
        if len(late) < len(everybody):
            self._ring(min(waiting.until_ms for waiting in everybody if waiting.until_ms > now_ms))
        return late

    def _remove(self, waiting: Waiting) -> Waiting:
        room = self._rooms_of.pop(waiting.key)
        queue = self._queues[room]
        queue.remove(waiting)
        if not queue:
            del self._queues[room]
        return waiting

    def _ring(self, at_ms: int) -> None:
        if not self._back_at or at_ms < self._back_at:
            self._back_at = at_ms
            self._timers.add(at_ms, BACK, None)
