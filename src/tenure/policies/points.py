"""Order by points: a level for the priority, a bonus for waiting, a malus per GPU, and a bonus for a quota that is not used up.

Points are counted in thousandths so that they stay integers. Priorities 1-3 are low, 4-6 medium, 7 high, 8-10 critical; a step inside
a level adds `PlanSettings.step`. The waiting bonus grows linearly to its maximum and ages every job alike, so the order is computed
anew each cycle and never frozen at submission. Invariant: with equal priority, queue and GPUs the older job is never behind.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import BONUS, GPU_MILLI, PRIORITY, QUOTA_LEFT, Columns
from tenure.model.amounts import MILLI
from tenure.model.settings import PlanSettings


def level_points(priority: int, settings: PlanSettings) -> int:
    """Points of a priority on the scale 1-10."""
    base, first = (
        (settings.base_low, 1)
        if priority <= 3
        else (settings.base_medium, 4)
        if priority <= 6
        else (settings.base_high, 7)
        if priority == 7
        else (settings.base_critical, 8)
    )
    return base + settings.step * (priority - first)


@lru_cache(maxsize=8)
def _levels(settings: PlanSettings) -> Vector:
    """`level_points` of the priorities 0 to 10 (0 counts as 1)."""
    return np.array([level_points(max(priority, 1), settings) for priority in range(11)], dtype=np.int64)


class Points:
    """The score of a job."""

    name = "points"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Level, queue bonus, GPUs, the bonus for waiting and that for what the project has left of its quota."""
        full_ms = max(settings.wait_full_ms, 1)
        levels = _levels(settings)[np.minimum(np.maximum(columns[PRIORITY], 0), 10)]
        waited = np.minimum(ages_ms, full_ms) * (settings.wait_bonus * MILLI) // full_ms
        points: Vector = (levels + columns[BONUS]) * MILLI - columns[GPU_MILLI] * settings.gpu_penalty + waited
        return points + columns[QUOTA_LEFT] * settings.quota_bonus if settings.quota_bonus else points
