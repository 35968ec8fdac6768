"""Our own order for batch queues: shortest predicted first, until a job's patience is over; then the first to have lost it.

Shortest first by a forecast wins the mean slowdown and starves long and wide jobs; a plain guard ("who has waited for a day goes
first") comes too late for wide ones, because a machine takes long to drain for them. So patience shrinks with the square root of the
share of the cluster that a job asks for: `PlanSettings.patience_ms` for the smallest, half of it at a quarter, none for a job that
wants everything. Jobs whose patience is over stand in front in the order in which it ended, so each of them waits for a bounded number
of others.

A step of priority counts as half the length and half the patience. The forecast of a job is its own (`PendingJob.expected_ms`), else
its time limit; one without either comes last until its patience is over. Nothing is promised by a forecast: reservations go by limits
(D. Tsafrir, Y. Etsion and D. Feitelson, IEEE TPDS 18(6), 2007, on why).
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Bools, Floats
from tenure.core.stages import Scores, Vector
from tenure.core.waiting import FIRST_SUBMITTED, PRIORITY, SHARE, WHOLE, Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import lengths_ms

NORMAL_PRIORITY = 5
UNKNOWN_MS = 2**40
"""Longer than anybody's job; small enough for exact floats when a priority doubles it."""

OVERDUE = 2.0**52
"""Above every other score, and the last number from which milliseconds can be taken exactly."""


class Patience:
    """Overdue jobs by when they became so, then the shortest."""

    name = "patience"
    distinguishes: tuple[str, ...] = ("expected_ms",)

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the length; for who has no patience left, how long ago that was decides."""
        shortest_first: Floats = -(_weight(columns) * np.minimum(lengths_ms(columns, UNKNOWN_MS), UNKNOWN_MS))
        late, scores = overdue(columns, ages_ms, settings)
        found: Scores = np.where(late, scores, shortest_first)
        return found


def overdue(columns: Columns, ages_ms: Vector, settings: PlanSettings) -> tuple[Bools, Floats]:
    """Who has no patience left, and the scores that put them in the order in which it ended, in front of everybody (`OVERDUE`)."""
    share = np.minimum(columns[SHARE] / WHOLE, 1.0)
    patience_ms: Floats = np.floor(settings.patience_ms * (1.0 - np.sqrt(share)) * _weight(columns))
    late: Bools = (ages_ms > patience_ms) & (settings.patience_ms > 0)
    return late, OVERDUE - columns[FIRST_SUBMITTED] - patience_ms


def _weight(columns: Columns) -> Floats:
    """A step of priority halves it."""
    found: Floats = np.ldexp(1.0, (NORMAL_PRIORITY - columns[PRIORITY]).astype(np.int32))
    return found
