"""Running jobs of a replay as they take turns: who rests holds no cpus, and its work and its time limit stand still.

Invariant: what a job has run, over all its turns, is its run time when it ends; nothing of it is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tenure.model.amounts import Amounts
from tenure.model.job import RESTS, RunningJob


@dataclass(slots=True)
class Turns:
    """``ran_ms`` is for how long each job has run in the turns before this one, since it was started last; ``limits_ms`` are the time
    limits of those that rest."""

    ran_ms: dict[int, int] = field(default_factory=dict)
    limits_ms: dict[int, int] = field(default_factory=dict)

    def rest(self, job: RunningJob, ran_ms: int, now_ms: int) -> RunningJob:
        """The job from now on, without its cpus, after a turn of so long."""
        self.ran_ms[job.id] = self.ran_ms.get(job.id, 0) + ran_ms
        self.limits_ms[job.id] = job.ends_by_ms - job.started_ms if job.ends_by_ms else 0
        held = tuple(replace(one, amounts=replace(one.amounts, cpu_milli=0)) for one in job.allocations)
        return replace(job, rest=RESTS, slice_ms=now_ms, ends_by_ms=0, allocations=held)

    def go_on(self, job: RunningJob, amounts: Amounts, now_ms: int) -> RunningJob:
        """A job that rests, from now on: with its cpus, and as if it had begun later by as long as it has rested."""
        limit_ms = self.limits_ms.pop(job.id)
        started_ms = job.started_ms + now_ms - job.slice_ms
        held = tuple(replace(one, amounts=amounts) for one in job.allocations)
        ends_by_ms = started_ms + limit_ms if limit_ms else 0
        return replace(job, rest=0, slice_ms=now_ms, started_ms=started_ms, ends_by_ms=ends_by_ms, allocations=held)

    def forget(self, job_id: int) -> int:
        """The run is over; for how long it had run before its last turn."""
        self.limits_ms.pop(job_id, None)
        return self.ran_ms.pop(job_id, 0)
