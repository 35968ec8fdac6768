"""First come, first served: the order of submission, as EASY was published with. Ties end in the id."""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Vector
from tenure.core.waiting import FIRST_ID, Columns
from tenure.model.settings import PlanSettings


class Fifo:
    """Every job has the same score, so that the tie rule (older submission, then lower id) is the order."""

    name = "fifo"

    def fixed(self, columns: Columns, settings: PlanSettings) -> Vector:
        """Nothing."""
        return np.zeros_like(columns[FIRST_ID])

    def ageing(self, ages_ms: Vector, settings: PlanSettings) -> Vector:
        """Nothing: age decides through the tie rule."""
        return np.zeros_like(ages_ms)

    def ageing_of(self, age_ms: int, settings: PlanSettings) -> int:
        """Nothing."""
        return 0
