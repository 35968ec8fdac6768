"""Earliest deadline first; jobs without a deadline come after those that have one, in the order of submission.

C. Liu and J. Layland, "Scheduling algorithms for multiprogramming in a hard-real-time environment", J. ACM 20(1), 1973.
"""

from __future__ import annotations

import numpy as np

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import DEADLINE, Columns
from tenure.model.settings import PlanSettings

NONE_MS = 2**61
"""Later than any deadline."""


class EarliestDeadline:
    """The sooner it is due, the sooner it starts."""

    name = "earliest_deadline"
    distinguishes: tuple[str, ...] = ("deadline_ms",)

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the deadline."""
        due_ms = columns[DEADLINE]
        found: Vector = -np.where(due_ms > 0, due_ms, NONE_MS)
        return found
