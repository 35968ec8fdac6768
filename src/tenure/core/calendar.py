"""What is free of the nodes and when, once room is promised or set aside from some later time on: the profile for planning past that.

Otherwise room only grows as running jobs end, and `tenure.core.backfill.steps` follows it from end to end. A promise or a window
(`tenure.model.window`) takes room away again, from its start to its end, so a node that has any is kept here as `tenure.core.days`. A
job needs its amounts, and the same devices, over all the time it may run. What is set aside is free for those alone who may use it.
One calendar serves one cycle. Invariant: `book` and `unbook` are exact inverses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tenure.core.columns import Ints
from tenure.core.days import Booking, Days
from tenure.core.feasibility import UNBOUNDED, Ask, NodeRoom, count_tasks, fits, is_allowed
from tenure.core.rooms import FOREVER, Rooms, Who
from tenure.model.allocation import DeviceShare
from tenure.model.window import TimeWindow, WindowPart

Step = tuple[int, int, int]
"""(time, node index, tasks that may start there then)."""


def common_room(first: NodeRoom, second: NodeRoom) -> NodeRoom:
    """What is free in both rooms of the same node: the smaller of each amount, per device."""
    both = first.copy()
    both.free = [min(pair) for pair in zip(first.free, second.free, strict=True)]
    for device, other in zip(both.devices, second.devices, strict=True):
        device.free_milli = min(device.free_milli, other.free_milli)
        device.free_memory_bytes = min(device.free_memory_bytes, other.free_memory_bytes)
    both.apps = {app: max(first.apps.get(app, 0), second.apps.get(app, 0)) for app in {**first.apps, **second.apps}}
    both.caps = {app: min(_left(first, app), _left(second, app)) + both.apps.get(app, 0) for app in {**first.caps, **second.caps}}
    both.recount()
    return both


def _left(room: NodeRoom, app: str) -> int:
    """How many more tasks of an app those allow that are promised room beside."""
    return room.caps[app] - room.apps.get(app, 0) if app in room.caps else UNBOUNDED


class Narrowed(Mapping[int, NodeRoom]):
    """What a job of a limit may take now of each booked node; worked out where somebody looks."""

    def __init__(self, calendar: Calendar, limit_ms: int, who: Who) -> None:
        self._calendar = calendar
        self._limit_ms = limit_ms
        self._who = who
        self._known: dict[int, NodeRoom] = {}

    def __contains__(self, index: object) -> bool:
        return index in self._calendar.days

    def __getitem__(self, index: int) -> NodeRoom:
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self._calendar.days[index].over(self._calendar.now_ms, self._limit_ms, self._who)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._calendar.days)

    def __len__(self) -> int:
        return len(self._calendar.days)


class Layered(Mapping[int, NodeRoom]):
    """Two readings of what may be taken of some nodes: both hold."""

    def __init__(self, first: Mapping[int, NodeRoom], second: Mapping[int, NodeRoom]) -> None:
        self._first = first
        self._second = second

    def __contains__(self, index: object) -> bool:
        return index in self._first or index in self._second

    def __getitem__(self, index: int) -> NodeRoom:
        if index not in self._first:
            return self._second[index]
        return common_room(self._first[index], self._second[index]) if index in self._second else self._first[index]

    def __iter__(self) -> Iterator[int]:
        return iter({**dict.fromkeys(self._first), **dict.fromkeys(self._second)})

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Calendar:
    """The nodes on which something is booked or set aside, by index; of others `Rooms` tells everything.

    ``rooms`` must not change on such a node but through `start`. ``freed`` counts what was unbooked: as
    long as it stays the same, room only shrinks.
    """

    def __init__(self, rooms: Rooms, now_ms: int, windows: Sequence[TimeWindow]) -> None:
        self.rooms = rooms
        self.now_ms = now_ms
        self.freed = 0
        self.days: dict[int, Days] = {}
        self._closed: dict[int, list[tuple[TimeWindow, WindowPart]]] = {}
        for window in windows:
            for part in window.parts:
                index = rooms.index.get(part.node_id)
                if index is not None and window.until_ms > now_ms:
                    self._closed.setdefault(index, []).append((window, part))
        for index in sorted(self._closed):
            self.days_of(index)

    def days_of(self, index: int) -> Days:
        """A node over time; from now on it counts as one on which something is booked."""
        days = self.days.get(index)
        if days is None:
            days = self.days[index] = self._open(index)
        return days

    def book(self, index: int, booking: Booking) -> None:
        """Promise room. A booking that starts at `FOREVER` is for when all is over that has no time limit."""
        days = self.days_of(index)
        days.bookings.append(booking)
        days.endless += booking.start_ms >= FOREVER
        days.add(booking.start_ms, booking.end_ms, -days.row_of(booking.need, booking.devices, booking.app, booking.who))

    def unbook(self, index: int, booking: Booking) -> None:
        """The inverse of `book`."""
        days = self.days[index]
        days.bookings.remove(booking)
        days.endless -= booking.start_ms >= FOREVER
        days.add(booking.start_ms, booking.end_ms, days.row_of(booking.need, booking.devices, booking.app, booking.who))
        self.freed += 1

    def start(self, index: int, end_ms: int, ask: Ask, devices: tuple[DeviceShare, ...], who: Who) -> None:
        """A task holds room from now on, in `Rooms` as well."""
        days = self.days.get(index)
        if days is not None:
            days.add(self.now_ms, end_ms, -days.row_of(ask.need, devices, ask.app, who))

    def __contains__(self, index: object) -> bool:
        return index in self.days

    def over(self, index: int, from_ms: int, limit_ms: int, who: Who) -> NodeRoom:
        """What is free of a node without a break from then on, for a job of that limit (0: none)."""
        days = self.days.get(index)
        if days is not None:
            return days.over(from_ms, limit_ms, who)
        return self.rooms.until(index, from_ms) if from_ms > self.now_ms else self.rooms.nodes[index].copy()

    def steps(self, index: int, ask: Ask, limit_ms: int, who: Who) -> list[Step]:
        """How many tasks of a job of that limit could start on a booked node when; of a single task, its first start."""
        days = self.days[index]
        if not is_allowed(ask, days.node):
            return []
        if ask.tasks == 1:
            times = days.openings(ask, limit_ms, who).tolist()
            first = next((at for at in times if not ask.wants_devices or fits(ask, days.over(at, limit_ms, who))), None)
            return [] if first is None else [(first, index, 1)]
        found: list[Step] = []
        for at_ms in _turning_points(days, limit_ms):
            count = count_tasks(ask, days.over(at_ms, limit_ms, who), ask.tasks)
            if count != (found[-1][2] if found else 0):
                found.append((at_ms, index, count))
        return found

    def has_room(self, index: int, start_ms: int, limit_ms: int, need: Ints, ask: Ask, who: Who) -> bool:
        """Whether a row, that of some tasks of the ask, is free of a node without a break from then on."""
        days = self.days_of(index)
        left = days.least(start_ms, limit_ms, who) - need
        if ask.app:
            tasks, count = int(need[days.apps[ask.app]]), -int(left[days.apps[ask.app]])
            if count > (ask.max_per_node or count) or tasks > days.left_over(ask.app, start_ms, limit_ms):
                return False
        return bool(np.all(left[: days.fixed] >= 0))

    def longest_ms(self, index: int, ask: Ask, who: Who) -> int:
        """For how long one task could run on a booked node from now: 0 where it does not fit now, `FOREVER` where nothing ends it."""
        days = self.days[index]
        for at_ms in days.starts.tolist():
            limit_ms = at_ms - self.now_ms + 1 if at_ms < FOREVER else 0
            if not fits(ask, days.over(self.now_ms, limit_ms, who)):
                return max(limit_ms - 1, 0)
        return FOREVER

    def longest_of_all(self, ask: Ask, who: Who) -> int:
        """How long a task may run, at most, to start now on a booked node; 0 for not at all, or without bounds."""
        spans = [self.longest_ms(index, ask, who) for index in self.days]
        return max((span for span in spans if span < FOREVER), default=0)

    def _open(self, index: int) -> Days:
        """A node on which nothing is booked yet."""
        return Days(self.rooms.nodes[index], self.now_ms, self.rooms.holdings[index].values(), self._closed.get(index, ()))

    def in_the_way(self, index: int, limit_ms: int, who: Who) -> list[TimeWindow]:
        """The windows on a node that keep such a job from starting now, the first in front."""
        windows = [
            window for window, _ in self._closed.get(index, ()) if window.meets(self.now_ms, limit_ms) and not window.admits(*who)
        ]
        return sorted(windows, key=lambda window: (window.from_ms, window.id))


def _turning_points(days: Days, limit_ms: int) -> list[int]:
    """The starts at which a job may find other room than just before: when a stretch begins, and from when on it runs into one."""
    found = set(days.starts.tolist())
    if limit_ms:
        first = int(days.starts[0])
        found |= {at_ms - limit_ms + 1 for at_ms in days.starts.tolist() if first < at_ms - limit_ms + 1 < FOREVER - limit_ms}
    return sorted(found)
