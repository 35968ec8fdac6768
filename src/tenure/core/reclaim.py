"""Room from running jobs for one that waits in vain, and the promise that keeps it.

For the first job in the order that has no room, `tenure.core.victims` seeks the cheapest set of running jobs without which it certainly
starts. One decision stops them and claims their room; a later cycle starts the job there as soon as it is free, or elsewhere if that
comes first. What others get of the room is what the claim leaves. Jobs behind the first are served only if their priority is above that
of all that were passed over, and nobody is displaced for a job that could come near a window (`tenure.model.window`).
Invariant: nobody is displaced but together with a claim for the whole of the job that is to start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tenure.core import claims
from tenure.core.board import Board
from tenure.core.closed import is_near
from tenure.core.feasibility import Ask, NodeRoom, is_allowed, places_left, take
from tenure.core.ledger import asked_by
from tenure.core.placement import deal
from tenure.core.quotas import Quotas
from tenure.core.turns import Turn, in_order, scores_of
from tenure.core.victims import Search
from tenure.model.allocation import Claim, Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Decision, Start

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle

LOOKED_AT = 16
"""So many waiting jobs are looked at in one cycle until one is found for which others may be displaced."""


def positions(board: Board, job_id: int) -> Iterator[int]:
    """The elements of an array that may start now, in order."""
    job, touched = board.waiting.rows[job_id], board.touched.get(job_id, ())
    position = job.array_next
    for _ in range(min(job.array_left, job.array_room)):
        while position in touched:
            position += 1
        yield position
        position += 1


def redeem(cycle: Cycle) -> None:
    """Start the jobs whose promised room is free, or that fit elsewhere now; the others keep their promise.

    What a project may not hold now is not started for it either. Who would come near a window is not started so: once the promise has
    ended, the job takes its turn among the others, which heed it node by node.
    """
    board, quotas = cycle.board, cycle.quotas
    for claim in board.standing:
        job = board.waiting.rows[claim.job_id]
        if not board.waiting.is_free(job) or job.eligible_ms > cycle.now_ms or not cycle.budget.spend(1):
            continue
        ask = board.asks[job.shape]
        if is_near(board, job, cycle.now_ms) or (quotas is not None and not _is_within(quotas, job.project, ask)):
            continue
        claims.lift(board, claim)
        started = sum(start.job_id == job.id for start in cycle.starts)
        position = next(islice(positions(board, job.id), started, None), None) if job.is_array else -1
        placements = _places(cycle, job, ask, claim) if position is not None else None
        if placements is None or position is None:
            claims.hold(board, claim)
            continue
        cycle.keep(job.id, job.limit_ms, ask, placements)
        cycle.starts.append(Start(job.id, placements, position, claim.id))
    cycle.redeemed = len(cycle.starts)


def _is_within(quotas: Quotas, project: int, ask: Ask) -> bool:
    """Whether a project may hold what counts as held already, because it is promised."""
    bundle = asked_by(ask)
    quotas.ended(project, bundle)
    bar = quotas.bar(project, bundle)
    quotas.started(project, bundle)
    return bar is None


def _places(cycle: Cycle, job: PendingJob, ask: Ask, claim: Claim) -> tuple[Placement, ...] | None:
    """What was promised, if that is free, or anything else that fits."""
    if _is_free(cycle.board, ask, claim.placements):
        return claim.placements
    if not cycle.possible.could_hold(job.shape):
        return None
    layout = cycle.find(job.shape, careful=False)
    return deal(ask, layout, {index: cycle.board.rooms.nodes[index].copy() for index, _ in layout}) if layout is not None else None


def _is_free(board: Board, ask: Ask, placements: Iterable[Placement]) -> bool:
    """Whether exactly these places are free."""
    rooms: dict[int, NodeRoom] = {}
    for place in placements:
        index = board.rooms.index.get(place.node_id)
        if index is None:
            return False
        room = rooms.setdefault(index, board.rooms.nodes[index].copy())
        if (
            not is_allowed(ask, room)
            or not places_left(ask, room, 1)
            or any(need > free for need, free in zip(ask.need, room.free, strict=True))
        ):
            return False
        devices = {device.id: device for device in room.devices if device.offered}
        for share in place.devices:
            device = devices.get(share.device_id)
            if device is None or device.free_milli < share.milli or device.free_memory_bytes < share.memory_bytes:
                return False
        take(room, ask.need, place.devices, ask.app)
    return True


def displace(cycle: Cycle, head: Turn) -> Decision | None:
    """The decision that makes room for the first of the waiting jobs for which that is allowed and enough; None if there is none.

    Sets the cycle's ``retry_ms`` to when the next running job may be displaced, as far as that would help somebody.
    """
    part = cycle.stages.reclaim
    assert part is not None, "only a policy that displaces gets here"
    search = Search(cycle.board, cycle.now_ms, part.on(cycle.board, cycle.quotas), cycle.candidates.score)
    passed = 0
    for turn in islice(_in_vain(cycle, head), LOOKED_AT):
        job = cycle.board.waiting.rows[turn[2]]
        if job.priority > passed and _may_claim(cycle, job):
            decision = search.decision_for(job)
            if decision is not None and not is_near(cycle.board, job, cycle.now_ms, decision.claims[0].deadline_ms):
                return decision
        passed = max(passed, job.priority)
    cycle.retry_ms = search.retry_ms
    return None


def _in_vain(cycle: Cycle, head: Turn) -> Iterator[Turn]:
    """The jobs that have no room, from the head on."""
    yield head
    if cycle.is_contested:
        return  # who comes next would change with every start
    board = cycle.board
    shapes = [shape for shape in sorted(cycle.sought.blocked) if cycle.possible.could_hold(shape)]
    everything = in_order(
        board.waiting, scores_of(board, cycle.now_ms, cycle.stages.order), shapes, lambda slots: np.ones(len(slots), dtype=np.bool_)
    )
    for turn in everything:
        if turn > head and turn[3] not in cycle.done:
            yield turn


def _may_claim(cycle: Cycle, job: PendingJob) -> bool:
    """Whether the job, or another element of the array, is still without a promise."""
    promised = sum(claim.job_id == job.id for claim in cycle.board.standing)
    begun = sum(start.job_id == job.id and not start.claim for start in cycle.starts)
    return promised + begun < min(job.array_left, job.array_room)
