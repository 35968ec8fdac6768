"""Numbers a plan depends on; each is a setting with this default, and part of the snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Weights of the score that orders what waits, and bounds of the cycle. Scores are thousandths of a point: they stay integers.

    ``base_low`` etc. are the levels' bases; a priority inside its level adds ``step``. The waiting bonus grows linearly to
    ``wait_bonus`` over ``wait_full_ms``. ``gpu_penalty`` is subtracted per GPU (all tasks). ``backfill_depth`` bounds how many
    waiting jobs one cycle looks at behind the head. ``patience_ms`` is how long the order of `tenure.policies.patience` lets a small
    job wait for shorter ones (0: for ever). ``quota_bonus`` are the points of a job whose project holds nothing of its quota, less the
    more it holds. Of past use half is forgotten every ``half_life_ms`` (0: all of it at once).
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
    policy: str = "default"
