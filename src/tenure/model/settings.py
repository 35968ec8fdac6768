"""Numbers a plan depends on; each is a setting with this default, and part of the snapshot."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000

LEAST_SLICE_MS = 1000
"""No time slice is shorter: each change of turns costs two signals and two transactions."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Weights of the score that orders what waits, and bounds of the cycle. Scores are thousandths of a point: they stay integers.

    ``base_low`` etc. are the levels' bases; a priority inside its level adds ``step``. The waiting bonus grows linearly to
    ``wait_bonus`` over ``wait_full_ms``. ``gpu_penalty`` is subtracted per GPU (all tasks). ``backfill_depth`` bounds how many
    waiting jobs one cycle looks at behind the head. ``patience_ms`` is how long the order of `tenure.policies.patience` lets a small
    job wait for shorter ones (0: for ever; longer under an overload).
    ``quota_bonus`` are the points of a job whose project holds nothing
    of its quota, less the more it holds. Of past use half is forgotten every ``half_life_ms`` (0: all of it at once). The first queue
    of the order `las` ends at ``las_queue_ms`` of GPU time, the second at ten times that. ``promises`` bounds how many jobs have a
    promised start where the policy promises one to every job. A job that has waited longer than ``guard_ms`` goes before all others,
    whatever the order says (0: none does).

    The others are those of `tenure.policies.preemption`: ``preempt_gap`` is the least difference in priority; a job is displaced only
    after ``preempt_min_run_ms`` and not again within ``preempt_cool_down_ms``; at most ``preempt_per_cycle`` jobs are displaced for
    one, and ``preempt_per_hour`` in any hour. ``preempt_checkpoint_ms`` and ``preempt_restart_ms`` are what an eviction costs beside
    the work that is lost. Room that was made is kept for ``preempt_hold_ms`` after the longest grace. ``checkpoint_every_ms`` says
    how often jobs are assumed to write a checkpoint (0: never).

    ``successors_ms`` is how much work of an array of short jobs may be handed out at once behind one that runs (0: none), see
    `tenure.core.successors`. Where jobs take turns (`tenure.core.rotation`), each runs for at least ``slice_ms`` before it rests.
    """

    base_low: int = 100
    base_medium: int = 500
    base_high: int = 1000
    base_critical: int = 2000
    step: int = 10
    wait_bonus: int = 100
    wait_full_ms: int = 3_600_000
    gpu_penalty: int = 10
    backfill_depth: int = 10_000
    patience_ms: int = 172_800_000
    quota_bonus: int = 0
    half_life_ms: int = 604_800_000
    las_queue_ms: int = 3_600_000
    preempt_gap: int = 1
    preempt_min_run_ms: int = 600_000
    preempt_cool_down_ms: int = 3_600_000
    preempt_per_cycle: int = 8
    preempt_per_hour: int = 60
    preempt_checkpoint_ms: int = 30_000
    preempt_restart_ms: int = 60_000
    preempt_hold_ms: int = 120_000
    checkpoint_every_ms: int = 0
    promises: int = 200
    guard_ms: int = 0
    successors_ms: int = 50
    slice_ms: int = 600_000
    policy: str = "default"

    @property
    def evictions_count_ms(self) -> int:
        """How long an eviction counts: towards the most in an hour, or until its victim's cool-down is over."""
        return max(HOUR_MS, self.preempt_cool_down_ms)
