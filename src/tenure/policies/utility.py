"""The utility functions of Blue Gene/P's scheduler: the slowdown so far against the size of a job.

W. Tang, Z. Lan, N. Desai and D. Buettner, "Fault-aware, utility-based job scheduling on Blue Gene/P systems", CLUSTER 2009: WFP3
favours large and old jobs, UNICEP small and short ones. Both start from 0 and grow with waiting, so nothing starves.
"""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import processors, seconds


class Wfp3:
    """(wait / length)³ times processors."""

    name = "wfp3"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The utility."""
        slowdown = ages_ms / 1000.0 / seconds(columns)
        utility: Scores = slowdown * slowdown * slowdown * processors(columns)
        return utility


class Unicep:
    """wait / (log2(processors) times length); one processor and less count as two, whose logarithm is 1."""

    name = "unicep"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The utility."""
        utility: Scores = ages_ms / 1000.0 / (np.log2(np.maximum(processors(columns), 2.0)) * seconds(columns))
        return utility
