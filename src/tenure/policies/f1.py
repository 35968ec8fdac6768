"""F1: the best of the functions that a regression over simulated schedules found.

D. Carastan-Santos and R. de Camargo, "Obtaining dynamic scheduling policies with simulation and machine learning", SC 2017. It is kept
as published: the submission counts from the beginning of the clock. In a log that begins at 0 waiting matters at first and less and
less later; on a clock of epoch seconds a day of waiting is worth next to nothing, so a long wide job may wait for ever.
"""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import FIRST_SUBMITTED, Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import processors, seconds

SUBMITTED_WEIGHT = 870.0


class F1:
    """log10(length) times processors, plus 870 times log10(submission); the lowest first."""

    name = "f1"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the function; submissions in whole seconds, so that no rounding of a logarithm turns two jobs round; at least one."""
        submitted_s = np.maximum(columns[FIRST_SUBMITTED] // 1000, 1)
        found: Scores = -(np.log10(seconds(columns)) * processors(columns) + SUBMITTED_WEIGHT * np.log10(submitted_s))
        return found
