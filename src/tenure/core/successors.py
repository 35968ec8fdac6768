"""Successors: elements of an array of short jobs that take over the room of the one before, without a turn of planning in between.

Why: with few slots every end of a short job costs a whole turn, and often the turn decides what was clear beforehand: the next element
of the same array. So a start may carry the elements that follow it. It does only where nobody loses by it: the array comes first of
all that waits, so that the plan of the next end would give it that room; nothing becomes eligible meanwhile; whose turn it is does not
depend on what projects hold, and no room is promised to anybody or set aside; the array's cap counts each of them. How many: no more
than short work (`PlanSettings.successors_ms`, by the longest run of late), and half of what would be an equal share of the rest, so
that the slots end together.
Source of the share: guided self-scheduling, C. D. Polychronopoulos and D. J. Kuck, IEEE Transactions on Computers C-36 (1987).

Invariant: the decisions are those of the plan, in its order, only with successors; positions are those that it would start next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tenure.core.board import Board
from tenure.core.contest import quotas_on
from tenure.core.feasibility import Ask
from tenure.core.stages import Order, as_sharing
from tenure.core.turns import first_turn, scores_of
from tenure.model.job import PendingJob
from tenure.model.plan import Decision, Plan, Start

MOST = 16
"""So many successors at most follow one start."""

SLOW_MS = 200
"""How long the elements of an array are taken to run before any has ended."""


def pace_after(pace_ms: int, run_ms: int) -> int:
    """About the longest that elements of an array run, after one more has: at once longer, by an eighth at most shorter."""
    return max(1, run_ms, (pace_ms or SLOW_MS) * 7 // 8)


def can_be_taken_over(ask: Ask) -> bool:
    """Whether room for such a job can go from one to the next: a gang has several, a device must be seen clean in between, and of an
    app each task counts."""
    return ask.tasks == 1 and not ask.whole and not ask.milli and not ask.app


def with_successors(plan: Plan, board: Board, now_ms: int, order: Order) -> Plan:
    """The plan, its starts of the first array in the order followed by successors where that delays nobody."""
    row = _first_array(plan, board, now_ms)
    if row is None or as_sharing(order) is not None or _may_turn(plan, board, now_ms):
        return plan
    turn = first_turn(board.waiting, scores_of(board, now_ms, order), sorted(board.waiting.shapes))
    if turn is None or turn[2] != row.id:
        return plan
    fronts = [start for decision in plan.decisions for start in decision.starts if start.job_id == row.id]
    rest = min(row.array_left, row.array_room) - len(fronts)
    count = min(MOST, board.settings.successors_ms // row.pace_ms, rest // (2 * len(fronts)))
    if count < 1:
        return plan
    positions = _positions_after(max(start.position for start in fronts), board.touched.get(row.id, ()))
    return replace(plan, decisions=tuple(_followed(decision, row.id, positions, count) for decision in plan.decisions))


def _may_turn(plan: Plan, board: Board, now_ms: int) -> bool:
    """Whether room is promised, set aside or bounded for anybody, so that an end may change more than who comes first."""
    return bool(plan.promises or board.standing or board.windows_at(now_ms)) or quotas_on(board) is not None


def _first_array(plan: Plan, board: Board, now_ms: int) -> PendingJob | None:
    """The array that the plan starts first of all, if its elements can follow each other."""
    if not plan.decisions or plan.truncated_at is not None:
        return None
    starts = plan.decisions[0].starts
    row = board.waiting.rows.get(starts[0].job_id) if starts else None
    if row is None or not row.is_array or row.deadline_ms or board.shapes[row.shape].prefer:
        return None
    if not can_be_taken_over(board.asks[row.shape]):
        return None
    horizon_ms = board.settings.successors_ms
    if not 0 < row.pace_ms <= horizon_ms or 0 < board.waiting.next_ms <= now_ms + horizon_ms:
        return None
    return row


def _positions_after(last: int, touched: tuple[int, ...]) -> Iterator[int]:
    """The positions behind this one that are no rows yet, in order."""
    position = last
    while True:
        position += 1
        if position not in touched:
            yield position


def _followed(decision: Decision, job_id: int, positions: Iterator[int], count: int) -> Decision:
    starts = tuple(_start(start, positions, count) if start.job_id == job_id else start for start in decision.starts)
    return replace(decision, starts=starts)


def _start(start: Start, positions: Iterator[int], count: int) -> Start:
    return replace(start, successors=tuple(next(positions) for _ in range(count)))
