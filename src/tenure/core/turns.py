"""In which order jobs take their turn.

A job's place is given by its score (higher first), then by its submission (older first), then by its id. Who has waited longer than
the guard allows (`PlanSettings.guard_ms`) goes before all others, the oldest first, so that no order lets anybody starve. Only the
first job of each group is compared; the others of a group follow it in their own order. Few groups are sorted one by one, many by
array operations: the order is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tenure.core.backlog import backlog_ms, weighs_backlog
from tenure.core.board import Board
from tenure.core.columns import Bools
from tenure.core.ledger import NOTHING
from tenure.core.quotas import holdings, left_of_quota
from tenure.core.stages import Order, Scores, Vector
from tenure.core.waiting import BACKLOG, FIRST_ID, FIRST_SUBMITTED, LOWEST_ID, PROJECT, QUOTA_LEFT, SHAPE, Group, Waiting

Turn = tuple[float, int, int, int]
"""A job's place in the order: (minus its score, submitted, id, slot of its group). Smaller goes first."""

GUARDED = -np.inf
"""The first part of the `Turn` of a job that the guard has put first."""

FEW_GROUPS = 64
"""Up to so many groups are sorted one by one."""

FOLLOWERS = 16
"""Of so many jobs of a group the scores are worked out together."""

PART = 256
"""So many turns of a long order are made at a time."""


def scores_of(board: Board, now_ms: int, order: Order) -> Scores:
    """The score of the first job of each group, by slot; of a free slot anything.

    Raises ValueError for a board whose groups do not tell apart what the order reads: its plans would be wrong in silence.
    """
    columns, told = board.waiting.columns, board.waiting.distinguishing
    if order.distinguishes and not set(order.distinguishes) <= set(told):
        raise ValueError(f"the order {order.name} reads {', '.join(order.distinguishes)}; build the board with `Stages.distinguishes`")
    if board.settings.quota_bonus:
        columns[QUOTA_LEFT] = _left_of_quotas(board)
    if weighs_backlog(order):
        columns[BACKLOG] = backlog_ms(columns)
    ages_ms = np.maximum(now_ms - columns[FIRST_SUBMITTED], 0)
    return _guarded(order.scores(columns, ages_ms, board.settings), ages_ms, board)


def _guarded(scores: Scores, ages_ms: Vector, board: Board) -> Scores:
    """The scores, infinite for who has waited longer than the guard allows: then age alone decides."""
    guard_ms = board.settings.guard_ms
    return np.where(ages_ms > guard_ms, np.inf, scores) if guard_ms else scores


def _left_of_quotas(board: Board) -> Vector:
    """What the project of each group has left of its quota now, in thousandths."""
    held, projects = holdings(board.ledger), board.waiting.columns[PROJECT]
    found: Vector = np.zeros(len(projects), dtype=np.int64)
    for number, project in board.projects.items():
        left = left_of_quota(project, held.get(number, NOTHING))
        if left:
            found[projects == number] = left
    return found


def scores_within(board: Board, now_ms: int, order: Order, group: Group, start: int, stop: int) -> list[float]:
    """The scores of the jobs ``start`` to ``stop`` of one group, after `scores_of`."""
    entries = group.entries[start:stop]
    columns = np.repeat(board.waiting.columns[:, group.slot, np.newaxis], len(entries), axis=1)
    columns[FIRST_SUBMITTED : LOWEST_ID + 1] = [[entry[0] for entry in entries], *([entry[1] for entry in entries] for _ in range(2))]
    ages_ms = np.maximum(now_ms - columns[FIRST_SUBMITTED], 0)
    found: list[float] = _guarded(order.scores(columns, ages_ms, board.settings), ages_ms, board).tolist()
    return found


class Followers:
    """The turns of a group's later jobs, whose scores are worked out some at a time: one costs as much as sixteen."""

    def __init__(self, board: Board, now_ms: int, order: Order) -> None:
        self._board, self._now_ms, self._order = board, now_ms, order
        self._known: dict[int, tuple[int, list[float]]] = {}

    def turn(self, group: Group, offset: int) -> Turn | None:
        """The turn of the group's job at this offset, None behind the last one. Offsets of a group are asked for in ascending order."""
        if offset >= len(group.entries):
            return None
        first, known = self._known.get(group.slot, (offset, []))
        if offset - first >= len(known):
            first, known = offset, scores_within(self._board, self._now_ms, self._order, group, offset, offset + FOLLOWERS)
            self._known[group.slot] = first, known
        return (-known[offset - first], *group.entries[offset], group.slot)


def in_order(waiting: Waiting, scores: Scores, shapes: Sequence[int], is_due: Callable[[Vector], Bools]) -> Iterator[Turn]:
    """The turns of the first jobs of all groups of these shapes (sorted by number).

    Of many groups, those whose slots are not ``is_due`` when their part of the order is reached are left out.
    """
    if len(waiting.groups) <= FEW_GROUPS:
        yield from sorted(_turns(waiting, scores, shapes))
        return
    order = _sorted_slots(waiting, scores, _slots(waiting, shapes))
    for start in range(0, len(order), PART):
        part = order[start : start + PART]
        yield from _turns_of(waiting, scores, part[is_due(part)])


def first_turn(waiting: Waiting, scores: Scores, shapes: Sequence[int]) -> Turn | None:
    """The first of `in_order`, None for no group."""
    if len(waiting.groups) <= FEW_GROUPS:
        return min(_turns(waiting, scores, shapes), default=None)
    slots = _slots(waiting, shapes)
    if not len(slots):
        return None
    of_slots = scores[slots]
    best = _sorted_slots(waiting, scores, slots[of_slots == of_slots.max()])[:1]
    return _turns_of(waiting, scores, best)[0]


def _turns(waiting: Waiting, scores: Scores, shapes: Sequence[int]) -> list[Turn]:
    wanted, of_slots = set(shapes), scores.tolist()
    return [(-of_slots[group.slot], *group.entries[0], group.slot) for group in waiting.groups.values() if group.shape in wanted]


def _slots(waiting: Waiting, shapes: Sequence[int]) -> Vector:
    """The slots of the groups of these shapes."""
    if not shapes:
        return np.empty(0, dtype=np.int64)
    columns, wanted = waiting.columns, np.array(shapes, dtype=np.int64)
    place = np.minimum(np.searchsorted(wanted, columns[SHAPE]), len(shapes) - 1)
    return np.flatnonzero((wanted[place] == columns[SHAPE]) & (columns[FIRST_ID] >= 0))


def _sorted_slots(waiting: Waiting, scores: Scores, slots: Vector) -> Vector:
    columns = waiting.columns
    order = np.lexsort((columns[FIRST_ID, slots], columns[FIRST_SUBMITTED, slots], -scores[slots]))
    return slots[order]


def _turns_of(waiting: Waiting, scores: Scores, slots: Vector) -> list[Turn]:
    columns = waiting.columns
    found = ((-scores[slots]).tolist(), columns[FIRST_SUBMITTED, slots].tolist(), columns[FIRST_ID, slots].tolist(), slots.tolist())
    return list(zip(*found, strict=True))
