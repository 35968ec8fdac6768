"""The conflicts of a plan, derived from its holds and its reservation and from nothing else that anybody would have to work out again.

Resource competition: two jobs or more wait for the same kind of room. Priority conflict: on the node that comes nearest (for the head:
where it is reserved), jobs of a lower priority hold what a waiting job lacks. Schedule conflict: a job waits that cannot end by its
deadline any more, or whose reserved start comes after it. Pure. Invariant: the work is bounded by the groups that wait, the holds, and
what is held on as many nodes as holds name; no waiting job is looked at but the first of each kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenure.core.board import Board
from tenure.core.feasibility import Ask
from tenure.core.rooms import RUNNING
from tenure.model.conflict import MOST, Conflict, ConflictKind
from tenure.model.job import PendingJob
from tenure.model.plan import Hold, Plan
from tenure.model.reasons import Capacity, Shortfall, WouldDelay

LOST, CUT_SHORT = 9, 6
"""How severe it is that a job will not start before its deadline, and that it cannot run as long as it asks for."""


def conflicts_of(board: Board, plan: Plan) -> tuple[Conflict, ...]:
    """The conflicts of a plan that was made on this board, by id."""
    if not plan.holds:
        return ()
    found = {item.id: item for item in (*_competitions(board, plan), *_priorities(board, plan), *_schedules(board, plan))}
    return tuple(found[key] for key in sorted(found))


def room_of(ask: Ask) -> str:
    """The kind of room a shape competes for: ``cpu``, ``gpu``, or ``gpu:KIND``."""
    if not ask.wants_devices:
        return "cpu"
    return f"gpu:{ask.gpu_model}" if ask.gpu_model else "gpu"


def _competitions(board: Board, plan: Plan) -> Iterator[Conflict]:
    rooms: dict[str, set[tuple[int, int]]] = {}
    jobs: dict[str, set[int]] = {}
    for hold in plan.holds:
        if isinstance(hold.reason, Capacity | WouldDelay):
            room = room_of(board.asks[hold.shape])
            rooms.setdefault(room, set()).add((hold.shape, hold.queue))
            jobs.setdefault(room, set()).add(hold.first_job)
    waiting, second = _waiting(board, plan)
    for room in sorted(rooms):
        count = sum(waiting.get(kind, 0) for kind in rooms[room])
        if count > 1:
            named = jobs[room] | {second[kind] for kind in rooms[room] if kind in second}
            severity = min(1 + count.bit_length(), 8)
            yield Conflict(f"resource-{room}", ConflictKind.RESOURCE, severity, tuple(sorted(named)[:MOST]), room=room)


def _waiting(board: Board, plan: Plan) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """How many jobs wait on by shape and queue, and of each such kind one that is not the first."""
    started = {start.job_id for decision in plan.decisions for start in decision.starts}
    first = {(hold.shape, hold.queue): hold.first_job for hold in plan.holds}
    count: dict[tuple[int, int], int] = {}
    second: dict[tuple[int, int], int] = {}
    for group in board.waiting.groups.values():
        kind = (group.shape, group.queue)
        count[kind] = count.get(kind, 0) + len(group.entries)
        if kind in first:
            other = next((job for _, job in group.entries[:MOST] if job != first[kind] and job not in started), None)
            if other is not None:
                second[kind] = min(other, second.get(kind, other))
    for job_id in started:
        job = board.waiting.rows[job_id]
        if not job.is_array:
            count[job.shape, job.queue] = count.get((job.shape, job.queue), 1) - 1
    return count, second


def _priorities(board: Board, plan: Plan) -> Iterator[Conflict]:
    for hold in plan.holds:
        reason = hold.reason
        job = board.waiting.rows.get(hold.first_job)
        if isinstance(reason, Capacity) and reason.node_id and job is not None:
            yield from _against(board, job, [reason.node_id], reason.short)
    head = plan.reservation
    if head is not None and head.job_id in board.waiting.rows:
        job = board.waiting.rows[head.job_id]
        short = next((hold.reason.short for hold in plan.holds if _is_of(hold, job) and isinstance(hold.reason, Capacity)), ())
        yield from _against(board, job, sorted({placement.node_id for placement in head.placements}), short)


def _is_of(hold: Hold, job: PendingJob) -> bool:
    return (hold.shape, hold.queue) == (job.shape, job.queue)


def _against(board: Board, job: PendingJob, nodes: list[int], short: tuple[Shortfall, ...]) -> Iterator[Conflict]:
    """The conflict of a job with those of a lower priority that hold what is short on these nodes, if there are any."""
    devices = any(item.resource.startswith("gpu_") for item in short)
    holders: dict[int, int] = {}
    for index in (board.rooms.index[node_id] for node_id in nodes if node_id in board.rooms.index):
        for key, holding in board.rooms.holdings[index].items():
            running = board.running.get(key[1]) if key[0] == RUNNING else None
            if running is not None and running.priority < job.priority and (holding.devices or not devices):
                holders[running.id] = running.priority
    if holders:
        severity = min(1 + job.priority - min(holders.values()), 10)
        yield Conflict(
            f"priority-{job.id}",
            ConflictKind.PRIORITY,
            severity,
            (job.id,),
            tuple(sorted(holders)[:MOST]),
            room_of(board.asks[job.shape]),
        )


def _schedules(board: Board, plan: Plan) -> Iterator[Conflict]:
    now_ms, head = board.waiting.now_ms, plan.reservation
    starts = {hold.first_job: now_ms for hold in plan.holds}
    if head is not None:
        starts[head.job_id] = max(head.start_ms, now_ms)
    for job_id in sorted(starts):
        job = board.waiting.rows.get(job_id)
        if job is None or not job.deadline_ms:
            continue
        ends_ms = starts[job_id] + (job.expected_ms or job.limit_ms)
        severity = LOST if starts[job_id] >= job.deadline_ms else CUT_SHORT if ends_ms > job.deadline_ms else 0
        if severity:
            yield Conflict(f"schedule-{job_id}", ConflictKind.SCHEDULE, severity, (job_id,))
