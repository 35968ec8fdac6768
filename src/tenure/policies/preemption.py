"""Preemption: a job of a higher level may have jobs of lower ones displaced, those that lose least.

The cost of a victim is the work that is lost since its last checkpoint and what it takes to write and to read one, weighted by what
it holds, and 100 points per step that its priority is nearer to that of the job it makes room for: of two that lose the same, the less
important one goes. Only a higher *level* displaces (low, normal, high, critical: priorities 1-3, 4-6, 7, 8-10), and only by a
difference of `PlanSettings.preempt_gap`: critical jobs are never displaced. Invariant: who may displace whom is a strict order of
priorities, so a displaced job never displaces, by way of whomever, the one it was displaced for.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from tenure.core.board import Board
from tenure.core.ledger import NOTHING, asked_by, held_by
from tenure.core.lost import lost_by
from tenure.core.quotas import Quotas
from tenure.core.stages import Reclaim
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob, RunningJob
from tenure.model.project import Bundle
from tenure.model.settings import PlanSettings

_LEVELS = (4, 7, 8)
"""The lowest priorities of the levels above low."""

PER_STEP = 100
"""Points per step of priority."""

WITHIN_QUOTA = 10**15
"""More than all borrowers together cost."""

STEPS = 10
"""More steps than there are between two priorities: costs stay above 0."""


class Preemption:
    """Victims by least cost; a unit is a second of one GPU, or of the cpus that go with one."""

    name = "preemptive"

    def on(self, board: Board, quotas: Quotas | None) -> Reclaim:
        """With quotas, owners go before levels."""
        return self if quotas is None else OwnersFirst(self, board, quotas)

    def outranks(self, job: PendingJob, victim: RunningJob, settings: PlanSettings) -> bool:
        """A higher level, and a difference that is large enough."""
        gap = max(settings.preempt_gap, 1)
        return bisect(_LEVELS, job.priority) > bisect(_LEVELS, victim.priority) and job.priority - victim.priority >= gap

    def together(self, _job: PendingJob, victims: Sequence[RunningJob], _settings: PlanSettings) -> list[RunningJob]:
        """All of them."""
        return list(victims)

    def cost(self, job: PendingJob, victim: RunningJob, size_milli: int, now_ms: int, settings: PlanSettings) -> int:
        """Work lost and what stopping and starting again takes, and how near its priority is."""
        lost_ms = lost_by(victim, now_ms, settings) + settings.preempt_checkpoint_ms + settings.preempt_restart_ms
        nearness = STEPS - (job.priority - victim.priority)
        return lost_ms * size_milli // (MILLI * MILLI) + nearness * PER_STEP


class OwnersFirst:
    """What another part says among equals; but a job within its project's quota may have those of others displaced that borrow, of
    whatever level, and one that would borrow itself none that is within its own. Who borrows is the first to go."""

    def __init__(self, among_equals: Reclaim, board: Board, quotas: Quotas) -> None:
        self.name = among_equals.name
        self._among_equals, self._board, self._quotas = among_equals, board, quotas
        self._leaving: dict[int, Bundle] = {}
        for job in board.running.values():
            if job.stopping:
                self._leaving[job.project] = self._leaving.get(job.project, NOTHING).plus(held_by(job))

    def on(self, _board: Board, _quotas: Quotas | None) -> Reclaim:
        """It knows already."""
        return self

    def _stands(self, job: PendingJob, victim: RunningJob, going: Bundle) -> tuple[bool, bool]:
        """Whether the victim holds something borrowed, and something within its quota, of what the job asks for; ``going`` is what its
        project is giving up anyway."""
        return self._quotas.claims_of(asked_by(self._board.asks[job.shape]), victim.project, held_by(victim), going)

    def _going(self, victim: RunningJob) -> Bundle:
        return self._leaving.get(victim.project, NOTHING)

    def outranks(self, job: PendingJob, victim: RunningJob, settings: PlanSettings) -> bool:
        """Who is within a quota before who borrows, and never the other way; else, and within one project, by level."""
        return self._outranks(job, victim, settings, self._going(victim))

    def _outranks(self, job: PendingJob, victim: RunningJob, settings: PlanSettings, going: Bundle) -> bool:
        if job.project != victim.project:
            is_owner = self._quotas.is_guaranteed(job.project, asked_by(self._board.asks[job.shape]))
            if is_owner and self._stands(job, victim, going)[0]:
                return True
            if not is_owner and self._quotas.is_owned(victim.project, held_by(victim), going):
                return False
        return self._among_equals.outranks(job, victim, settings)

    def together(self, job: PendingJob, victims: Sequence[RunningJob], settings: PlanSettings) -> list[RunningJob]:
        """As many of each project as may be displaced one after the other: with each that goes, less of what the next one holds is
        borrowed."""
        going, found = dict(self._leaving), []
        for victim in victims:
            gone = going.get(victim.project, NOTHING)
            if self._outranks(job, victim, settings, gone):
                going[victim.project] = gone.plus(held_by(victim))
                found.append(victim)
        return found

    def cost(self, job: PendingJob, victim: RunningJob, size_milli: int, now_ms: int, settings: PlanSettings) -> int:
        """The same cost, but who holds what is within a quota costs more than all that borrow together."""
        has_borrowed, has_own = self._stands(job, victim, self._going(victim))
        found = self._among_equals.cost(job, victim, size_milli, now_ms, settings)
        return found + WITHIN_QUOTA if has_own and not has_borrowed else found


PREEMPTION = Preemption()
