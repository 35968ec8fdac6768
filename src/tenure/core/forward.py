"""When waiting jobs will start if nothing unforeseen happens: runs take all of their time limit, nobody new arrives.

The cycle that plans is run again and again on the same board, from end to end of the running jobs; nothing here decides anything by
itself, so an expected start is what the planner would do, only that nobody is displaced; where it promises starts, the promise is the
answer. Jobs without a limit never end here; a job that still waits at its deadline is cancelled. Pure: the board is as before
afterwards. Bounded by a budget: what was not reached is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import islice

import numpy as np

from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.cycle import plan_on_board
from tenure.core.days import who_of
from tenure.core.ledger import NOTHING, Account, asked_by, held_by
from tenure.core.mix import CACHE, ENOUGH
from tenure.core.possible import Possible
from tenure.core.quotas import Quotas
from tenure.core.rooms import CLAIMED, FORESEEN, FOREVER, RUNNING, Holding, Key
from tenure.core.stages import Stages
from tenure.core.turns import in_order, scores_of, scores_within
from tenure.model.explanation import UnknownStart
from tenure.model.job import PendingJob, limit_until
from tenure.model.plan import Plan, Reservation, Start
from tenure.model.project import Bundle
from tenure.model.reasons import NeverFits

Planning = Callable[[Board, int, UnitBudget], Plan]
"""How a policy plans that chooses its stages anew in each cycle; it displaces nobody."""

ROUNDS = 1000
"""So many points in time are looked at, at most."""

HORIZON_UNITS = 200_000
"""The usual budget of one look ahead."""

ROUND_UNITS = 16
"""What planning at one point in time costs at least; each node and each group of waiting jobs costs one more."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Expected starts by job id; jobs that were asked for and are not in ``starts`` are in ``unknown`` with the reason."""

    starts: dict[int, int] = field(default_factory=dict)
    unknown: dict[int, UnknownStart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class _End:
    """Something ends: which holdings go, from whose account, and to which array (0: none) a place for one more element comes back.
    ``runs`` is its number among those who run."""

    at_ms: int
    order: int
    places: tuple[tuple[int, Key], ...] = field(compare=False)
    array_id: int = field(compare=False, default=0)
    account: Account = field(compare=False, default=(0, 0))
    bundle: Bundle = field(compare=False, default=NOTHING)
    runs: int = field(compare=False, default=0)


def look_ahead(
    board: Board, now_ms: int, stages: Stages, wanted: Collection[int], units: int = HORIZON_UNITS, planning: Planning | None = None
) -> Timeline:
    """When each of these waiting jobs (an array: its first element) should start. Raises KeyError for a job that does not wait.

    ``planning`` plans instead of the ``stages`` where these change from cycle to cycle.
    """
    peaceful = replace(stages, reclaim=None)

    def usual(board: Board, at_ms: int, budget: UnitBudget) -> Plan:
        return plan_on_board(board, at_ms, peaceful, budget)

    ahead = _Ahead(board, now_ms, planning or usual, {job_id: board.waiting.rows[job_id] for job_id in wanted})
    promised = board.claims, board.standing
    mark, ledger, promises, census, mix = board.mark(), board.ledger, board.promises, board.census, board.caches.get(CACHE)
    board.ledger = ledger.copy()
    if ahead.counts:
        board.census = census.copy()
    try:
        return ahead.run(UnitBudget(units))
    finally:
        board.rollback(mark)
        board.ledger, board.census, board.promises = ledger, census, promises
        board.caches.pop(CACHE, None)
        if mix is not None:
            board.caches[CACHE] = mix
        for row in ahead.changed.values():
            board.waiting.put(row, board.asks)
        board.recall(*promised)
        board.waiting.move_to(now_ms, board.asks)


class _Ahead:
    """One look ahead; used once. ``counts``: who is foreseen to run changes what is asked for (`tenure.core.mix`). It does while few
    run; of many it is taken to stay as it is, for each change of it has every place judged anew."""

    def __init__(self, board: Board, now_ms: int, planning: Planning, wanted: dict[int, PendingJob]) -> None:
        self.board = board
        self.now_ms = now_ms
        self.planning = planning
        self.wanted = wanted
        self.awaited = [job_id for job_id, job in wanted.items() if self._hopeless(job) is None]
        self.starts: dict[int, int] = {}
        self.promised: dict[int, int] = {}
        self.changed: dict[int, PendingJob] = {}
        self.serial = 0
        self.counts = len(board.census) < ENOUGH
        self.ends = self._known_ends()
        self.deadlines = [(job.deadline_ms, job.id) for job in board.waiting.rows.values() if job.deadline_ms]
        heapify(self.deadlines)
        self.missed: set[int] = set()

    def _known_ends(self) -> list[_End]:
        """The ends of running jobs, as a heap; claims end by being redeemed, or at their deadline."""
        places: dict[tuple[int, int], list[tuple[int, Key]]] = {}
        times: dict[tuple[int, int], int] = {}
        for index, holdings in enumerate(self.board.rooms.holdings):
            for key, holding in holdings.items():
                if holding.ends_ms < FOREVER and key[0] != CLAIMED:
                    places.setdefault(key[:2], []).append((index, key))
                    times[key[:2]] = holding.ends_ms
        ends = [self._end_of(owner, times[owner], tuple(places[owner])) for owner in sorted(places)]
        heapify(ends)
        return ends

    def _end_of(self, owner: tuple[int, int], at_ms: int, places: tuple[tuple[int, Key], ...]) -> _End:
        job = self.board.running.get(owner[1]) if owner[0] == RUNNING else None
        if job is None:
            return _End(at_ms, 0, places)
        return _End(at_ms, 0, places, job.array_id, (job.project, job.user), held_by(job), job.id)

    def run(self, budget: UnitBudget) -> Timeline:
        """Go from event to event until every wanted job has started, nothing more happens or the budget is used up."""
        at_ms, complete = self.now_ms, False
        for _ in range(ROUNDS):
            if not budget.spend(ROUND_UNITS + len(self.board.nodes) + len(self.board.waiting.groups)):
                break
            plan = self.planning(self.board, at_ms, budget)
            for decision in plan.decisions:
                for start in decision.starts:
                    self._apply(start, at_ms)
            if plan.truncated_at is not None:
                break
            self.board.promises = plan.promises
            self._note(plan.promises)
            self._cancel(at_ms)
            following = self._next(at_ms, plan.next_ms)
            known = {*self.starts, *self.missed, *self.promised}
            complete = following is None or all(job_id in known for job_id in self.awaited)
            if following is None or complete:
                break
            at_ms = following
        starts = self.promised | self.starts
        unknown = {job_id: self._why(job, complete=complete) for job_id, job in self.wanted.items() if job_id not in starts}
        return Timeline({job_id: starts[job_id] for job_id in starts if job_id in self.wanted}, unknown)

    def _note(self, promises: Iterable[Reservation]) -> None:
        """A promised start is an expected start, of an array the first one; not one behind the deadline, when it is cancelled."""
        rows = self.board.waiting.rows
        for promise in promises:
            late = promise.job_id in rows and 0 < rows[promise.job_id].deadline_ms < promise.start_ms
            if not late and promise.start_ms and promise.start_ms <= self.promised.get(promise.job_id, promise.start_ms):
                self.promised[promise.job_id] = promise.start_ms

    def _apply(self, start: Start, at_ms: int) -> None:
        board = self.board
        if start.claim:
            board.redeem(start.claim)
        job = board.waiting.rows[start.job_id]
        ask = board.asks[job.shape]
        limit_ms = limit_until(job.deadline_ms, job.limit_ms, at_ms) if job.deadline_ms else job.limit_ms
        ends_ms = at_ms + limit_ms if limit_ms else FOREVER
        self.starts.setdefault(job.id, at_ms)
        self.serial += 1
        places: list[tuple[int, Key]] = []
        for placement in start.placements:
            index, key = board.rooms.index[placement.node_id], (FORESEEN, self.serial, placement.task)
            board.rooms.hold(index, key, Holding(job.id, ends_ms, ask.need, placement.devices, ask.app, who_of(job)))
            places.append((index, key))
        account, bundle = (job.project, job.user), asked_by(board.asks[job.shape])
        board.ledger.settle(account, at_ms)
        board.ledger.hold(account, bundle)
        number = FOREVER + self.serial if job.is_array else job.id
        if self.counts:
            board.census.add(number, job.shape)
        if ends_ms < FOREVER:
            heappush(self.ends, _End(ends_ms, self.serial, tuple(places), job.id if job.is_array else 0, account, bundle, number))
        self._consume(job, start.position)

    def _consume(self, job: PendingJob, position: int) -> None:
        """The job, or one element of the array, waits no more."""
        self.changed.setdefault(job.id, job)
        left = job.array_left - 1
        if not job.is_array or left <= 0:
            self._leave(job.id)
        else:
            rest = replace(job, array_next=position + 1, array_left=left, array_room=job.array_room - 1)
            self.board.waiting.put(rest, self.board.asks)

    def _leave(self, job_id: int) -> None:
        """The job waits no more, and what it was promised is kept for nobody: of an array another element may have had the claim."""
        self.board.waiting.drop(job_id)
        for claim in [claim for claim in self.board.standing if claim.job_id == job_id]:
            self.board.redeem(claim.id)

    def _cancel(self, at_ms: int) -> None:
        """What waits at its deadline, after the plan of that moment, waits no more."""
        while self.deadlines and self.deadlines[0][0] <= at_ms:
            job = self.board.waiting.rows.get(heappop(self.deadlines)[1])
            if job is not None:
                self.changed.setdefault(job.id, job)
                self._leave(job.id)
                self.missed.add(job.id)

    def _next(self, at_ms: int, planned_ms: int) -> int | None:
        """Let the next thing happen, by ``planned_ms`` (0: never) what the plan waits for; when, or None if nothing more will."""
        times = [self.ends[0].at_ms] if self.ends else []
        times += filter(None, (self.board.next_ms, self.board.next_deadline_ms, planned_ms))
        while self.deadlines and self.deadlines[0][1] not in self.board.waiting.rows:
            heappop(self.deadlines)
        if self.deadlines:
            times.append(self.deadlines[0][0])
        if not times:
            return None
        next_ms = max(min(times), at_ms + 1)
        while self.ends and self.ends[0].at_ms <= next_ms:
            self._end(heappop(self.ends), next_ms)
        return next_ms

    def _end(self, end: _End, at_ms: int) -> None:
        for index, key in end.places:
            self.board.rooms.release(index, key)
        if self.counts and end.runs:
            self.board.census.remove(end.runs)
        if any(end.bundle):
            self.board.ledger.settle(end.account, at_ms)
            self.board.ledger.drop(end.account, end.bundle)
        array = self.board.waiting.rows.get(end.array_id)
        if array is not None:
            self.changed.setdefault(array.id, array)
            self.board.waiting.put(replace(array, array_room=array.array_room + 1), self.board.asks)

    def _why(self, job: PendingJob, *, complete: bool) -> UnknownStart:
        if job.id in self.missed:
            return self._hopeless(job) or UnknownStart.DEADLINE
        return self._hopeless(job) or (UnknownStart.NO_LIMIT if complete else UnknownStart.TOO_FAR)

    def _hopeless(self, job: PendingJob) -> UnknownStart | None:
        """Why no passing of time lets the job start, if so: nobody need look ahead for it."""
        if job.held or job.blocked or self.board.waiting.is_paused(job):
            return UnknownStart.NOT_READY
        obstacle = Possible.of(self.board).obstacle(job.shape)
        if obstacle is not None:
            return UnknownStart.NEVER if isinstance(obstacle, NeverFits) else UnknownStart.UNAVAILABLE
        if Quotas(self.board.projects, {}).bar_of(job.project, self.board.asks[job.shape]) is not None:
            return UnknownStart.QUOTA
        return None


def first_in_order(board: Board, now_ms: int, stages: Stages, count: int) -> list[int]:
    """The ids of the first ``count`` jobs that may start, in the order they are considered."""
    board.waiting.move_to(now_ms, board.asks)
    waiting, order = board.waiting, stages.order
    firsts = in_order(
        waiting, scores_of(board, now_ms, order), sorted(waiting.shapes), lambda slots: np.ones(len(slots), dtype=np.bool_)
    )
    turns: list[tuple[float, int, int]] = []
    for *_, slot in islice(firsts, count):
        group = waiting.by_slot[slot]
        assert group is not None
        scores = scores_within(board, now_ms, order, group, 0, count)
        turns += [(-score, *entry) for score, entry in zip(scores, group.entries[:count], strict=True)]
    return [job_id for _, _, job_id in sorted(turns)[:count]]
