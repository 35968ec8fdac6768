"""A board's content at one moment, to be looked at elsewhere while the board goes on.

Why not the board itself: it belongs to the thread that plans. Invariant: a board of a picture's snapshot has the content of the board
that the picture was taken of, windows included.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.core.board import Board
from tenure.core.ledger import Ledger, held_by
from tenure.model.allocation import Claim
from tenure.model.job import JobTable, PendingJob, RunningJob
from tenure.model.node import Node
from tenure.model.project import Project, Usage
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.model.window import TimeWindow


@dataclass(frozen=True, slots=True)
class Picture:
    """A board's content at one moment. Rows are immutable and shared, so that taking it costs a few references a job; what is made of
    it may be made in another thread."""

    revision: int
    now_ms: int
    nodes: tuple[Node, ...]
    shapes: dict[int, Shape]
    waiting: tuple[PendingJob, ...]
    running: tuple[RunningJob, ...]
    claims: tuple[Claim, ...]
    queues: tuple[Queue, ...]
    projects: tuple[Project, ...]
    usage: tuple[Usage, ...]
    settings: PlanSettings
    touched: dict[int, tuple[int, ...]]
    strategy: str
    windows: tuple[TimeWindow, ...]

    @staticmethod
    def of(board: Board, now_ms: int) -> Picture:
        """The content of a board, which must be in no trial."""
        return Picture(
            board.revision,
            now_ms,
            board.nodes,
            dict(board.shapes),
            tuple(board.waiting.rows.values()),
            tuple(board.running.values()),
            tuple(board.claims.values()),
            tuple(board.waiting.queues.values()),
            tuple(board.projects.values()),
            tuple(board.ledger.used.values()),
            board.settings,
            dict(board.touched),
            board.strategy,
            board.windows,
        )

    def ledger(self) -> Ledger:
        """The accounts."""
        ledger = Ledger(self.settings.half_life_ms)
        for usage in self.usage:
            ledger.know(usage)
        for job in self.running:
            ledger.hold((job.project, job.user), held_by(job))
        return ledger

    def snapshot(self) -> Snapshot:
        """The same as a snapshot: a board of it has the content of the board that the picture was taken of."""
        return Snapshot(
            revision=self.revision,
            now_ms=self.now_ms,
            nodes=self.nodes,
            shapes=self.shapes,
            pending=JobTable.of(self.waiting),
            running=tuple(sorted(self.running, key=lambda job: job.id)),
            claims=tuple(sorted(self.claims, key=lambda claim: claim.id)),
            queues=tuple(sorted(self.queues, key=lambda queue: queue.id)),
            projects=tuple(sorted(self.projects, key=lambda project: project.id)),
            usage=tuple(sorted(self.usage, key=lambda usage: (usage.project, usage.user))),
            settings=self.settings,
            touched=self.touched,
            strategy=self.strategy,
            reservations=self.windows,
        )
