"""Shortest first, by what is believed of the run time: the time limit. Jobs of which nothing is known come last.

As an order behind the head it is the SJBF of D. Tsafrir, Y. Etsion and D. Feitelson, "Backfilling using system-generated predictions
rather than user runtime estimates", IEEE TPDS 18(6), 2007.
"""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Vector
from tenure.core.waiting import LIMIT, Columns
from tenure.model.settings import PlanSettings

UNKNOWN_MS = 2**61
"""Longer than any limit."""


class Shortest:
    """The shorter, the sooner."""

    name = "shortest"

    def fixed(self, columns: Columns, settings: PlanSettings) -> Vector:
        """Minus the limit."""
        limits = columns[LIMIT]
        return -np.where(limits > 0, limits, UNKNOWN_MS)

    def ageing(self, ages_ms: Vector, settings: PlanSettings) -> Vector:
        """Nothing: who waits does not become shorter."""
        return np.zeros_like(ages_ms)

    def ageing_of(self, age_ms: int, settings: PlanSettings) -> int:
        """Nothing."""
        return 0
