"""One planning cycle over a board: order, place, reserve for the head, backfill, say why the rest waits.

1. Let time pass: jobs become eligible.   2. Start those whose promised room is free, and let jobs take turns where the policy has them.
3. Put the groups in order.
4. Start what fits, in that order.   5. For the first that does not fit, the head, others are displaced, which ends the plan, or it gets
the reservation.   6. Later jobs start if they do not delay it, if the policy lets them, in the order it has for them.
7. Roll the trial back.
A job that does not fit never stops the others by itself. A policy that promises a start to more than the head goes another way after
the second step (`tenure.core.promises`). Invariant: the plan depends on the board's content and the time alone, not on
what the board remembers from earlier cycles; the board is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice

from tenure.core.backfill import reserve
from tenure.core.board import Board
from tenure.core.calendar import Calendar, Layered
from tenure.core.closed import Kind, closed_for, kind_of, waits_for_window
from tenure.core.contest import Contest, quotas_on
from tenure.core.feasibility import fits
from tenure.core.holds import holds_of
from tenure.core.places import Places
from tenure.core.possible import Possible
from tenure.core.promises import Promises
from tenure.core.reclaim import displace, positions, redeem
from tenure.core.rotation import Rotation
from tenure.core.stages import Order, Stages
from tenure.core.turns import GUARDED, Followers, Turn, first_turn, in_order, scores_of
from tenure.core.waiting import Group
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Decision, Hold, Plan, Start
from tenure.model.reasons import Reserved
from tenure.ports import Budget

FEW_NODES = 8
"""Up to so many nodes are looked at one by one, more by array operations."""


def plan_on_board(board: Board, now_ms: int, stages: Stages, budget: Budget, *, decisions_only: bool = False) -> Plan:
    """Plan on a board as of ``now_ms``. The board is unchanged afterwards, but for the passing of time.

    ``decisions_only``: the same decisions, without the reasons why others wait and perhaps without the reservation.
    """
    board.waiting.move_to(now_ms, board.asks)
    board.expire(now_ms)
    if not board.waiting.rows and not board.resting and not board.standing and stages.chooser is None:
        return Plan(board.revision, next_ms=min(filter(None, (board.next_ms, board.next_deadline_ms)), default=0))
    may_change = stages.reclaim is not None or stages.chooser is not None or bool(board.standing) or stages.backfill.reserve > 1
    may_change = may_change or stages.slices or bool(board.resting)
    if decisions_only and not may_change and len(board.nodes) <= FEW_NODES and not _has_place(board):
        return Plan(board.revision, next_ms=board.next_ms)
    mark = board.mark()
    try:
        cycle = Cycle(board, now_ms, stages, budget)
        return cycle.decide() if decisions_only else cycle.run()
    finally:
        board.rollback(mark)


def _has_place(board: Board) -> bool:
    """Whether one task of anything that waits fits anywhere. If not, nothing starts, in whatever order and with whatever promise."""
    asks, nodes = board.asks, board.rooms.nodes
    for shape in board.waiting.shapes:
        ask = asks[shape]
        for node in nodes:
            if fits(ask, node):
                return True
    return False


class Cycle(Places):
    """The state of one cycle; used once."""

    def __init__(self, board: Board, now_ms: int, stages: Stages, budget: Budget) -> None:
        self.strategy, stages = stages.chooser.choose(board) if stages.chooser is not None else ("", stages)
        super().__init__(board, now_ms, stages)
        self.budget = budget
        self.possible = Possible.of(board)
        self.few_nodes = len(board.nodes) <= FEW_NODES
        self.redeemed = 0
        self.done: dict[int, int] = {}
        self.wishing: dict[int, int] = {}
        self.truncated: int | None = None
        self._head: Turn | None = None
        self._heads: list[int] = []
        self.may_reserve = stages.backfill.reserve > 0 or stages.reclaim is not None or board.settings.guard_ms > 0
        self.displaced: Decision | None = None
        self.retry_ms = 0
        self._may_displace = stages.reclaim is not None
        self.rotation = Rotation(self) if stages.slices or board.resting else None
        self._followers = Followers(board, now_ms, stages.order)
        self._follow: list[Turn] = []
        self._elements: dict[int, Iterator[int]] = {}
        self.quotas = quotas_on(board)
        self.contest = Contest.of(self, self.quotas)
        self.barred: dict[Kind, Reserved] = {}

    @property
    def is_contested(self) -> bool:
        """Whether the order changes with every start."""
        return self.contest is not None

    def run(self) -> Plan:
        """The plan."""
        self._start_what_fits()
        self._reserve_before(None)
        return self._plan(holds_of(self))

    def decide(self) -> Plan:
        """Its decisions alone."""
        self._start_what_fits()
        if self._may_displace:
            self._reserve_before(None)
        return self._plan(())

    def _plan(self, holds: tuple[Hold, ...]) -> Plan:
        starts = tuple(Decision(starts=(start,)) for start in self.starts)
        turns = self.rotation.decisions if self.rotation is not None else ()
        if self.rotation is not None and self.rotation.goes_on_after(len(starts)):
            self.truncated = self.budget.spent
        return Plan(
            base_revision=self.board.revision,
            decisions=(*turns, *starts, *([self.displaced] if self.displaced else [])),
            holds=holds,
            reservation=self.window.reservation if self.window else None,
            truncated_at=self.truncated if self.displaced is None else self.budget.spent,
            units=self.budget.spent,
            next_ms=min(filter(None, self._moments()), default=0),
            promises=self.promises.reservations() if self.promises else (),
            strategy=self.strategy,
        )

    def _moments(self) -> tuple[int, ...]:
        """When another plan might come of the same content (0: never)."""
        rotation_ms = self.rotation.retry_ms if self.rotation is not None else 0
        return (self.board.next_ms, self.board.next_deadline_ms, self.retry_ms, rotation_ms, *self.wishing.values())

    def _start_what_fits(self) -> None:
        redeem(self)
        windows = self.board.windows_at(self.now_ms)
        if windows or self.stages.backfill.reserve > 1:
            self.calendar = Calendar(self.board.rooms, self.now_ms, windows)
        if self.rotation is not None:
            self.rotation.run()
        if self.calendar is not None and self.stages.backfill.reserve > 1:
            self.promises = Promises(self, self.calendar)
            self.promises.run()
            return
        looked, by_slot, depth = 0, self.board.waiting.by_slot, self.board.settings.backfill_depth
        sought = self.sought
        blocked, delayed = sought.blocked, sought.delayed
        for turn in self._turns():
            group = by_slot[turn[3]]
            assert group is not None
            shape = group.shape
            # What was sought and not found already is not looked at again: with a long queue this is most of the turns.
            if shape in blocked or (shape in delayed and sought.is_careful(group.limit_ms)):
                continue
            if self.barred and kind_of(self, group) in self.barred:
                continue
            if not self._consider(turn, group):
                break
            looked += self.window is not None
            if looked >= depth:
                break

    def _turns(self) -> Iterator[Turn]:
        """The jobs that have a place on some node now, in order; the next one of a group once the one before has started.

        Once there is a head, those behind it come in the order of the candidates, or not at all.
        """
        if self.contest is not None:
            yield from self.contest.turns()
            return
        still_open, blocked = self.look_for_room()
        backfill = self.stages.backfill
        scores = scores_of(self.board, self.now_ms, self.stages.order)
        self._heads = [shape for shape in blocked if self.possible.could_hold(shape)]
        self._head = first_turn(self.board.waiting, scores, self._heads)
        switches = not backfill.passing or backfill.candidates is not None
        for turn in self.walk(in_order(self.board.waiting, scores, still_open, self.sought.are_due)):
            if switches and self._is_behind(turn):
                break
            yield turn
        if self.window is not None and backfill.passing and backfill.candidates is not None:
            yield from self._behind(backfill.candidates, still_open)

    def look_for_room(self) -> tuple[list[int], list[int]]:
        """The shapes that have a place on some node now, and those that have none, which are sought no more."""
        shapes = self.sought.shapes
        has_place = self.candidates.refresh(shapes, self.board.asks)
        blocked = [shape for shape, found in zip(shapes, has_place, strict=True) if not found]
        for shape in blocked:
            self.sought.block(shape)
        return [shape for shape, found in zip(shapes, has_place, strict=True) if found], blocked

    def _is_behind(self, turn: Turn) -> bool:
        """Whether somebody before this turn in the order has a reservation; makes it if it is due."""
        self._reserve_before(turn)
        return self.window is not None or self.displaced is not None

    def _behind(self, order: Order, shapes: list[int]) -> Iterator[Turn]:
        """The jobs behind the head in the order of the candidates."""
        self.follow_in(order)
        self._follow.clear()
        scores = scores_of(self.board, self.now_ms, order)
        for slot in self.done:
            self.follow_up(self.group(slot))
        first = in_order(self.board.waiting, scores, shapes, self.sought.are_due)
        return self.walk(turn for turn in first if turn[3] not in self.done)

    def follow_in(self, order: Order) -> None:
        """From now on the jobs of a group follow one another with their scores in this order."""
        self._followers = Followers(self.board, self.now_ms, order)

    def walk(self, first: Iterator[Turn]) -> Iterator[Turn]:
        """The first jobs of groups, and in their places those that follow a job that was started."""
        turn = next(first, None)
        while turn is not None or self._follow:
            if turn is None or (self._follow and self._follow[0] < turn):
                yield heappop(self._follow)
            else:
                yield turn
                turn = next(first, None)

    def _consider(self, turn: Turn, group: Group) -> bool:
        """Start the job if it may; False when the plan ends here."""
        self._reserve_before(turn)
        if self.displaced is not None:
            return False
        job_id = turn[2]
        row = self.board.waiting.rows[job_id]
        for position in self.elements(row):
            if not self.budget.spend(1):
                self.truncated = self.budget.spent
                return False
            placements = self._place(group, job_id)
            if placements is None:
                self._failed(group, turn)
                return self.displaced is None
            self.starts.append(Start(job_id, placements, position))
            if self.contest is not None and self.contest.goes_on(group, row):
                self.contest.push(turn)
                return True
        self.done[group.slot] = self.done.get(group.slot, 0) + 1
        self.follow_up(group)
        return True

    def elements(self, job: PendingJob) -> Iterator[int]:
        """What of a job may start now and was not tried yet: -1 for a plain job, else positions; a second call goes on."""
        return self._elements.setdefault(job.id, self.positions(job.id)) if job.is_array else iter((-1,))

    def positions(self, job_id: int) -> Iterator[int]:
        """The elements of an array that may start now, in order; those that were promised room have started first."""
        begun = sum(start.job_id == job_id for start in self.starts[: self.redeemed])
        return islice(positions(self.board, job_id), begun, None)

    def follow_up(self, group: Group) -> None:
        """Let the group's first job that has not started take its turn, in its place in the order."""
        turn = self.next_of(group)
        if turn is not None:
            if self.contest is not None:
                self.contest.push(turn)
            else:
                heappush(self._follow, turn)

    def next_of(self, group: Group) -> Turn | None:
        """The turn of the group's first job that has not started."""
        return self._followers.turn(group, self.done.get(group.slot, 0))

    def group(self, slot: int) -> Group:
        """The group in a slot that is in use."""
        group = self.board.waiting.by_slot[slot]
        assert group is not None
        return group

    def _failed(self, group: Group, turn: Turn) -> None:
        if group.shape in self.sought.blocked and self.window is None:
            self.reserve(turn)

    def _reserve_before(self, turn: Turn | None) -> None:
        """Reserve for the blocked job that comes before this turn in the order, if none is reserved for yet."""
        while self.window is None and self._head is not None and (turn is None or self._head < turn):
            shape = self.group(self._head[3]).shape
            self.reserve(self._head)
            if self.window is not None or self.displaced is not None or self.calendar is None:
                return
            # That one waits for a window to pass, which keeps its room by itself: the next one needs the promise.
            self._heads.remove(shape)
            self._head = first_turn(self.board.waiting, scores_of(self.board, self.now_ms, self.stages.order), self._heads)

    def reserve(self, turn: Turn) -> None:
        """Let others be displaced for a job, or promise it a start; where the policy promises none, if the guard has put it first."""
        if self._may_displace:
            self._may_displace = False
            self.displaced = displace(self, turn)
        promises = self.stages.backfill.reserve > 0 or turn[0] == GUARDED
        if self.displaced is None and self.may_reserve and promises:
            self._promise(turn)
        elif self.displaced is not None or not self.board.settings.guard_ms:
            self.may_reserve = False

    def _promise(self, turn: Turn) -> None:
        ask = self.board.asks[self.group(turn[3]).shape]
        table = None if self.few_nodes else self.candidates.table
        window = reserve(self.board, ask, turn[2], self.candidates.score, self.now_ms, table, self.calendar)
        self.window = None if window is not None and self.calendar is not None and waits_for_window(self, window) else window
        self.sought.reserve(self.window)
        self.may_reserve = self.window is None

    def _place(self, group: Group, job_id: int) -> tuple[Placement, ...] | None:
        """Take the room for one run of the job, or mark why not."""
        shape, sought, window = group.shape, self.sought, self.window
        if self.stages.delays and (until_ms := self.wishes_until(self.board.waiting.rows[job_id])):
            self.wishing[shape] = min(until_ms, self.wishing.get(shape, until_ms))
            return None
        outside = self.outside(group.limit_ms, self.who(group))
        if window is not None and not window.ends_before(self.now_ms, group.limit_ms):
            beside = Layered(self.beside(), outside) if outside else self.beside()
            found = None if shape in sought.delayed or not self.stages.backfill.beside else self.find_beside(shape, beside)
            if found is not None:
                return self.hold_beside(group, job_id, found, window, beside)
            if not self._bar(group, careful=True):
                sought.delay(shape)
                self.candidates.drop(shape)
            if window.firm:
                return None
        found = self.find_beside(shape, outside)
        if found is None:
            if not self._bar(group, careful=False):
                sought.block(shape)
                self.candidates.drop(shape)
            return None
        return self.hold(group, job_id, found, outside)

    def _bar(self, group: Group, *, careful: bool) -> bool:
        """Whether it is for the windows alone that no room was found for such jobs; remembers it."""
        layout = self.find(group.shape, careful=careful) if self.calendar is not None else None
        if layout is None or (careful and not self.stages.backfill.beside):
            return False
        reason = closed_for(self, self.board.waiting.rows[group.entries[0][1]], layout)
        if reason is not None:
            self.barred[kind_of(self, group)] = reason
        return reason is not None
