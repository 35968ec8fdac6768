"""First come, first served: the order of submission, as EASY was published with. Ties end in the id."""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings


class Fifo:
    """Every job has the same score, so that the tie rule (older submission, then lower id) is the order."""

    name = "fifo"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Nothing: age decides through the tie rule."""
        return np.zeros(columns.shape[1], dtype=np.int64)
