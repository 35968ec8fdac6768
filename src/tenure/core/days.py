"""One node over time: stretches with what is free during each, for each kind of job that may or may not use what is set aside.

Why rows of integers: a long queue asks each node for its first opening many times in a cycle. Invariant: a row is what is free then by
the time limits of what runs (an overdue end is expected in the next millisecond) minus all that is booked; of a part of a node that is
set aside, what its own people hold there counts first: others are left what they would be left if it were all in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tenure.core.columns import Bools, Ints
from tenure.core.feasibility import UNBOUNDED, Ask, NodeRoom
from tenure.core.rooms import FOREVER, NOBODY, Holding, Who
from tenure.model.allocation import DeviceShare
from tenure.model.amounts import MILLI, RESOURCES
from tenure.model.job import PendingJob
from tenure.model.window import TimeWindow, WindowPart

AMOUNTS = len(RESOURCES)

ALWAYS = 2**63 - 1
"""Later than every start, `FOREVER` included."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What a window sets aside of one node; ``column`` is the first of four with minus what its own people hold of the amounts."""

    window: TimeWindow
    part: WindowPart
    column: int


@dataclass(frozen=True, slots=True)
class Booking:
    """Room of one node that ``job_id`` is promised from ``start_ms`` to ``end_ms`` (`FOREVER`: nobody knows), beside at most ``most``
    tasks of its app in all (0: any number)."""

    job_id: int
    start_ms: int
    end_ms: int
    need: Sequence[int]
    devices: tuple[DeviceShare, ...]
    app: str = ""
    who: Who = NOBODY
    most: int = 0


def who_of(job: PendingJob) -> Who:
    """Whose job it is."""
    return Who(job.project, job.user)


class Days:
    """One node over time: stretch i lasts from ``starts[i]`` to the next start; row i of ``free`` has what is free during it: the
    amounts, then of each device the thousandths and then the bytes, then of each window minus what its people hold, then of each app
    minus its tasks. ``endless`` counts the bookings that start at `FOREVER`: nobody may outlast what they are promised, so every job
    runs through the last stretch as well. ``held``: all that is held now."""

    def __init__(
        self, room: NodeRoom, now_ms: int, held: Iterable[Holding], closed: Sequence[tuple[TimeWindow, WindowPart]] = ()
    ) -> None:
        self.node = room
        self.place = {device.id: AMOUNTS + position for position, device in enumerate(room.devices)}
        self.fixed = AMOUNTS + 2 * len(room.devices)
        self.closed = [Closed(*item, self.fixed + position * AMOUNTS) for position, item in enumerate(closed)]
        first = self.fixed + len(closed) * AMOUNTS
        self.apps = {app: first + position for position, app in enumerate(room.apps)}
        self.bookings: list[Booking] = []
        self.endless = 0
        self._views: dict[tuple[bool, ...], Ints] = {}
        self._left: dict[str, Ints] | None = None
        self._fill(now_ms, [(one.ends_ms, self.row_of(one.need, one.devices, one.app, one.who)) for one in held])
        for one in self.closed:
            self._cut(max(one.window.from_ms, now_ms))
            self._cut(max(one.window.until_ms, now_ms))

    def _fill(self, now_ms: int, held: Sequence[tuple[int, Ints]]) -> None:
        """The stretches by the ends of what is held now."""
        starts, rows = [now_ms], [self._row_of(self.node)]
        for _, row in held:
            rows[0][self.fixed : self.fixed + len(self.closed) * AMOUNTS] -= row[self.fixed : self.fixed + len(self.closed) * AMOUNTS]
        for end_ms, row in sorted(held, key=lambda item: item[0]):
            at_ms = max(end_ms, now_ms + 1)
            if at_ms > starts[-1]:
                starts.append(at_ms)
                rows.append(rows[-1].copy())
            rows[-1] += row
        self._count = len(starts)
        self._starts: Ints = np.array(starts * 2, dtype=np.int64)
        self._free: Ints = np.array(rows * 2, dtype=np.int64)

    @property
    def starts(self) -> Ints:
        """When each stretch begins, ascending."""
        return self._starts[: self._count]

    @property
    def free(self) -> Ints:
        """What is free during each stretch, one row for each."""
        return self._free[: self._count]

    def _row_of(self, room: NodeRoom) -> Ints:
        devices = room.devices
        numbers = [*room.free, *(device.free_milli for device in devices), *(device.free_memory_bytes for device in devices)]
        numbers += [*(0 for _ in self.closed for _ in range(AMOUNTS)), *(-count for count in room.apps.values())]
        return np.array(numbers, dtype=np.int64)

    def row_of(self, need: Sequence[int], devices: tuple[DeviceShare, ...], app: str, who: Who) -> Ints:
        """What a holding takes, as a row. A device that the node no longer has is passed over."""
        if app and app not in self.apps:
            self.apps[app] = self._free.shape[1]
            self._free = np.pad(self._free, ((0, 0), (0, 1)))
        row = np.zeros(self.fixed + len(self.closed) * AMOUNTS + len(self.apps), dtype=np.int64)
        row[:AMOUNTS] = need
        for one in self.closed:
            if one.window.admits(*who):
                row[one.column : one.column + AMOUNTS] = need
        if app:
            row[self.apps[app]] = 1
        for share in devices:
            at = self.place.get(share.device_id)
            if at is not None:
                row[at] += share.milli
                row[at + len(self.place)] += share.memory_bytes
        return row

    def add(self, start_ms: int, end_ms: int, row: Ints) -> None:
        """Let the row be free from one time to another; from `FOREVER` on there is no other."""
        first = self._cut(start_ms)
        last = len(self.starts) if start_ms >= FOREVER else self._cut(end_ms)
        self.free[first:last] += row
        self._views.clear()
        self._left = None

    def _cut(self, at_ms: int) -> int:
        """The position of the stretch that begins then; made if there is none."""
        position, count = self.at(at_ms), self._count
        if self._starts[position] == at_ms:
            return position
        if count == len(self._starts):
            self._starts, self._free = np.concatenate((self._starts,) * 2), np.concatenate((self._free,) * 2)
        position += 1
        self._starts[position + 1 : count + 1] = self._starts[position:count]
        self._free[position + 1 : count + 1] = self._free[position:count]
        self._starts[position], self._free[position] = at_ms, self._free[position - 1]
        self._count += 1
        self._views.clear()
        self._left = None
        return position

    def at(self, at_ms: int) -> int:
        """The position of the stretch that is under way then."""
        return max(int(self.starts.searchsorted(at_ms, side="right")) - 1, 0)

    def free_for(self, who: Who) -> Ints:
        """`free` without what is set aside for others."""
        if not self.closed:
            return self.free
        admitted = tuple(one.window.admits(*who) for one in self.closed)
        found = self._views.get(admitted)
        if found is None:
            found = self._views[admitted] = self.free.copy()
            for one, is_admitted in zip(self.closed, admitted, strict=True):
                if not is_admitted:
                    self._close(found, one)
        return found

    def _close(self, free: Ints, one: Closed) -> None:
        """Take away what a window sets aside, while it lasts."""
        during = (self.starts >= one.window.from_ms) & (self.starts < one.window.until_ms)
        if one.part.whole:
            free[during, : self.fixed] = -1
            return
        aside = np.array(one.part.amounts.as_tuple(), dtype=np.int64) + self.free[:, one.column : one.column + AMOUNTS]
        left = np.maximum(free[:, :AMOUNTS] - np.maximum(aside, 0), np.minimum(free[:, :AMOUNTS], 0))
        free[during, :AMOUNTS] = left[during]
        for device in one.part.devices:
            at = self.place.get(device)
            if at is not None:
                free[during, at] = free[during, at + len(self.place)] = 0

    def least(self, from_ms: int, limit_ms: int, who: Who = NOBODY) -> Ints:
        """What is free without a break from then on, for a job of that limit (0: none), as a row."""
        return self._least(self.free_for(who), from_ms, limit_ms)

    def _least(self, rows: Ints, from_ms: int, limit_ms: int) -> Ints:
        """The least of what each stretch has that such a job runs through."""
        first = self.at(from_ms)
        end_ms = from_ms + limit_ms if limit_ms and from_ms < FOREVER else FOREVER
        found: Ints = rows[first : max(int(self.starts.searchsorted(end_ms)), first + 1)].min(axis=0)
        return np.minimum(found, rows[-1]) if self.endless else found

    @property
    def left(self) -> dict[str, Ints]:
        """How many more tasks of an app those allow during each stretch that are promised room then and bear only so many."""
        if self._left is None:
            self._left = {}
            for one in self.bookings:
                if one.most:
                    during = (self.starts >= one.start_ms) & ((self.starts < one.end_ms) | (one.start_ms >= FOREVER))
                    places = np.where(during, one.most + self.free[:, self.apps[one.app]], UNBOUNDED)
                    self._left[one.app] = np.minimum(self._left.get(one.app, places), places)
        return self._left

    def left_over(self, app: str, from_ms: int, limit_ms: int) -> int:
        """The same without a break from then on, for a job of that limit (0: none)."""
        rows = self.left.get(app)
        return UNBOUNDED if rows is None else int(self._least(rows, from_ms, limit_ms))

    def over(self, from_ms: int, limit_ms: int, who: Who = NOBODY) -> NodeRoom:
        """The same as a room."""
        room = self._room(self.least(from_ms, limit_ms, who).tolist())
        if self.left:
            room.caps = {app: self.left_over(app, from_ms, limit_ms) + room.apps.get(app, 0) for app in self.left}
        return room

    def _room(self, row: list[int]) -> NodeRoom:
        room, count = self.node.copy(), len(self.place)
        room.free = row[:AMOUNTS]
        for position, device in enumerate(room.devices, AMOUNTS):
            device.free_milli, device.free_memory_bytes = row[position], row[position + count]
        room.apps = {app: -row[position] for app, position in self.apps.items() if row[position]}
        room.recount()
        return room

    def has_place(self, ask: Ask, who: Who) -> Bools:
        """Whether one task of the ask has room during each stretch by itself."""
        free = self.free_for(who)
        found: Bools = np.all(free[:, :AMOUNTS] >= ask.need, axis=1)
        if ask.wants_devices:
            devices, count = self.node.devices, len(self.place)
            milli, memory = free[:, AMOUNTS : AMOUNTS + count], free[:, AMOUNTS + count : self.fixed]
            known = [device.offered and ask.is_kind(device.model, device.capability) for device in devices]
            if ask.milli:
                usable = (milli >= ask.milli) & (memory >= [ask.memory_of(device.memory_bytes) for device in devices])
            else:
                known = [ok and device.memory_bytes >= ask.gpu_memory_bytes for ok, device in zip(known, devices, strict=True)]
                whole = np.array([max(device.capacity_milli, MILLI) for device in devices], dtype=np.int64)
                usable = (milli >= whole) & (memory >= [device.memory_bytes for device in devices])
            found = found & ((usable & np.array(known, dtype=np.bool_)).sum(axis=1) >= max(ask.whole, 1))
        if ask.max_per_node and ask.app in self.apps:
            found = found & (free[:, self.apps[ask.app]] > -ask.max_per_node)
        if ask.app in self.left:
            found = found & (self.left[ask.app] > 0)
        return found

    def openings(self, ask: Ask, limit_ms: int, who: Who, before_ms: int = ALWAYS) -> Ints:
        """The starts of stretches from which a task has room in each stretch it runs through, if perhaps not always on the same
        devices. Those from ``before_ms`` on are neither named nor looked at: the answer is then too long rather than too short."""
        starts, has_place = self.starts, self.has_place(ask, who)
        if self.endless and not has_place[-1]:
            return starts[:0]
        count = int(starts.searchsorted(before_ms))
        starts, has_place = starts[:count], has_place[:count]
        barred = np.flatnonzero(~has_place)
        ends = np.append(starts[barred], ALWAYS)[barred.searchsorted(np.arange(count))]
        enough = ends >= np.minimum(starts + limit_ms if limit_ms else FOREVER, before_ms)
        return starts[has_place & (enough | (starts >= FOREVER))]
