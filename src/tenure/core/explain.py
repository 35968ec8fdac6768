"""Why one job waits, worked out on demand from the same cycle that plans.

All blockers, not only the first: a job may be held by a person and lack room as well. Each suggestion is proved: the job is changed
as suggested, the cycle is run, and the suggestion stands only if the job then starts. Pure: it works on a board of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.cycle import Cycle, plan_on_board
from tenure.core.days import who_of
from tenure.core.feasibility import NodeRoom, ask_of, is_allowed
from tenure.core.forward import look_ahead
from tenure.core.holds import room_reasons
from tenure.core.nearest import smaller
from tenure.core.possible import nearest, second_obstacle
from tenure.core.rooms import FOREVER, PLANNED
from tenure.core.stages import Stages
from tenure.model.amounts import MILLI, RESOURCES, Amounts
from tenure.model.explanation import Change, ExpectedStart, Explanation, Holder, Suggestion
from tenure.model.job import PendingJob
from tenure.model.plan import Plan
from tenure.model.reasons import (
    ArrayCap,
    Dependency,
    Held,
    NodeUnavailable,
    NotBefore,
    NotReached,
    QueuePaused,
    Reason,
    Reserved,
    RoomPromised,
    Shortfall,
)
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot

SMALLER_NODES = 3
"""A smaller request is sought on so many nodes, those that lack least."""

HIGHER = (7, 9, 10)
"""The priorities that are tried, each only if the one before helps nobody."""

LEAST_LIMIT_MS = 1000
"""A shorter time limit than this cannot be asked for."""


def explain(snapshot: Snapshot, job_id: int, stages: Stages) -> Explanation:
    """Why a job waits; of an array that starts in part, why the rest does. Raises KeyError when it does not wait.

    Nobody is displaced meanwhile: a job that may displace others waits only until the plan has seen it.
    """
    stages = replace(stages, reclaim=None)
    board = Board.of(snapshot, stages.distinguishes)
    job = board.waiting.rows[job_id]
    now_ms = snapshot.now_ms
    mark = board.mark()
    cycle = Cycle(board, now_ms, stages, UnitBudget())
    cycle.run()
    started = sum(start.job_id == job_id for start in cycle.starts)
    if started >= job.array_left:
        return Explanation(job_id, starts_now=True, start=ExpectedStart(now_ms, now_ms))
    own = list(_own_reasons(board, job, now_ms, started))
    room = room_reasons(cycle, job)
    if any(isinstance(reason, NodeUnavailable) for reason in room):
        second = second_obstacle(board.asks[job.shape], board.nodes)
        room = room if second is None else (*room, second)
    node_id, short = nearest(board.asks[job.shape], cycle.rooms_for(job))
    if any(isinstance(reason, Reserved) for reason in room):
        node_id, short = 0, ()  # nothing is lacking but time
    holders = _holders(board, node_id, short)
    candidates = list(_candidates(board, cycle, job))
    board.rollback(mark)
    start = _expected(board, snapshot, job, stages)
    fixed = started or any(isinstance(reason, Held | Dependency | NotBefore | ArrayCap | RoomPromised) for reason in own)
    return Explanation(
        job_id=job_id,
        starts_now=started > 0,
        blockers=(*own, *room) or (NotReached(),),
        node_id=node_id if short else 0,
        short=short,
        holders=holders,
        start=start,
        suggestions=() if fixed else (*_proved(board, job, candidates, now_ms, stages), *_ahead(board, job, start, now_ms, stages)),
    )


def _own_reasons(board: Board, job: PendingJob, now_ms: int, started: int) -> Iterator[Reason]:
    """Causes that lie with this job alone."""
    if job.held:
        yield Held()
    if job.blocked:
        yield Dependency()
    if job.eligible_ms > now_ms:
        yield NotBefore(job.eligible_ms)
    if board.waiting.is_paused(job):
        yield QueuePaused(job.queue)
    if job.array_room <= started:
        yield ArrayCap()
    for claim in board.standing:
        if claim.job_id == job.id and not job.is_array:
            yield RoomPromised(claim.victims, claim.deadline_ms)


def _holders(board: Board, node_id: int, short: Sequence[Shortfall]) -> tuple[Holder, ...]:
    """Who holds what is lacking there, those that end first in front."""
    index = board.rooms.index.get(node_id)
    if index is None or not short:
        return ()
    divisible = [position for position, name in enumerate(RESOURCES) if any(item.resource == name for item in short)]
    devices = any(item.resource.startswith("gpu_") for item in short)
    found = []
    for key, holding in board.rooms.holdings[index].items():
        if any(holding.need[position] for position in divisible) or (devices and holding.devices):
            planned = key[0] == PLANNED
            order = (holding.ends_ms, holding.job_id, key)
            ends_ms = holding.ends_ms if holding.ends_ms < FOREVER else 0
            found.append((order, Holder(holding.job_id, node_id, Amounts(*holding.need), holding.devices, ends_ms, planned)))
    return tuple(holder for _, holder in sorted(found, key=lambda item: item[0]))


def _expected(board: Board, snapshot: Snapshot, job: PendingJob, stages: Stages) -> ExpectedStart:
    """By limits at the latest; at the earliest when jobs end as forecast, or now."""
    timeline = look_ahead(board, snapshot.now_ms, stages, [job.id])
    latest_ms = timeline.starts.get(job.id)
    if latest_ms is None:
        return ExpectedStart(unknown=timeline.unknown[job.id])
    earliest_ms = max(job.eligible_ms, snapshot.now_ms)
    if snapshot.forecasts:
        soon = look_ahead(Board.of(_as_forecast(snapshot), stages.distinguishes), snapshot.now_ms, stages, [job.id])
        earliest_ms = min(soon.starts.get(job.id, earliest_ms), latest_ms)
    return ExpectedStart(earliest_ms, latest_ms)


def _as_forecast(snapshot: Snapshot) -> Snapshot:
    """The snapshot with running jobs that end at their forecast median instead of their limit."""
    running = []
    for job in snapshot.running:
        forecast = snapshot.forecasts.get(job.id)
        ends_ms = job.started_ms + forecast.p50_ms if forecast else 0
        running.append(replace(job, ends_by_ms=min(ends_ms, job.ends_by_ms or ends_ms)) if ends_ms else job)
    return replace(snapshot, running=tuple(running))


def _candidates(board: Board, cycle: Cycle, job: PendingJob) -> Iterator[Suggestion]:
    """Changes that might help, unproved."""
    shape = board.shapes[job.shape]
    for longest_ms in _longest_ms(cycle, job):
        limit_ms = _rounded(longest_ms * 9 // 10)
        if limit_ms >= LEAST_LIMIT_MS and (job.limit_ms == 0 or limit_ms < job.limit_ms):
            cost = MILLI if job.limit_ms == 0 else (job.limit_ms - limit_ms) * MILLI // job.limit_ms
            yield Suggestion(Change.SHORTER, shape, limit_ms, job.queue, cost, job.priority)
    for queue in sorted(board.waiting.queues.values(), key=lambda queue: queue.id):
        bounded = queue.max_limit_ms and (job.limit_ms == 0 or job.limit_ms > queue.max_limit_ms)
        if queue.id != job.queue and not queue.paused and not bounded:
            yield Suggestion(Change.OTHER_QUEUE, shape, job.limit_ms, queue.id, 0, job.priority)
    for smaller_shape in _smaller_shapes(shape, cycle.rooms_for(job)):
        yield Suggestion(Change.SMALLER, smaller_shape, job.limit_ms, job.queue, cost_of(shape, smaller_shape), job.priority)


def _longest_ms(cycle: Cycle, job: PendingJob) -> list[int]:
    """How long a job may run, at most, so as not to be in the way of a promise or a window; nothing where nobody is, or knows."""
    found = set()
    if cycle.calendar is not None:
        found.add(cycle.calendar.longest_of_all(cycle.board.asks[job.shape], who_of(job)))
    if cycle.window is not None and cycle.window.start_ms < FOREVER:
        found.add(cycle.window.start_ms - cycle.now_ms)
    return sorted(limit_ms for limit_ms in found if limit_ms > 0)


def _rounded(amount_ms: int) -> int:
    """Down to a full minute, or second, where there is one: people type these."""
    for unit_ms in (60_000, 1000):
        if amount_ms >= unit_ms:
            return amount_ms // unit_ms * unit_ms
    return amount_ms


def _smaller_shapes(shape: Shape, rooms: Sequence[NodeRoom]) -> list[Shape]:
    """What would fit on the node that lacks least, on each of the next, and over all of them."""
    ask = ask_of(shape)
    found = [smaller(shape, rooms, keep_devices=True)]
    allowed = [room for room in rooms if is_allowed(ask, room)]
    found += [smaller(shape, [room], keep_devices=True) for room in allowed[:SMALLER_NODES]]
    return list(dict.fromkeys(item for item in found if item is not None))


def cost_of(shape: Shape, reduced: Shape) -> int:
    """What is given up, in thousandths of what was asked for, summed over amounts, GPUs and tasks."""
    before = (*shape.amounts.as_tuple(), shape.gpu_milli, shape.tasks)
    after = (*reduced.amounts.as_tuple(), reduced.gpu_milli, reduced.tasks)
    return sum((old - new) * MILLI // old for old, new in zip(before, after, strict=True) if old)


def _proved(board: Board, job: PendingJob, candidates: Sequence[Suggestion], now_ms: int, stages: Stages) -> Iterator[Suggestion]:
    """Those after which the job starts, the cheapest first."""
    for suggestion in sorted(candidates, key=lambda item: item.cost_milli):
        if _starts(_plan_with(board, job, suggestion, now_ms, stages), job.id):
            yield suggestion


def _ahead(board: Board, job: PendingJob, start: ExpectedStart, now_ms: int, stages: Stages) -> Iterator[Suggestion]:
    """The lowest higher priority with which the job starts, or is the head, its reserved start sooner than it expects."""
    for priority in HIGHER:
        if priority <= job.priority:
            continue
        raised = Suggestion(Change.PRIORITY, board.shapes[job.shape], job.limit_ms, job.queue, 0, priority)
        plan = _plan_with(board, job, raised, now_ms, stages)
        if _starts(plan, job.id):
            yield raised
            return
        promise = plan.reservation
        if promise is not None and promise.job_id == job.id and 0 < promise.start_ms < (start.latest_ms or FOREVER):
            yield replace(raised, start_ms=promise.start_ms)
            return


def _starts(plan: Plan, job_id: int) -> bool:
    return any(start.job_id == job_id for decision in plan.decisions for start in decision.starts)


def _plan_with(board: Board, job: PendingJob, change: Suggestion, now_ms: int, stages: Stages) -> Plan:
    """The plan if the job were changed so; the board is as before but for a shape that it may have to learn."""
    shape = next((number for number, known in board.shapes.items() if known == change.shape), 0)
    if not shape:
        shape = min(0, *board.shapes) - 1
        board.shapes[shape], board.asks[shape] = change.shape, ask_of(change.shape)
    board.waiting.put(replace(job, shape=shape, limit_ms=change.limit_ms, queue=change.queue, priority=change.priority), board.asks)
    try:
        return plan_on_board(board, now_ms, stages, UnitBudget())
    finally:
        board.waiting.put(job, board.asks)
