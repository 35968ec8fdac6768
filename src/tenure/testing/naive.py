"""A scheduler as simple as it can be, to compare the real one with.

No board, no groups, no rows of scores, no trials: it sorts all jobs, tries each in turn on rooms it adds up anew, and copies what it
wants to change. It is quadratic and obviously right; property tests demand that the real planner gives the same plan. It shares with
it only the judgement of one task on one node, the score of a placement and the split of a gang, which have tests of their own. It knows
neither claims nor who makes them: what displaces has tests of its own too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tenure.core.feasibility import Ask, NodeRoom, ask_of, count_tasks, lack, node_room, take
from tenure.core.placement import Layout, Option, arrange, deal
from tenure.core.possible import nearest, obstacle
from tenure.core.rooms import FOREVER
from tenure.core.stages import Stages
from tenure.core.wishes import wished
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Decision, Hold, Plan, Reservation, Start
from tenure.model.reasons import BetterPlace, Capacity, MaximumReached, QuotaReached, Reason, WouldDelay
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.testing.naive_orders import score_of
from tenure.testing.naive_parts import Use, is_guarded, is_ready, may_start, uses_of
from tenure.testing.naive_shares import Tally


@dataclass(slots=True)
class _Reserved:
    """The head's reservation: when, and what stays free of its nodes then; ``firm`` if it is protected."""

    reservation: Reservation
    start_ms: int
    extra: dict[int, NodeRoom]
    before: dict[int, NodeRoom]
    firm: bool


def naive_plan(snapshot: Snapshot, stages: Stages) -> Plan:
    """The plan of a snapshot. Its units are not counted: compare decisions, holds, reservation and next time."""
    return _Naive(snapshot, stages).run()


@dataclass(slots=True)
class _Naive:
    snapshot: Snapshot
    stages: Stages
    uses: list[Use] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    reserved: _Reserved | None = None
    waiting: list[PendingJob] = field(default_factory=list)
    tally: Tally = field(init=False)
    wishing: dict[int, int] = field(default_factory=dict)

    def run(self) -> Plan:
        self.uses = list(uses_of(self.snapshot))
        queue = [job for job in self.snapshot.pending.jobs() if is_ready(self.snapshot, job)]
        self.tally = Tally(self.snapshot, self.stages.order.name)
        while queue:
            queue.sort(key=self._turn)
            if self.reserved is not None and not self.stages.backfill.passing:
                self.waiting += queue
                break
            if self.reserved is not None and self.stages.backfill.candidates is not None:
                queue.sort(key=self._turn_behind)
            self._consider(queue)
        later = [
            job.eligible_ms for job in self.snapshot.pending.jobs() if may_start(self.snapshot, job) and job.eligible_ms > self.now_ms
        ]
        return Plan(
            base_revision=self.snapshot.revision,
            decisions=tuple(Decision(starts=(start,)) for start in self.starts),
            holds=tuple(self._holds()),
            reservation=self.reserved.reservation if self.reserved else None,
            next_ms=min([*later, *self.wishing.values()], default=0),
        )

    @property
    def now_ms(self) -> int:
        return self.snapshot.now_ms

    def _turn(self, job: PendingJob) -> tuple[float, ...]:
        if is_guarded(self.snapshot, job):
            return (0, job.submitted_ms, job.id)
        score = score_of(self.stages.order.name, job, self.snapshot)
        return (1, self.tally.is_borrower(job), *self.tally.standing(job), -score, job.submitted_ms, job.id)

    def _turn_behind(self, job: PendingJob) -> tuple[float, ...]:
        behind = self.stages.backfill.candidates
        assert behind is not None
        if is_guarded(self.snapshot, job):
            return (0, job.submitted_ms, job.id)
        return (1, self.tally.is_borrower(job), -score_of(behind.name, job, self.snapshot), job.submitted_ms, job.id)

    def _rooms(self, at_ms: int) -> dict[int, NodeRoom]:
        """Every node as it is at that time: what ends by then is gone."""
        rooms = {node.id: node_room(node) for node in self.snapshot.nodes}
        for use in self.uses:
            if use.node_id in rooms and (use.end_ms > at_ms or at_ms <= self.now_ms):
                take(rooms[use.node_id], use.need, use.devices, use.app)
        return rooms

    def _consider(self, queue: list[PendingJob]) -> None:
        """Let the first of the queue have one turn: one run, of an array one element."""
        job = queue.pop(0)
        position = job.array_next
        while position in self.snapshot.touched.get(job.id, ()):
            position += 1
        is_barred = self.tally.bar(job) is not None
        if is_barred:
            self._keep_bound(job)
        elif self._held_back(job) is not None:
            self.waiting.append(job)
            return
        until_ms = 0 if is_barred else self._wishes_until(job)
        if until_ms:
            self.wishing[job.shape] = min(until_ms, self.wishing.get(job.shape, until_ms))
            self.waiting.append(job)
            return
        placements = None if is_barred else self._place(job)
        if placements is None:
            self.waiting.append(job)
            self._reserve(job)
            return
        self.starts.append(Start(job.id, placements, position if job.is_array else -1))
        self.tally.started(job)
        if job.is_array and min(job.array_left, job.array_room) > 1:
            rest = replace(job, array_next=position + 1, array_left=job.array_left - 1, array_room=job.array_room - 1)
            queue.append(rest)

    def _keep_bound(self, job: PendingJob) -> None:
        """A job above its project's bound that has waited long: what the project may hold is kept for it as it comes free."""
        is_old = self.now_ms - job.submitted_ms >= self.snapshot.settings.wait_full_ms or is_guarded(self.snapshot, job)
        is_possible = obstacle(ask_of(self.snapshot.shapes[job.shape]), self.snapshot.nodes) is None
        if is_old and is_possible and (self.stages.backfill.reserve or is_guarded(self.snapshot, job)):
            self.tally.keep(job)

    def _held_back(self, job: PendingJob) -> WouldDelay | None:
        """For whose sake its project does not let it start."""
        made = self.reserved.reservation if self.reserved is not None and self._is_careful(job) else None
        found = self.tally.held_back(job, self.snapshot.job(made.job_id) if made is not None else None)
        return WouldDelay(found, made.start_ms if made is not None and made.job_id == found else 0) if found else None

    def _place(self, job: PendingJob) -> tuple[Placement, ...] | None:
        ask = ask_of(self.snapshot.shapes[job.shape])
        if self.reserved is not None and not self._is_short(job):
            layout = self._layout(self.snapshot.shapes[job.shape], careful=True) if self.stages.backfill.beside else None
            if layout is not None:
                placements = self._take(job, ask, layout, careful=True)
                for place in placements:
                    if place.node_id in self.reserved.extra:
                        take(self.reserved.extra[place.node_id], ask.need, place.devices, ask.app)
                return placements
            if self.reserved.firm:
                return None
        layout = self._layout(self.snapshot.shapes[job.shape], careful=False)
        return None if layout is None else self._take(job, ask, layout, careful=False)

    def _is_short(self, job: PendingJob) -> bool:
        """Whether the job is gone when the reservation begins."""
        reserved = self.reserved
        return reserved is not None and reserved.start_ms < FOREVER and 0 < job.limit_ms <= reserved.start_ms - self.now_ms

    def _is_careful(self, job: PendingJob) -> bool:
        """Whether the job must leave what is reserved alone."""
        return self.reserved is not None and self.reserved.firm and not self._is_short(job)

    def _usable(self, *, careful: bool) -> dict[int, NodeRoom]:
        """The rooms now; ``careful``: on reserved nodes only what is free beside the reservation as well."""
        rooms = self._rooms(self.now_ms)
        if careful and self.reserved is not None:
            for node_id, extra in self.reserved.extra.items():
                room = rooms[node_id]
                room.free = [min(pair) for pair in zip(room.free, extra.free, strict=True)]
                room.apps = {app: max(room.apps.get(app, 0), extra.apps.get(app, 0)) for app in sorted({*room.apps, *extra.apps})}
                room.caps = {app: most - extra.apps[app] + room.apps[app] for app, most in extra.caps.items()}
                for device, other in zip(room.devices, extra.devices, strict=True):
                    device.free_milli = min(device.free_milli, other.free_milli)
                    device.free_memory_bytes = min(device.free_memory_bytes, other.free_memory_bytes)
                room.recount()
        return rooms

    def _layout(self, shape: Shape, *, careful: bool) -> Layout | None:
        """The best arrangement where the tasks wish to be, else elsewhere."""
        asks = [wished(shape), ask_of(shape)] if shape.prefer else [ask_of(shape)]
        return next(filter(None, (self._arrange(ask, careful=careful) for ask in asks)), None)

    def _wishes_until(self, job: PendingJob) -> int:
        """Until when a job that could start waits for the place it wishes for; 0 where it does not."""
        shape = self.snapshot.shapes[job.shape]
        until_ms = job.submitted_ms + shape.prefer_wait_ms
        if not self.stages.delays or not shape.prefer or until_ms <= self.now_ms:
            return 0
        places = [self._arrange(ask, careful=self._is_careful(job)) for ask in (wished(shape), ask_of(shape))]
        return until_ms if places[0] is None and places[1] is not None else 0

    def _arrange(self, ask: Ask, *, careful: bool) -> Layout | None:
        """(node id, tasks) of the best arrangement; ranked by the score on the node as it is now."""
        now = self._rooms(self.now_ms)
        usable = self._usable(careful=careful)
        options = [
            Option(self.stages.score.score(ask, now[node_id]), node_id, count)
            for node_id in sorted(usable)
            if (count := count_tasks(ask, usable[node_id], ask.tasks))
        ]
        return arrange(ask, options)

    def _take(self, job: PendingJob, ask: Ask, layout: Layout, *, careful: bool) -> tuple[Placement, ...]:
        placements = deal(ask, layout, self._usable(careful=careful))
        ends_ms = self.now_ms + job.limit_ms if job.limit_ms else FOREVER
        self.uses += [Use(place.node_id, ends_ms, ask.need, place.devices, ask.app) for place in placements]
        return placements

    def _reserve(self, job: PendingJob) -> None:
        """Reserve for the first job that does not fit now and could with all others gone: at the first end after which it fits."""
        ask = ask_of(self.snapshot.shapes[job.shape])
        impossible = obstacle(ask, self.snapshot.nodes) is not None
        reserves = self.stages.backfill.reserve or is_guarded(self.snapshot, job)
        if self.reserved is not None or not reserves or impossible or self.tally.bar(job):
            return
        times = sorted({max(use.end_ms, self.now_ms + 1) for use in self.uses})
        for at_ms in times:
            rooms = self._rooms(at_ms)
            options = [
                Option(self._rank(ask, node_id, rooms, at_ms), node_id, count)
                for node_id in sorted(rooms)
                if (count := count_tasks(ask, rooms[node_id], ask.tasks))
            ]
            layout = arrange(ask, options)
            if layout is not None:
                self._keep(job, ask, layout, at_ms, rooms)
                return

    def _rank(self, ask: Ask, node_id: int, rooms: dict[int, NodeRoom], at_ms: int) -> int:
        if at_ms < FOREVER:
            return self.stages.score.score(ask, rooms[node_id])
        return lack(ask, self._rooms(self.now_ms)[node_id])

    def _keep(self, job: PendingJob, ask: Ask, layout: Layout, at_ms: int, rooms: dict[int, NodeRoom]) -> None:
        now = self._rooms(self.now_ms)
        before = {node_id: now[node_id] for node_id, _ in layout}
        extra = {node_id: rooms[node_id] for node_id, _ in layout}
        placements = deal(ask, layout, extra)
        for room in extra.values():
            room.caps = {ask.app: ask.max_per_node} if ask.max_per_node else {}
        known = at_ms < FOREVER
        firm = known or self.now_ms - job.submitted_ms >= self.snapshot.settings.wait_full_ms or is_guarded(self.snapshot, job)
        self.reserved = _Reserved(Reservation(job.id, at_ms if known else 0, placements), at_ms, extra, before, firm)

    def _holds(self) -> Iterator[Hold]:
        """One per shape, queue and cause, by the lowest job."""
        found: dict[tuple[int, int, str, int], Hold] = {}
        reserved = self.reserved
        for job in sorted(self.waiting, key=lambda job: job.id):
            reason = self._reason(job)
            if (
                isinstance(reason, Capacity)
                and self._layout(self.snapshot.shapes[job.shape], careful=self._is_careful(job)) is not None
            ):
                reason = self._held_back(job) or reason
            if isinstance(reason, Capacity) and reserved is not None:
                head = self.snapshot.job(reserved.reservation.job_id)
                if head is not None and (head.shape, head.queue) == (job.shape, job.queue):
                    reason = Capacity(reason.node_id, reason.short, reserved.reservation.start_ms)
            concerns = job.project if isinstance(reason, MaximumReached | QuotaReached) else 0
            found.setdefault((job.shape, job.queue, reason.code, concerns), Hold(job.shape, job.queue, reason, job.id, concerns))
        yield from found.values()

    def _is_kept_back(self, job: PendingJob) -> bool:
        """Whether the policy lets such a job not go ahead of the head even where there is room for both."""
        backfill = self.stages.backfill
        return not backfill.passing or (self._is_careful(job) and not backfill.beside)

    def _reason(self, job: PendingJob) -> Reason:
        ask = ask_of(self.snapshot.shapes[job.shape])
        impossible = obstacle(ask, self.snapshot.nodes)
        if impossible is not None:
            return impossible
        bar = self.tally.bar(job)
        if bar is not None:
            return bar
        if job.shape in self.wishing and self._layout(self.snapshot.shapes[job.shape], careful=self._is_careful(job)) is not None:
            return BetterPlace(self.wishing[job.shape])
        reserved = self.reserved
        if reserved is not None and self._is_kept_back(job):
            if self._layout(self.snapshot.shapes[job.shape], careful=False) is not None:
                return WouldDelay(reserved.reservation.job_id, reserved.reservation.start_ms)
        elif reserved is not None and reserved.firm and not self._is_short(job):
            counts = [Option(0, i, count_tasks(ask, room, ask.tasks)) for i, room in reserved.before.items()]
            if self._layout(self.snapshot.shapes[job.shape], careful=False) is not None or arrange(ask, counts) is not None:
                return WouldDelay(reserved.reservation.job_id, reserved.reservation.start_ms)
        rooms = self._rooms(self.now_ms)
        return Capacity(*nearest(ask, [rooms[node_id] for node_id in sorted(rooms)]))
