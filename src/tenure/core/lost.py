"""What a job loses that is displaced: what it has done since its last checkpoint.

Invariant: where a job tells of its checkpoints, that is believed before any assumption of how often jobs write one; nobody loses more
than it has done.
"""

from __future__ import annotations

from tenure.model.amounts import format_duration_ms
from tenure.model.job import RunningJob
from tenure.model.settings import PlanSettings


def lost_work_ms(ran_ms: int, settings: PlanSettings) -> int:
    """What a job that ran for so long loses: all since its last checkpoint, or since its start where nobody tells of any."""
    every_ms = settings.checkpoint_every_ms
    return max(ran_ms % every_ms if every_ms > 0 else ran_ms, 0)


def lost_by(job: RunningJob, now_ms: int, settings: PlanSettings) -> int:
    """The same of a running job, milliseconds; it may have told of a checkpoint."""
    ran_ms = max(now_ms - job.started_ms, 0)
    if not job.checkpoint_ms:
        return lost_work_ms(ran_ms, settings)
    return min(max(now_ms - job.checkpoint_ms, 0), ran_ms)


def told(job: RunningJob, now_ms: int, settings: PlanSettings) -> str:
    """The same in words."""
    span = format_duration_ms(lost_by(job, now_ms, settings))
    is_kept = job.checkpoint_ms or settings.checkpoint_every_ms
    return f"{span} of work since its last checkpoint" if is_kept else f"the {span} it ran, for it told of no checkpoint"
