"""What one could change so that somebody who waits starts sooner, each change tried out before it is said.

Candidates come from what is known: what runs of the same kind have used, who holds GPUs idly, what is drained, which room is there but
in pieces, whose project may not borrow. Each is an alteration of the snapshot, and is kept only if the comparison of
`tenure.core.whatif` says that somebody starts sooner by it. Pure, and bounded: so many waiting jobs are looked at, so many candidates
tried, so much work spent on each. Invariant: the same snapshot and the same knowledge give the same advice in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tenure.core.board import Board
from tenure.core.feasibility import ask_of, is_allowed
from tenure.core.forward import Planning
from tenure.core.stages import Stages
from tenure.core.whatif import (
    Alteration,
    Effect,
    JobCancelled,
    JobChanged,
    JobRequeued,
    NodeTurned,
    ProjectChanged,
    Shift,
    WhatIf,
    in_line,
    what_if,
)
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.project import NO_BOUNDS
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot

LEAST_RUNS = 5
"""Runs of the same kind that must have been measured before anything is concluded from them."""
LOOKED_AT, TRIED, GIVEN = 24, 24, 8
"""Waiting jobs that are looked at, candidates that are tried, pieces of advice that are given, at most."""
COMPARED, UNITS = 60, 20_000
MINUTE_MS = 60_000
MARGIN_MILLI = 1500
"""What is proposed is at least this many thousandths of the most that any run has used."""
IDLE_PERCENT = 50
"""Jobs that keep a GPU busy for less than this share it."""
MOVABLE = 2
"""So many running jobs are tried elsewhere for one that waits."""
_BETTER = (Effect.SOONER, Effect.POSSIBLE, Effect.FORESEEN)
_WORSE = (Effect.LATER, Effect.IMPOSSIBLE, Effect.UNFORESEEN)


class AdviceKind(StrEnum):
    """What to change; the order is the order among equally good ones, the mildest first."""

    RESUME_NODE = "resume_node"
    LESS_MEMORY = "less_memory"
    SHORTER_LIMIT = "shorter_limit"
    SHARED_GPU = "shared_gpu"
    LET_BORROW = "let_borrow"
    MOVE = "move"
    FREE_IDLE_GPU = "free_idle_gpu"


@dataclass(frozen=True, slots=True)
class Habit:
    """What earlier runs of one kind have used: how many ended well, and the most that any of them took. ``watched`` of them had their
    GPU measured; ``gpu_percent`` and ``gpu_memory_bytes`` are the most of these."""

    runs: int = 0
    peak_memory_bytes: int = 0
    longest_ms: int = 0
    watched: int = 0
    gpu_percent: int = 0
    gpu_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the snapshot: the habits of waiting jobs by id, who holds GPUs idly, and of the jobs that may be moved when
    each was submitted."""

    habits: Mapping[int, Habit] = field(default_factory=dict)
    idle: tuple[int, ...] = ()
    movable: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change of ``job_id``, ``node_id`` or ``project`` (0: not of one), and for whom it is thought of."""

    kind: AdviceKind
    alteration: Alteration
    job_id: int = 0
    node_id: int = 0
    project: int = 0
    shape: Shape | None = None
    limit_ms: int = 0
    beneficiary: int = 0


@dataclass(frozen=True, slots=True)
class Advice:
    """A change that pays: ``now`` start at once, ``sooner`` sooner than they would, or at a time that is known then; ``later`` are
    those that it delays."""

    change: Candidate
    now: tuple[int, ...]
    sooner: tuple[Shift, ...]
    later: tuple[int, ...]
    habit: Habit = Habit()

    @property
    def gain_ms(self) -> int:
        """How much earlier jobs start, summed up over those of which it is known."""
        return -sum(shift.change_ms or 0 for shift in self.sooner)


def advise(snapshot: Snapshot, stages: Stages, known: Known, planning: Planning | None = None) -> list[Advice]:
    """The advice that is worth most first: by how many start at once, then by the time gained, then the mildest."""
    found: list[Advice] = []
    for number, candidate in enumerate(_candidates(snapshot, stages, known)):
        if number == TRIED:
            break
        if any(
            one.change.kind is candidate.kind is AdviceKind.MOVE and one.change.beneficiary == candidate.beneficiary for one in found
        ):
            continue  # one move is enough
        comparison = what_if(snapshot, [candidate.alteration], stages, planning=planning, count=COMPARED, units=UNITS)
        advice = _worth(snapshot.now_ms, candidate, comparison, known)
        if advice is not None:
            found.append(advice)
    kinds = list(AdviceKind)
    found.sort(key=lambda one: (-len(one.now), -one.gain_ms, kinds.index(one.change.kind), _subject(one.change)))
    return found[:GIVEN]


def _subject(change: Candidate) -> tuple[int, int, int, int]:
    return change.job_id, change.node_id, change.project, change.beneficiary


def _worth(now_ms: int, candidate: Candidate, comparison: WhatIf, known: Known) -> Advice | None:
    """The candidate as advice, None where it helps nobody, or not the one it is for."""
    others = [shift for shift in comparison.shifts if shift.before is not None and shift.after is not None]
    sooner = tuple(shift for shift in others if shift.effect in _BETTER)
    now = tuple(shift.job_id for shift in sooner if shift.after is not None and shift.after.start_ms == now_ms)
    later = tuple(shift.job_id for shift in others if shift.effect in _WORSE)
    helped = {shift.job_id for shift in sooner}
    if not helped or (candidate.beneficiary and candidate.beneficiary not in helped):
        return None
    if candidate.kind is AdviceKind.MOVE:
        moved = next((shift.after for shift in comparison.shifts if shift.job_id == candidate.job_id), None)
        if later or candidate.beneficiary not in now or moved is None or moved.start_ms != now_ms:
            return None
    return Advice(candidate, now, sooner, later, known.habits.get(candidate.job_id, Habit()))


def _candidates(snapshot: Snapshot, stages: Stages, known: Known) -> Iterator[Candidate]:
    """Changes that might help somebody, those of machines first, in a fixed order."""
    if not len(snapshot.pending):
        return
    board = Board.of(snapshot, stages.distinguishes)
    line = [board.waiting.rows[job_id] for job_id in in_line(board, snapshot.now_ms, stages, LOOKED_AT)]
    ready = [job for job in line if board.waiting.is_ready(job)]
    for node in snapshot.nodes:
        if node.status is NodeStatus.DRAINING:
            yield Candidate(AdviceKind.RESUME_NODE, NodeTurned(node.id, NodeStatus.UP), node_id=node.id)
    yield from _borrowing(snapshot, ready)
    for job_id in known.idle:
        yield Candidate(AdviceKind.FREE_IDLE_GPU, JobCancelled(job_id), job_id=job_id)
    told: set[tuple[AdviceKind, int, int, int, int]] = set()
    for job in ready:
        for candidate in (*_smaller(job, snapshot.shapes[job.shape], known.habits.get(job.id)), *_moves(board, job, known)):
            # Of jobs that are alike the first one speaks for all.
            key = (candidate.kind, job.shape, job.limit_ms, job.user, candidate.job_id if candidate.kind is AdviceKind.MOVE else 0)
            if key not in told:
                told.add(key)
                yield candidate


def _borrowing(snapshot: Snapshot, ready: list[PendingJob]) -> Iterator[Candidate]:
    waiting = {job.project for job in ready}
    for project in snapshot.projects:
        if project.id in waiting and not project.borrow and project.quota != NO_BOUNDS:
            yield Candidate(AdviceKind.LET_BORROW, ProjectChanged(replace(project, borrow=True)), project=project.id)


def _smaller(job: PendingJob, shape: Shape, habit: Habit | None) -> Iterator[Candidate]:
    """What its runs have shown that it does not need."""
    if habit is None:
        return
    memory_bytes = memory_for(habit.peak_memory_bytes)
    if habit.runs >= LEAST_RUNS and habit.peak_memory_bytes and 2 * memory_bytes <= shape.amounts.memory_bytes:
        less = replace(shape, amounts=replace(shape.amounts, memory_bytes=memory_bytes))
        yield _changed(AdviceKind.LESS_MEMORY, job, less, job.limit_ms)
    limit_ms = limit_for(habit.longest_ms)
    if habit.runs >= LEAST_RUNS and habit.longest_ms and (2 * limit_ms <= job.limit_ms or not job.limit_ms):
        yield _changed(AdviceKind.SHORTER_LIMIT, job, shape, limit_ms)
    if habit.watched >= LEAST_RUNS and shape.gpu_milli == MILLI and habit.gpu_percent < IDLE_PERCENT:
        part = replace(shape, gpu_milli=MILLI // 2, gpu_memory_bytes=memory_for(habit.gpu_memory_bytes))
        yield _changed(AdviceKind.SHARED_GPU, job, part, job.limit_ms)


def _changed(kind: AdviceKind, job: PendingJob, shape: Shape, limit_ms: int) -> Candidate:
    return Candidate(kind, JobChanged(job.id, shape, limit_ms), job.id, shape=shape, limit_ms=limit_ms, beneficiary=job.id)


def memory_for(peak_bytes: int) -> int:
    """An amount that people would ask for, and that leaves a margin above the peak: a power of two, 256 MiB at least."""
    return max(1 << (peak_bytes * MARGIN_MILLI // MILLI).bit_length(), 256 * 2**20)


def limit_for(longest_ms: int) -> int:
    """A time limit in full minutes with a margin above the longest run."""
    return max(1, -(-longest_ms * MARGIN_MILLI // MILLI // MINUTE_MS)) * MINUTE_MS


def _moves(board: Board, job: PendingJob, known: Known) -> Iterator[Candidate]:
    """Running jobs that stand in the way on the node that has the most GPUs free, while as many as are asked for are free in pieces."""
    ask = ask_of(board.shapes[job.shape])
    if ask.tasks != 1 or ask.whole < 2:
        return
    rooms = [room for room in board.rooms.nodes if is_allowed(ask, room)]
    free = {room.id: sum(device.free_milli == MILLI for device in room.devices) for room in rooms}
    if sum(free.values()) < ask.whole or max(free.values(), default=0) >= ask.whole:
        return
    for node_id in sorted(free, key=lambda node_id: (-free[node_id], node_id))[:MOVABLE]:
        there = [
            (len(held.devices), -other.started_ms, other.id)
            for other in board.running.values()
            for held in other.allocations
            if held.node_id == node_id and held.devices and other.id in known.movable and len(other.allocations) == 1
        ]
        for _, _, job_id in sorted(there)[:MOVABLE]:
            yield Candidate(AdviceKind.MOVE, JobRequeued(job_id, known.movable[job_id]), job_id, beneficiary=job.id)
