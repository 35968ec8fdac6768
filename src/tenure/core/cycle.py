"""One planning cycle over a board: order, place, reserve for the head, backfill, say why the rest waits.

1. Let time pass: jobs become eligible.   2. Start those whose promised room is free.   3. Put the groups in order.
4. Start what fits, in that order.   5. For the first that does not fit, the head, others are displaced, which ends the plan, or it gets
the reservation.   6. Later jobs start if they do not delay it, if the policy lets them, in the order it has for them.
7. Roll the trial back.
A job that does not fit never stops the others by itself. Invariant: the plan depends on the board's content and the time alone, not on
what the board remembers from earlier cycles; the board is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice
from zlib import crc32

import numpy as np

from tenure.core.backfill import Window, common_room, reserve
from tenure.core.board import Board
from tenure.core.candidates import Candidates, Scores
from tenure.core.contest import Contest, quotas_on
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, fits, pick_devices, take
from tenure.core.holds import holds_of
from tenure.core.placement import Layout, arrange, deal
from tenure.core.possible import Possible
from tenure.core.reclaim import displace, positions, redeem
from tenure.core.rooms import FOREVER, PLANNED, Holding
from tenure.core.sought import Sought
from tenure.core.stages import Order, Stages
from tenure.core.tables import NOWHERE
from tenure.core.turns import Followers, Turn, first_turn, in_order, scores_of
from tenure.core.waiting import Group
from tenure.model.allocation import Placement
from tenure.model.plan import Decision, Hold, Plan, Start
from tenure.ports import Budget

FEW_NODES = 8
"""Up to so many nodes are looked at one by one, more by array operations."""


def plan_on_board(board: Board, now_ms: int, stages: Stages, budget: Budget, *, decisions_only: bool = False) -> Plan:
    """Plan on a board as of ``now_ms``. The board is unchanged afterwards, but for the passing of time.

    ``decisions_only``: the same decisions, without the reasons why others wait and perhaps without the reservation.
    """
    board.waiting.move_to(now_ms, board.asks)
    board.expire(now_ms)
    may_change = stages.reclaim is not None or bool(board.standing)
    if decisions_only and not may_change and len(board.nodes) <= FEW_NODES and not _has_place(board):
        return Plan(board.revision, next_ms=board.waiting.next_ms)
    mark = board.mark()
    try:
        cycle = Cycle(board, now_ms, stages, budget)
        return cycle.decide() if decisions_only else cycle.run()
    finally:
        board.rollback(mark)


def _has_place(board: Board) -> bool:
    """Whether one task of anything that waits fits anywhere. If not, nothing starts, in whatever order and with whatever promise."""
    asks = board.asks
    return any(fits(asks[shape], node) for shape in board.waiting.shapes for node in board.rooms.nodes)


class Cycle:
    """The state of one cycle; used once."""

    def __init__(self, board: Board, now_ms: int, stages: Stages, budget: Budget) -> None:
        self.board = board
        self.now_ms = now_ms
        self.stages = stages
        self.budget = budget
        self.candidates = Candidates.of(board, stages.score)
        self.possible = Possible.of(board)
        self.few_nodes = len(board.nodes) <= FEW_NODES
        self.starts: list[Start] = []
        self.redeemed = 0
        self.sought = Sought(board.waiting, now_ms)
        self.window: Window | None = None
        self.done: dict[int, int] = {}
        self._shared: dict[int, NodeRoom] = {}
        self._truncated: int | None = None
        self._head: Turn | None = None
        self.may_reserve = stages.backfill.reserve > 0 or stages.reclaim is not None
        self.displaced: Decision | None = None
        self.retry_ms = 0
        self._may_displace = stages.reclaim is not None
        self._followers = Followers(board, now_ms, stages.order)
        self._follow: list[Turn] = []
        self._elements: dict[int, Iterator[int]] = {}
        self.quotas = quotas_on(board)
        self._contest = Contest.of(self, self.quotas)

    @property
    def is_contested(self) -> bool:
        """Whether the order changes with every start."""
        return self._contest is not None

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
        return Plan(
            base_revision=self.board.revision,
            decisions=(*(Decision(starts=(start,)) for start in self.starts), *([self.displaced] if self.displaced else [])),
            holds=holds,
            reservation=self.window.reservation if self.window else None,
            truncated_at=self._truncated if self.displaced is None else self.budget.spent,
            units=self.budget.spent,
            next_ms=min(filter(None, (self.board.waiting.next_ms, self.board.next_deadline_ms, self.retry_ms)), default=0),
        )

    def _start_what_fits(self) -> None:
        redeem(self)
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
            if not self._consider(turn, group):
                break
            looked += self.window is not None
            if looked >= depth:
                break

    def _turns(self) -> Iterator[Turn]:
        """The jobs that have a place on some node now, in order; the next one of a group once the one before has started.

        Once there is a head, those behind it come in the order of the candidates, or not at all.
        """
        if self._contest is not None:
            yield from self._contest.turns()
            return
        still_open, blocked = self.look_for_room()
        backfill = self.stages.backfill
        scores = scores_of(self.board, self.now_ms, self.stages.order)
        self._head = first_turn(self.board.waiting, scores, [shape for shape in blocked if self.possible.could_hold(shape)])
        switches = not backfill.passing or backfill.candidates is not None
        for turn in self._walk(in_order(self.board.waiting, scores, still_open, self.sought.are_due)):
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
            self._follow_up(self.group(slot))
        first = in_order(self.board.waiting, scores, shapes, self.sought.are_due)
        return self._walk(turn for turn in first if turn[3] not in self.done)

    def follow_in(self, order: Order) -> None:
        """From now on the jobs of a group follow one another with their scores in this order."""
        self._followers = Followers(self.board, self.now_ms, order)

    def _walk(self, first: Iterator[Turn]) -> Iterator[Turn]:
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
        for position in self._elements.setdefault(job_id, self._positions(job_id)) if row.is_array else (-1,):
            if not self.budget.spend(1):
                self._truncated = self.budget.spent
                return False
            placements = self._place(group, job_id)
            if placements is None:
                self._failed(group, turn)
                return self.displaced is None
            self.starts.append(Start(job_id, placements, position))
            if self._contest is not None and self._contest.goes_on(group, row):
                self._contest.push(turn)
                return True
        self.done[group.slot] = self.done.get(group.slot, 0) + 1
        self._follow_up(group)
        return True

    def _positions(self, job_id: int) -> Iterator[int]:
        """The elements of an array that may start now, in order; those that were promised room have started first."""
        begun = sum(start.job_id == job_id for start in self.starts[: self.redeemed])
        return islice(positions(self.board, job_id), begun, None)

    def _follow_up(self, group: Group) -> None:
        """Let the group's first job that has not started take its turn, in its place in the order."""
        turn = self.next_of(group)
        if turn is not None:
            if self._contest is not None:
                self._contest.push(turn)
            else:
                heappush(self._follow, turn)

    def next_of(self, group: Group) -> Turn | None:
        """The turn of the group's first job that has not started."""
        return self._followers.turn(group, self.done.get(group.slot, 0))

    def group(self, slot: int) -> Group:
        group = self.board.waiting.by_slot[slot]
        assert group is not None
        return group

    def _failed(self, group: Group, turn: Turn) -> None:
        if group.shape in self.sought.blocked and self.window is None and self.may_reserve:
            self.reserve(turn)

    def _reserve_before(self, turn: Turn | None) -> None:
        """Reserve for the blocked job that comes before this turn in the order, if none is reserved for yet."""
        if self.window is None and self.may_reserve and self._head is not None and (turn is None or self._head < turn):
            self.reserve(self._head)

    def reserve(self, turn: Turn) -> None:
        """Let others be displaced for the job whose turn this is, or promise it a start."""
        if self._may_displace:
            self._may_displace = False
            self.displaced = displace(self, turn)
        self.may_reserve = self.displaced is None and self.stages.backfill.reserve > 0
        if self.may_reserve:
            self._promise(turn)

    def _promise(self, turn: Turn) -> None:
        ask = self.board.asks[self.group(turn[3]).shape]
        table = None if self.few_nodes else self.candidates.table
        self.window = reserve(self.board, ask, turn[2], self.candidates.score, self.now_ms, table)
        self.sought.reserve(self.window)
        self.may_reserve = self.window is None

    def _place(self, group: Group, job_id: int) -> tuple[Placement, ...] | None:
        """Take the room for one run of the job, or mark why not."""
        shape, sought, window = group.shape, self.sought, self.window
        if window is not None and not window.ends_before(self.now_ms, group.limit_ms):
            found = None if shape in sought.delayed or not self.stages.backfill.beside else self.find(shape, careful=True)
            if found is not None:
                return self._hold(group, job_id, found, careful=True)
            sought.delay(shape)
            self.candidates.drop(shape)
            if window.firm:
                return None
        found = self.find(shape, careful=False)
        if found is None:
            sought.block(shape)
            self.candidates.drop(shape)
            return None
        return self._hold(group, job_id, found, careful=False)

    def find(self, shape: int, *, careful: bool) -> Layout | None:
        """Where the tasks of a shape could go now; ``careful``: without taking what is reserved."""
        ask = self.board.asks[shape]
        if ask.tasks == 1:
            index = self._find_node(shape, careful=careful)
            return None if index is None else [(index, 1)]
        instead = self._careful_counts(ask) if careful else {}
        return arrange(ask, self.candidates.options(shape, self.board.asks, instead))

    def _careful_counts(self, ask: Ask) -> dict[int, int]:
        """How many tasks fit on each reserved node beside the reservation."""
        extra = self.window.extra if self.window is not None else {}
        return {index: count_tasks(ask, self._common(index), ask.tasks) for index in extra}

    def _find_node(self, shape: int, *, careful: bool) -> int | None:
        scores, ask = self.candidates.row(shape, self.board.asks), self.board.asks[shape]
        barred: list[tuple[int, int]] = []
        while True:
            index = self._best(scores) if len(scores) else -1
            found = index >= 0 and scores[index] != NOWHERE
            if not found or not careful or self.window is None or index not in self.window.extra or fits(ask, self._common(index)):
                break
            barred.append((index, int(scores[index])))
            scores[index] = NOWHERE
        for position, score in barred:
            scores[position] = score
        return index if found else None

    def _best(self, scores: Scores) -> int:
        """The node with the lowest score; ties: the first by id, or by the lot that the policy draws."""
        index = int(scores.argmin())
        if not self.stages.lots:
            return index
        tied = np.flatnonzero(scores == scores[index])
        return int(tied[crc32(f"{self.stages.lots}:{self.board.revision}:{len(self.starts)}".encode()) % len(tied)])

    def rooms_for(self, limit_ms: int) -> list[NodeRoom]:
        """What a job with that limit may use of each node at this point of the cycle."""
        nodes = self.board.rooms.nodes
        if not self.sought.is_careful(limit_ms) or self.window is None:
            return nodes
        return [self._common(index) if index in self.window.extra else node for index, node in enumerate(nodes)]

    def _common(self, index: int) -> NodeRoom:
        """What is free on a reserved node both now and beside the reservation."""
        assert self.window is not None
        found = self._shared.get(index)
        if found is None:
            found = self._shared[index] = common_room(self.board.rooms.nodes[index], self.window.extra[index])
        return found

    def _hold(self, group: Group, job_id: int, layout: Layout, *, careful: bool) -> tuple[Placement, ...]:
        """Let the job hold its room for the rest of the cycle."""
        ask = self.board.asks[group.shape]
        extra = self.window.extra if careful and self.window is not None else {}
        placements = self._deal(ask, layout, extra)
        self.keep(job_id, group.limit_ms, ask, placements)
        for placement in placements:
            index = self.board.rooms.index[placement.node_id]
            self._shared.pop(index, None)
            if index in extra:
                take(extra[index], ask.need, placement.devices, ask.app)
        return placements

    def keep(self, job_id: int, limit_ms: int, ask: Ask, placements: tuple[Placement, ...]) -> None:
        """Let the job that starts next hold these places for the rest of the cycle."""
        rooms, ends_ms = self.board.rooms, self.now_ms + limit_ms if limit_ms else FOREVER
        for placement in placements:
            key = (PLANNED, len(self.starts), placement.task)
            rooms.hold(rooms.index[placement.node_id], key, Holding(job_id, ends_ms, ask.need, placement.devices, ask.app))

    def _deal(self, ask: Ask, layout: Layout, extra: dict[int, NodeRoom]) -> tuple[Placement, ...]:
        """The placements of a layout; on reserved nodes devices are chosen beside the reservation."""
        nodes = self.board.rooms.nodes
        if ask.tasks == 1:
            index = layout[0][0]
            room = self._common(index) if index in extra else nodes[index]
            return (Placement(0, room.id, pick_devices(ask, room)),)
        return deal(ask, layout, {i: (self._common(i) if i in extra else nodes[i]).copy() for i, _ in layout})
