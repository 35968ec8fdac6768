"""Shortest first, by what is believed of the run time. Jobs of which nothing is known come last; a long one may wait for ever.

As an order it is the SJF of every textbook (optimal for the mean wait on one processor: W. E. Smith, "Various optimizers for
single-stage production", Naval Research Logistics Quarterly 3, 1956); behind the head it is the SJBF of D. Tsafrir, Y. Etsion and
D. Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates", IEEE TPDS 18(6), 2007.
"""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import LIMIT, Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import UNKNOWN_MS, lengths_ms


class Shortest:
    """The shorter, the sooner, by the time limit."""

    name = "shortest"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the limit, even where another part of the policy reads forecasts. Who waits does not become shorter."""
        limits = columns[LIMIT]
        found: Scores = -np.where(limits > 0, limits, UNKNOWN_MS)
        return found


class ShortestPredicted(Shortest):
    """The same by the forecast, of a job without one by the time limit."""

    name = "shortest_predicted"
    distinguishes: tuple[str, ...] = ("expected_ms",)

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the length."""
        return -lengths_ms(columns, UNKNOWN_MS)
