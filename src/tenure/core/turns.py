"""In which order jobs take their turn.

A job's place is given by its score (higher first), then by its submission (older first), then by its id. Only the first job of each
group is compared; the others of a group follow it in their own order. Few groups are sorted one by one, many by array operations: the
order is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Bools
from tenure.core.stages import Order, Vector
from tenure.core.waiting import FIRST_ID, FIRST_SUBMITTED, SHAPE, Waiting

Turn = tuple[int, int, int, int]
"""A job's place in the order: (minus its score, submitted, id, slot of its group). Smaller goes first."""

FEW_GROUPS = 16
"""Up to so many groups are sorted one by one."""

PART = 256
"""So many turns of a long order are made at a time."""


def scores_of(board: Board, now_ms: int, order: Order) -> Vector:
    """The score of the first job of each group, by slot."""
    columns, settings = board.waiting.columns, board.settings
    ages = np.maximum(now_ms - columns[FIRST_SUBMITTED], 0)
    return order.fixed(columns, settings) + order.ageing(ages, settings)


def in_order(waiting: Waiting, scores: Vector, shapes: Sequence[int], is_due: Callable[[Vector], Bools]) -> Iterator[Turn]:
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


def first_turn(waiting: Waiting, scores: Vector, shapes: Sequence[int]) -> Turn | None:
    """The first of `in_order`, None for no group."""
    if len(waiting.groups) <= FEW_GROUPS:
        return min(_turns(waiting, scores, shapes), default=None)
    slots = _slots(waiting, shapes)
    if not len(slots):
        return None
    of_slots = scores[slots]
    best = _sorted_slots(waiting, scores, slots[of_slots == of_slots.max()])[:1]
    return _turns_of(waiting, scores, best)[0]


def _turns(waiting: Waiting, scores: Vector, shapes: Sequence[int]) -> list[Turn]:
    wanted = set(shapes)
    groups = [group for group in waiting.groups.values() if group.shape in wanted]
    return [(-int(scores[group.slot]), *group.entries[0], group.slot) for group in groups]


def _slots(waiting: Waiting, shapes: Sequence[int]) -> Vector:
    """The slots of the groups of these shapes."""
    if not shapes:
        return np.empty(0, dtype=np.int64)
    columns, wanted = waiting.columns, np.array(shapes, dtype=np.int64)
    place = np.minimum(np.searchsorted(wanted, columns[SHAPE]), len(shapes) - 1)
    return np.flatnonzero((wanted[place] == columns[SHAPE]) & (columns[FIRST_ID] >= 0))


def _sorted_slots(waiting: Waiting, scores: Vector, slots: Vector) -> Vector:
    columns = waiting.columns
    order = np.lexsort((columns[FIRST_ID, slots], columns[FIRST_SUBMITTED, slots], -scores[slots]))
    return slots[order]


def _turns_of(waiting: Waiting, scores: Vector, slots: Vector) -> list[Turn]:
    columns = waiting.columns
    found = ((-scores[slots]).tolist(), columns[FIRST_SUBMITTED, slots].tolist(), columns[FIRST_ID, slots].tolist(), slots.tolist())
    return list(zip(*found, strict=True))
