"""Least attained service: who has had little of the machines goes first, whatever is still to come.

J. Gu et al., "Tiresias: A GPU Cluster Manager for Distributed Deep Learning", NSDI 2019: the discretised two-dimensional LAS. A job's
attained service is its GPUs times how long it has run (of a job without GPUs, its cpus); by that it is in one of a few queues, and
within a queue the older goes first, so that jobs of like service do not take turns without end. Which queue a job is in follows from
what it ran before it was displaced or failed; with displacing (`LeastAttained`), as in the paper, a job that has left the first queue
makes room for one that has not. Invariant: service only grows, so a job never moves to an earlier queue.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from tenure.core.board import Board
from tenure.core.ledger import asked_by, held_by
from tenure.core.lost import lost_by
from tenure.core.quotas import Quotas
from tenure.core.stages import Reclaim, Scores, Vector
from tenure.core.waiting import ATTAINED, CPU_MILLI, GPU_MILLI, Columns
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob, RunningJob
from tenure.model.project import Bundle
from tenure.model.settings import PlanSettings
from tenure.policies.preemption import OwnersFirst

LATER_QUEUE = 10
"""The second queue ends at so many times the service at which the first does."""

LONGEST_MS = 2**40
"""No job ran longer: the service stays within 64 bits."""


def borders(settings: PlanSettings) -> tuple[int, int]:
    """The services, in GPU milliseconds, at which the first and the second queue end."""
    return settings.las_queue_ms, LATER_QUEUE * settings.las_queue_ms


def queue_of(attained_ms: int, bundle: Bundle, settings: PlanSettings) -> int:
    """The queue of a job that ran for so long with so much: 0 is the first."""
    width_milli = bundle.gpu_milli or bundle.cpu_milli
    return bisect_right(borders(settings), min(attained_ms, LONGEST_MS) * width_milli // MILLI)


class Attained:
    """The earlier queue first."""

    name = "least_attained"
    distinguishes: tuple[str, ...] = ("attained_ms",)

    def scores(self, columns: Columns, _ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the queue."""
        widths = np.where(columns[GPU_MILLI] > 0, columns[GPU_MILLI], columns[CPU_MILLI])
        service = np.minimum(columns[ATTAINED], LONGEST_MS) * widths // MILLI
        queues: Vector = np.searchsorted(np.array(borders(settings)), service, side="right")
        return -queues


class LeastAttained:
    """Who is in an earlier queue may have those of later ones displaced, those that lose least."""

    name = "least_attained"

    def on(self, board: Board, quotas: Quotas | None) -> Reclaim:
        """What a running job has attained follows from the board's time; with quotas, owners go before services."""
        part = _AtTime(board)
        return part if quotas is None else OwnersFirst(part, board, quotas)

    def outranks(self, _job: PendingJob, _victim: RunningJob, _settings: PlanSettings) -> bool:
        """Nobody can say without the time."""
        return False

    def together(self, _job: PendingJob, victims: Sequence[RunningJob], _settings: PlanSettings) -> list[RunningJob]:
        """All of them."""
        return list(victims)

    def cost(self, _job: PendingJob, victim: RunningJob, size_milli: int, now_ms: int, settings: PlanSettings) -> int:
        """Work lost and what stopping and starting again takes."""
        lost_ms = lost_by(victim, now_ms, settings) + settings.preempt_checkpoint_ms + settings.preempt_restart_ms
        return lost_ms * size_milli // (MILLI * MILLI) + 1


class _AtTime(LeastAttained):
    """The same on one board, at its time."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def outranks(self, job: PendingJob, victim: RunningJob, settings: PlanSettings) -> bool:
        """An earlier queue."""
        ran_ms = victim.attained_ms + max(0, self._board.waiting.now_ms - victim.started_ms)
        mine = queue_of(job.attained_ms, asked_by(self._board.asks[job.shape]), settings)
        return mine < queue_of(ran_ms, held_by(victim), settings)


LEAST_ATTAINED = LeastAttained()
