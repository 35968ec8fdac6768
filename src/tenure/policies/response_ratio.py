"""Highest response ratio next: waiting counts in units of the job's own length, so short jobs gain quickly and long ones still gain.

P. Brinch Hansen, "An analysis of response ratio scheduling", IFIP Congress 1971. No job starves: its ratio grows without bound.
"""

from __future__ import annotations

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import seconds


class ResponseRatio:
    """(wait + length) / length."""

    name = "response_ratio"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The ratio."""
        lengths_s = seconds(columns)
        ratio: Scores = (ages_ms / 1000.0 + lengths_s) / lengths_s
        return ratio
