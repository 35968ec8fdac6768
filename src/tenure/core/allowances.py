"""What is kept of a project's bounds for those of its jobs that are promised something.

Room is kept for a head by its reservation; what its project may hold is kept here, or others of the project would go ahead and leave
it above the bound when its room is free. Kept is what is asked for by

- the head, from those that may still run when it starts; where everybody is promised a start, by all who are;
- the first job of each project, in the order, that is above the bound itself, once it has waited as long as protects a head whose start
  is unknown (`tenure.core.backfill.has_waited`). Such a job takes no turn, and smaller ones of its project could else go past it for
  ever: each that ends makes room for the next one. As they end, the project comes below its bound, and from then on the job
  takes its turn among all others, with a reservation where there is no room.

Invariant: nobody of another project is held back, nor anybody by what he does not ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenure.core.backfill import has_waited
from tenure.core.ledger import NOTHING, asked_by
from tenure.core.quotas import Quotas
from tenure.core.turns import GUARDED, Turn
from tenure.model.job import PendingJob
from tenure.model.project import Bundle
from tenure.model.reasons import WouldDelay

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle


class Allowances:
    """What one cycle keeps, by project; used once."""

    def __init__(self, cycle: Cycle, quotas: Quotas) -> None:
        self._cycle = cycle
        self._quotas = quotas
        self._kept: dict[int, tuple[int, Bundle]] = {}

    def is_open(self, project: int) -> bool:
        """Whether nothing is kept for a job of the project that is above the bound."""
        return project not in self._kept

    def keep(self, turn: Turn, job: PendingJob, bundle: Bundle) -> None:
        """A job is above its project's bound at its turn: keep what it asks for, if it has waited so long and ever may have it."""
        cycle = self._cycle
        if not self.is_open(job.project) or not (cycle.stages.backfill.reserve or turn[0] == GUARDED):
            return
        if has_waited(cycle.board, job.id, cycle.now_ms) and self._quotas.could_hold(job.project, bundle):
            self._kept[job.project] = (job.id, bundle)

    def held_back(self, job: PendingJob, position: int = -1) -> WouldDelay | None:
        """For whose sake a job, or that element of an array, does not start although its own project would let it; None when it may."""
        if not self._quotas.is_bounded(job.project):
            return None
        others = list(self._others(job, position))
        kept = NOTHING
        for _, bundle in others:
            kept = kept.plus(bundle)
        return None if self._quotas.holds_both(job.project, self._bundle(job), kept) else others[0][0]

    def _others(self, job: PendingJob, position: int) -> Iterator[tuple[WouldDelay, Bundle]]:
        """Those of its project for whom something is kept from the job."""
        cycle, promises, window = self._cycle, self._cycle.promises, self._cycle.window
        if promises is not None and (job.id, position) in promises.kept:
            return
        if job.project in self._kept:
            number, bundle = self._kept[job.project]
            yield WouldDelay(number), bundle
        rows = cycle.board.waiting.rows
        if promises is not None:
            made = [promise.reservation for promise in promises.kept.values()]
        else:
            made = [window.reservation] if window is not None and cycle.sought.is_careful(job.limit_ms) else []
        for one in made:
            other = rows[one.job_id]
            if other.project == job.project and (other.id != job.id or promises is not None):
                yield WouldDelay(other.id, one.start_ms), self._bundle(other)

    def _bundle(self, job: PendingJob) -> Bundle:
        return asked_by(self._cycle.board.asks[job.shape])
