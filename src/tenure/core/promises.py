"""A promised start for every waiting job, and what may go ahead of all of them (conservative backfilling).

A. Mu'alem and D. Feitelson, IEEE TPDS 12(6), 2001. In a cycle: 1. The promises of the last plan are booked where they were; one whose
room is not there any more (a node is gone, somebody overruns) is made anew at once, those due first in front. 2. In the order of the
policy, each job starts if it has room over its whole time limit beside all promises; else its promise moves to the front as far as it
can, given all others (compression); a job without one is promised the first start there is. 3. Past the bound on promises a job
starts, or it waits without.

Invariant: no step makes a promise later that still has its room, so with kept time limits a promised start is never missed. What
depends on a job without a time limit cannot be promised a time; its room is kept for it once the head's would be
(`tenure.core.backfill`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.backfill import Window, reserve, window_of
from tenure.core.calendar import Calendar, Narrowed
from tenure.core.closed import closed_for
from tenure.core.columns import Ints
from tenure.core.days import Booking, who_of
from tenure.core.feasibility import Ask, NodeRoom, is_allowed
from tenure.core.placement import is_dealt_evenly
from tenure.core.rooms import FOREVER, Who
from tenure.core.turns import Turn, in_order, scores_of
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Reservation, Start
from tenure.model.reasons import Reserved, WouldDelay

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle
    from tenure.core.waiting import Group

Key = tuple[int, int]
"""(job id, position): -1 for a plain job."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A reservation as it is booked: one booking per placement. ``start_ms`` is `FOREVER` when unknown."""

    start_ms: int
    reservation: Reservation
    booked: tuple[tuple[int, Booking], ...]


class Promises:
    """The promises of one cycle, by job and position; made anew in each cycle, from those that the board remembers."""

    def __init__(self, cycle: Cycle, calendar: Calendar) -> None:
        self.cycle = cycle
        self.board = cycle.board
        self.calendar = calendar
        self.kept: dict[Key, Promise] = {}
        self.most = min(cycle.stages.backfill.reserve, self.board.settings.promises)
        self._started: dict[int, int] = {}
        self._in_vain: dict[tuple[int, int, Who], int] = {}

    def reservations(self) -> tuple[Reservation, ...]:
        """The promises as they stand, by job."""
        return tuple(self.kept[key].reservation for key in sorted(self.kept))

    @property
    def are_all_made(self) -> bool:
        """Whether nobody is promised anything more."""
        return len(self.kept) >= self.most

    def run(self) -> None:
        """What was promised is booked; then each job in turn: it starts, or it is promised a start."""
        cycle, board = self.cycle, self.board
        for reservation in sorted(board.promises, key=lambda item: (item.start_ms or FOREVER, item.job_id, item.position)):
            self._keep(reservation)
        shapes = [shape for shape in cycle.sought.shapes if cycle.possible.could_hold(shape)]
        cycle.candidates.refresh(shapes, board.asks)
        if cycle.contest is not None:
            turns = cycle.contest.turns()
        else:
            scores = scores_of(board, cycle.now_ms, cycle.stages.order)
            turns = cycle.walk(in_order(board.waiting, scores, shapes, lambda slots: np.ones(len(slots), dtype=np.bool_)))
        beyond = 0
        for turn in turns:
            if not self._take_turn(turn, cycle.group(turn[3]), board.waiting.rows[turn[2]]):
                break
            beyond += self.are_all_made
            if beyond >= board.settings.backfill_depth:
                break

    def _take_turn(self, turn: Turn, group: Group, job: PendingJob) -> bool:
        """Start a job, or as many elements of an array as may, or promise them a start; False when the budget is used up."""
        cycle = self.cycle
        for position in cycle.elements(job):
            if not cycle.budget.spend(1):
                cycle.truncated = cycle.budget.spent
                return False
            placements = self.consider(group, job, position)
            if placements is not None:
                cycle.starts.append(Start(job.id, placements, position))
                self._started[job.id] = self._started.get(job.id, 0) + 1
                if cycle.contest is not None and cycle.contest.goes_on(group, job):
                    cycle.contest.push(turn)
                    return True
                continue
            if (job.id, position) not in self.kept:
                break
            if cycle.window is None:
                cycle.window = self.window(job.id, position)
        cycle.done[group.slot] = cycle.done.get(group.slot, 0) + 1
        cycle.follow_up(group)
        return True

    def has_promised(self, job_id: int) -> bool:
        """Whether the job, or an element of the array, is promised a start."""
        return any(number == job_id for number, _ in self.kept)

    def has_started(self, job_id: int) -> bool:
        """Whether the job, or the whole rest of the array, starts in this cycle."""
        row = self.board.waiting.rows[job_id]
        return self._started.get(job_id, 0) >= min(row.array_left, row.array_room)

    def _keep(self, old: Reservation) -> None:
        """Book a promise of the last plan where it was, or as soon as there is room."""
        job = self.board.waiting.rows.get(old.job_id)
        if job is None or not self.board.waiting.is_ready(job) or self.are_all_made:
            return
        if old.position not in (self.cycle.positions(job.id) if job.is_array else (-1,)):
            return
        if self.cycle.contest is not None and self.cycle.contest.forbids(job, old.position):
            return
        start_ms = max(old.start_ms, self.cycle.now_ms) if old.start_ms else FOREVER
        if self._has_room(job, old.placements, start_ms):
            self._book(job, start_ms, Reservation(job.id, old.start_ms and start_ms, old.placements, old.position))
        else:
            self._promise(job, old.position)

    def _has_room(self, job: PendingJob, placements: tuple[Placement, ...], start_ms: int) -> bool:
        """Whether that still is a place for the job, from then on and over its limit."""
        ask, rooms = self.board.asks[job.shape], self.board.rooms
        node_ids = [placement.node_id for placement in placements]
        if len(placements) != ask.tasks or (ask.nodes and not is_dealt_evenly(ask, node_ids)):
            return False
        needs: dict[int, Ints] = {}
        for placement in placements:
            index = rooms.index.get(placement.node_id)
            if index is None or not _is_place(ask, placement, rooms.nodes[index]):
                return False
            row = self.calendar.days_of(index).row_of(ask.need, placement.devices, ask.app, who_of(job))
            needs[index] = needs[index] + row if index in needs else row
        return all(self.calendar.has_room(index, start_ms, job.limit_ms, need, ask, who_of(job)) for index, need in needs.items())

    def consider(self, group: Group, job: PendingJob, position: int) -> tuple[Placement, ...] | None:
        """The places of a job that starts now, or None, with a promise where there may be one more."""
        old, contest = self.kept.get((job.id, position)), self.cycle.contest
        if old is None and contest is not None and contest.forbids(job, position):
            return None
        if old is None and self.are_all_made:
            return self._start(group, job)
        if old is not None:
            if not self._may_improve(job, old):
                return None
            self._unbook(job, position)
        placements = self._start(group, job)
        if placements is None and old is not None and old.start_ms <= self.cycle.now_ms:
            placements = self._start_as_promised(group, job, old)
        if placements is None:
            self._improve(job, position, old)
        return placements

    def _start_as_promised(self, group: Group, job: PendingJob, due: Promise) -> tuple[Placement, ...]:
        """Hold the room that was promised from now on. Elsewhere nobody starts where others wait for room at an unknown time (their
        bookings begin at `FOREVER`): one of these, made after this promise, would else keep it from being kept for ever."""
        placements = due.reservation.placements
        self.cycle.keep(job.id, group.limit_ms, self.board.asks[job.shape], placements)
        return placements

    def _may_improve(self, job: PendingJob, old: Promise) -> bool:
        """False when nothing before the promised start could be one: the usual case, and soon seen. Not of a job without a limit: its
        own promise would stand in its way for ever."""
        if not job.limit_ms:
            return True
        ask, rooms, days = self.board.asks[job.shape], self.board.rooms, self.calendar.days
        if old.start_ms <= self.cycle.now_ms or ask.tasks > 1 or len(days) < len(rooms.nodes):
            return True
        return any(len(node.openings(ask, job.limit_ms, who_of(job), old.start_ms)) for node in days.values())

    def _start(self, group: Group, job: PendingJob) -> tuple[Placement, ...] | None:
        """Hold the room of a job that can run to its end beside all promises."""
        kind, calendar = (job.shape, job.limit_ms, who_of(job)), self.calendar
        if self._in_vain.get(kind) == calendar.freed:
            return None
        spare = Narrowed(calendar, job.limit_ms, who_of(job))
        layout = self.cycle.find_beside(job.shape, spare)
        if layout is None:
            self._in_vain[kind] = calendar.freed
            return None
        return self.cycle.hold(group, job.id, layout, spare)

    def _improve(self, job: PendingJob, position: int, old: Promise | None) -> None:
        """Promise the job the first start there is; what it was promised before stands unless the new one is earlier."""
        window = self._reserve(job)
        if old is not None and (window is None or window.start_ms >= old.start_ms):
            self._book(job, old.start_ms, old.reservation)
        elif window is not None and window.firm:
            self._book_window(job, position, window)

    def _promise(self, job: PendingJob, position: int) -> None:
        window = self._reserve(job)
        if window is not None and window.firm:
            self._book_window(job, position, window)

    def _reserve(self, job: PendingJob) -> Window | None:
        cycle = self.cycle
        table = None if cycle.few_nodes else cycle.candidates.table
        return reserve(self.board, self.board.asks[job.shape], job.id, cycle.candidates.score, cycle.now_ms, table, self.calendar)

    def _book_window(self, job: PendingJob, position: int, window: Window) -> None:
        found = window.reservation
        self._book(job, window.start_ms, Reservation(job.id, found.start_ms, found.placements, position))

    def _book(self, job: PendingJob, start_ms: int, reservation: Reservation) -> None:
        ask, rooms = self.board.asks[job.shape], self.board.rooms
        end_ms = start_ms + job.limit_ms if job.limit_ms and start_ms < FOREVER else FOREVER
        booked = tuple(
            (
                rooms.index[placement.node_id],
                Booking(job.id, start_ms, end_ms, ask.need, placement.devices, ask.app, who_of(job), ask.max_per_node),
            )
            for placement in reservation.placements
        )
        for index, booking in booked:
            self.calendar.book(index, booking)
        self.kept[job.id, reservation.position] = Promise(start_ms, reservation, booked)

    def _unbook(self, job: PendingJob, position: int) -> None:
        for index, booking in self.kept.pop((job.id, position)).booked:
            self.calendar.unbook(index, booking)

    def window(self, job_id: int, position: int) -> Window:
        """A promise as the reservation of the head."""
        return window_of(self.board, self.kept[job_id, position].reservation, self.cycle.now_ms, {}, {})

    def start_of(self, job_id: int) -> int:
        """When the job, or the first element of the array, is promised to start; 0 for no promise or an unknown time."""
        times = [promise.reservation.start_ms for (number, _), promise in self.kept.items() if number == job_id]
        return min((at_ms for at_ms in times if at_ms), default=0)

    def in_the_way(self, job: PendingJob) -> WouldDelay | Reserved | None:
        """Whose promise, or which window, keeps a job from starting that would have room now; None when there is no room."""
        layout = self.cycle.find_beside(job.shape, {})
        if layout is None:
            return None
        closed = closed_for(self.cycle, job, layout)
        days = self.calendar.days
        bookings = [booking for index, _ in layout if index in days for booking in days[index].bookings]
        first = min(bookings, key=lambda booking: (booking.start_ms, booking.job_id), default=None)
        if closed is not None and (first is None or closed.from_ms <= first.start_ms):
            return closed
        return None if first is None else WouldDelay(first.job_id, first.start_ms if first.start_ms < FOREVER else 0)


def _is_place(ask: Ask, placement: Placement, room: NodeRoom) -> bool:
    """Whether that placement still is one for a task of that ask, however full the node is."""
    wanted = ask.whole or (1 if ask.milli else 0)
    if not is_allowed(ask, room) or len({share.device_id for share in placement.devices}) != wanted:
        return False
    devices = {device.id: device for device in room.devices} if wanted else {}
    for share in placement.devices:
        device = devices.get(share.device_id)
        if device is None or not device.offered or not ask.is_kind(device.model, device.capability):
            return False
        if (share.milli, share.memory_bytes) != ask.share_of(device.memory_bytes) or device.memory_bytes < ask.gpu_memory_bytes:
            return False
    return True
