"""Who was displaced in a replay, what became of their work, and the room that was promised for it.

A displaced job, or one whose node has failed, ends at once, without grace, and goes on later from its last checkpoint, one every
`PlanSettings.checkpoint_every_ms` of each of its runs, or from its beginning where that is 0. Invariant: what a job has done and not
lost, with what is left of it, is always its run time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tenure.core.lost import lost_work_ms
from tenure.model.allocation import Claim, Eviction
from tenure.model.amounts import Amounts
from tenure.model.plan import Decision, Start
from tenure.model.settings import PlanSettings
from tenure.sim.results import Replayed

MOST_STOPS = 1000
"""Who has been stopped by so many failures of nodes has failed: a job that is longer than nodes last would go round for ever."""


@dataclass(slots=True)
class Displaced:
    """``void`` counts the ends of runs that will not come. ``has_news``: the board must be told of ``claims`` and ``evictions``."""

    settings: PlanSettings
    claims: dict[int, Claim] = field(default_factory=dict)
    evictions: list[Eviction] = field(default_factory=list)
    saved_ms: dict[int, int] = field(default_factory=dict)
    void: Counter[tuple[int, int]] = field(default_factory=Counter)
    has_news: bool = False
    _made: int = 0
    _failures: Counter[int] = field(default_factory=Counter)

    def keep(self, start: Start) -> None:
        """A promise is kept."""
        if start.claim:
            del self.claims[start.claim]
            self.has_news = True

    def promise(self, decision: Decision, amounts: Amounts, now_ms: int) -> None:
        """Take in a decision that displaces, for a job whose tasks take so much each."""
        self.evictions = [item for item in self.evictions if item.at_ms > now_ms - self.settings.evictions_count_ms]
        self.evictions += [Eviction(now_ms, evict.job_id, evict.beneficiary) for evict in decision.evicts]
        victims = tuple(evict.job_id for evict in decision.evicts)
        for claim in decision.claims:
            self._made += 1
            self.claims[self._made] = Claim(self._made, claim.job_id, claim.placements, amounts, claim.deadline_ms, victims)
        self.has_news = True

    def keep_work(self, job_id: int, ran_ms: int) -> None:
        """A job rests after a turn of so long: it goes on from there."""
        self.saved_ms[job_id] = self.saved_ms.get(job_id, 0) + ran_ms

    def stop(self, job_id: int, ran_ms: int, before_ms: int, result: Replayed) -> None:
        """A job's run is over after so long in its last turn, and so long in those before: note what of all that is lost."""
        lost_ms = lost_work_ms(ran_ms + before_ms, self.settings)
        self.saved_ms[job_id] = self.saved_ms.get(job_id, 0) + ran_ms - lost_ms
        result.earlier_ms[job_id - 1] = result.earlier_ms.get(job_id - 1, 0) + ran_ms
        result.lost_ms[job_id - 1] = result.lost_ms.get(job_id - 1, 0) + lost_ms

    def goes_on(self, job_id: int) -> bool:
        """Whether a job that loses its node once more may wait for another one."""
        self._failures[job_id] += 1
        return self._failures[job_id] < MOST_STOPS

    def is_void(self, end: tuple[int, int]) -> bool:
        """Whether this end of a run was made void; each is so once."""
        if not self.void[end]:
            return False
        self.void[end] -= 1
        return True
