"""What would start when if something were different: the same look ahead twice, on the queue as it is and as it would be.

An alteration makes one snapshot of another, so alterations combine in the order in which they are given, and what is compared is what
`tenure.core.forward` says of both. Nothing here decides anything by itself. Pure; every board is one of its own. Invariant: without
an alteration both sides agree, and a job appears once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from tenure.core.board import Board, end_of
from tenure.core.forward import HORIZON_UNITS, Planning, first_in_order, look_ahead
from tenure.core.rooms import FOREVER
from tenure.core.stages import Stages
from tenure.model.explanation import UnknownStart
from tenure.model.job import PendingJob, RunningJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.node import Node
from tenure.model.project import Project
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot

HOPELESS = (UnknownStart.UNAVAILABLE, UnknownStart.NEVER, UnknownStart.DEADLINE)
"""Nothing holds such a job as things are on that side, or not in time."""

COMPARED = 200
"""So many waiting jobs are compared unless somebody asks for more: those that come first."""


class Alteration(Protocol):
    """One thing that is different."""

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it would be. What it names and the snapshot does not have is left alone."""
        ...


@dataclass(frozen=True, slots=True)
class NodesAdded:
    """More nodes, empty. Ids of nodes and devices must be new."""

    nodes: tuple[Node, ...]

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with these nodes."""
        return replace(snapshot, nodes=tuple(sorted((*snapshot.nodes, *self.nodes), key=lambda node: node.id)))


@dataclass(frozen=True, slots=True)
class NodeTurned:
    """A node has another status: draining, it takes nothing new and what runs there goes on; up, it takes work again."""

    node_id: int
    status: NodeStatus

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the node of that status."""
        nodes = (replace(node, status=self.status) if node.id == self.node_id else node for node in snapshot.nodes)
        return replace(snapshot, nodes=tuple(nodes))


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node is gone at once. What ran there, even in part, waits again from its beginning, in its old place in the line."""

    node_id: int

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot without the node."""
        hit = [job for job in snapshot.running if any(held.node_id == self.node_id for held in job.allocations)]
        again = {job.id: _from_the_beginning(job) for job in hit if not job.stopping}
        gone = {job.id for job in hit}
        return replace(
            snapshot,
            nodes=tuple(node for node in snapshot.nodes if node.id != self.node_id),
            running=tuple(job for job in snapshot.running if job.id not in gone),
            pending=snapshot.pending.changed(again, ()),
        )


def _from_the_beginning(job: RunningJob) -> PendingJob:
    """A running job as it would wait. A plan does not know when it was submitted; it was before it started."""
    limit_ms = max(0, job.ends_by_ms - job.started_ms) if job.ends_by_ms else 0
    return PendingJob(job.id, job.shape, job.queue, job.project, job.user, job.priority, submitted_ms=job.started_ms, limit_ms=limit_ms)


@dataclass(frozen=True, slots=True)
class JobAdded:
    """One more job waits. Its id must be new and is the last in any tie; its ``shape`` number is given by the snapshot."""

    job: PendingJob
    shape: Shape

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the job."""
        number = next((number for number, known in sorted(snapshot.shapes.items()) if known == self.shape), None)
        if number is None:
            number = 1 + max(snapshot.shapes, default=0)
        job = replace(self.job, shape=number)
        shapes = {**snapshot.shapes, number: self.shape}
        return replace(snapshot, shapes=shapes, pending=snapshot.pending.changed({job.id: job}, ()))


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """A waiting job has another priority; that of a running one decides nothing."""

    job_id: int
    priority: int

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with that priority."""
        job = snapshot.job(self.job_id)
        if job is None:
            return snapshot
        return replace(snapshot, pending=snapshot.pending.changed({job.id: replace(job, priority=self.priority)}, ()))


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A waiting job asks for something else, or has another time limit."""

    job_id: int
    shape: Shape
    limit_ms: int

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the job changed."""
        job = snapshot.job(self.job_id)
        return snapshot if job is None else JobAdded(replace(job, limit_ms=self.limit_ms), self.shape).on(snapshot)


@dataclass(frozen=True, slots=True)
class JobRequeued:
    """A running job, which is no element of an array, waits again from its beginning, as old as it is."""

    job_id: int
    submitted_ms: int

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the job in the line."""
        job = next((job for job in snapshot.running if job.id == self.job_id and not job.stopping), None)
        if job is None:
            return snapshot
        again = replace(_from_the_beginning(job), submitted_ms=self.submitted_ms)
        running = tuple(other for other in snapshot.running if other.id != job.id)
        return replace(snapshot, running=running, pending=snapshot.pending.changed({job.id: again}, ()))


@dataclass(frozen=True, slots=True)
class ProjectChanged:
    """Something else was decided about a project."""

    project: Project

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the project as it would be."""
        return replace(snapshot, projects=tuple(self.project if known.id == self.project.id else known for known in snapshot.projects))


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Plans are made with other numbers."""

    settings: PlanSettings

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with these settings."""
        return replace(snapshot, settings=self.settings)


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """A job ends now and what it holds is free at once; of an array (``position`` -1) everything, else the element at that position
    that has not started."""

    job_id: int
    position: int = -1

    def on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot without it."""
        if self.position >= 0:
            return self._without_element(snapshot)
        ended = [job for job in snapshot.running if self.job_id in (job.id, job.array_id)]
        gone = {job.id for job in ended}
        arrays = [job.array_id for job in ended if job.array_id]
        roomier = {
            job.id: replace(job, array_room=job.array_room + arrays.count(job.id))
            for number in sorted(set(arrays))
            if (job := snapshot.job(number)) is not None
        }
        running = tuple(job for job in snapshot.running if job.id not in gone)
        return replace(snapshot, running=running, pending=snapshot.pending.changed(roomier, [self.job_id]))

    def _without_element(self, snapshot: Snapshot) -> Snapshot:
        job, touched = snapshot.job(self.job_id), snapshot.touched.get(self.job_id, ())
        if job is None or self.position < job.array_next or self.position in touched:
            return snapshot
        if job.array_left <= 1:
            return replace(snapshot, pending=snapshot.pending.changed({}, [job.id]))
        rest = replace(job, array_left=job.array_left - 1)
        skipped = {**snapshot.touched, job.id: tuple(sorted((*touched, self.position)))}
        return replace(snapshot, pending=snapshot.pending.changed({job.id: rest}, ()), touched=skipped)


def altered(snapshot: Snapshot, alterations: Iterable[Alteration]) -> Snapshot:
    """The snapshot after all of them, in their order."""
    for alteration in alterations:
        snapshot = alteration.on(snapshot)
    return snapshot


class Effect(StrEnum):
    """What an alteration does to one job."""

    SAME = "same"
    SOONER = "sooner"
    LATER = "later"
    POSSIBLE = "possible"
    """Nothing could hold it, or not before its deadline; now something could."""
    IMPOSSIBLE = "impossible"
    """Something could hold it; now nothing could, or not before its deadline."""
    FORESEEN = "foreseen"
    """Nobody could say when it starts; now it is known."""
    UNFORESEEN = "unforeseen"
    """It was known when it starts; now nobody can say."""
    BEYOND = "beyond"
    """On one side at least the start lies beyond what was worked out."""
    ADDED = "added"
    INTERRUPTED = "interrupted"
    """It runs, and would wait again."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a job starts on one side, in milliseconds since the epoch; 0 when nobody can say, ``unknown`` says why."""

    start_ms: int = 0
    unknown: UnknownStart | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """One job on both sides; None on the one where it does not wait."""

    job_id: int
    before: Outlook | None
    after: Outlook | None
    effect: Effect

    @property
    def change_ms(self) -> int | None:
        """How much later it starts (negative: sooner); None unless both starts are known."""
        if self.before is None or self.after is None or not (self.before.start_ms and self.after.start_ms):
            return None
        return self.after.start_ms - self.before.start_ms


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The comparison. ``shifts``: jobs in the order in which they are considered as things are, then those that would wait only if.

    ``waiting`` is how many wait as things are. ``endless`` are the jobs without a known end on the altered side: those that run, by id,
    then those of the ``shifts``.
    """

    shifts: tuple[Shift, ...]
    waiting: int
    endless: tuple[int, ...]


def what_if(
    snapshot: Snapshot,
    alterations: Sequence[Alteration],
    stages: Stages,
    instead: Stages | None = None,
    *,
    planning: Planning | None = None,
    planning_instead: Planning | None = None,
    count: int = COMPARED,
    units: int = HORIZON_UNITS,
) -> WhatIf:
    """What would become of the first ``count`` waiting jobs, and of those that an alteration concerns.

    ``instead`` are the stages of another policy on the altered side, ``planning`` and ``planning_instead`` how the two plan where their
    stages change from cycle to cycle (`tenure.core.forward.look_ahead`). Each side costs at most ``units``; what lies beyond is unknown
    (`UnknownStart.TOO_FAR`).
    """
    now_ms, after = snapshot.now_ms, altered(snapshot, alterations)
    board, other = Board.of(snapshot, stages.distinguishes), Board.of(after, (instead or stages).distinguishes)
    named = {item.job_id for item in alterations if isinstance(item, PriorityChanged | JobCancelled | JobChanged)}
    line = in_line(board, now_ms, stages, count)
    line += sorted((named & board.waiting.rows.keys()).difference(line))
    fresh = sorted(other.waiting.rows.keys() - board.waiting.rows.keys())
    before_by_id = after_by_id = _outlooks(board, now_ms, stages, line, units, planning)
    if alterations or instead is not None:
        still = [job_id for job_id in line if job_id in other.waiting.rows]
        later = planning if instead is None else planning_instead
        after_by_id = _outlooks(other, now_ms, instead or stages, [*still, *fresh], units, later)
    shifts = []
    for job_id in (*line, *fresh):
        pair = before_by_id.get(job_id), after_by_id.get(job_id)
        effect = _effect(*pair) if pair[0] is not None else Effect.INTERRUPTED if job_id in board.running else Effect.ADDED
        shifts.append(Shift(job_id, *pair, effect))
    return WhatIf(
        tuple(shifts), len(board.waiting.rows), _endless(other, [shift.job_id for shift in shifts if shift.after is not None])
    )


def _endless(board: Board, waiting: Iterable[int]) -> tuple[int, ...]:
    """The jobs that hold their room for nobody knows how long, or will."""
    running = [job_id for job_id in sorted(board.running) if end_of(board.running[job_id]) >= FOREVER]
    return (*running, *(job_id for job_id in waiting if not board.waiting.rows[job_id].limit_ms))


def in_line(board: Board, now_ms: int, stages: Stages, count: int) -> list[int]:
    """The first ``count`` waiting jobs: those that may start in the order they are considered, those of a later time by that time, then
    those that wait for something else than room, by id."""
    line = first_in_order(board, now_ms, stages, count)
    if len(line) < count:
        known = set(line)
        rest = [(job.eligible_ms if _is_ready(board, job) else FOREVER, job.id) for job in board.waiting.rows.values()]
        line += [job_id for _, job_id in sorted(rest) if job_id not in known][: count - len(line)]
    return line


def _is_ready(board: Board, job: PendingJob) -> bool:
    return not (job.held or job.blocked or board.waiting.is_paused(job))


def _outlooks(
    board: Board, now_ms: int, stages: Stages, job_ids: Sequence[int], units: int, planning: Planning | None
) -> dict[int, Outlook]:
    timeline = look_ahead(board, now_ms, stages, job_ids, units, planning)
    return {
        job_id: Outlook(timeline.starts[job_id]) if job_id in timeline.starts else Outlook(unknown=timeline.unknown[job_id])
        for job_id in job_ids
    }


def _effect(before: Outlook | None, after: Outlook | None) -> Effect:
    """What became of a job that waits as things are."""
    if before is None or after is None:
        return Effect.CANCELLED
    if UnknownStart.TOO_FAR in (before.unknown, after.unknown):
        return Effect.BEYOND
    if before.unknown is after.unknown:
        difference = after.start_ms - before.start_ms
        return Effect.LATER if difference > 0 else Effect.SOONER if difference < 0 else Effect.SAME
    if (before.unknown in HOPELESS) != (after.unknown in HOPELESS):
        return Effect.IMPOSSIBLE if after.unknown in HOPELESS else Effect.POSSIBLE
    if before.unknown is not None and after.unknown is not None:
        return Effect.SAME
    return Effect.FORESEEN if after.unknown is None else Effect.UNFORESEEN
