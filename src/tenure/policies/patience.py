"""Our own order for batch queues: shortest predicted first, until a job's patience is over; then the first to have lost it.

Shortest first by a forecast wins the mean slowdown and starves long and wide jobs; a plain guard ("who has waited for a day goes
first") comes too late for wide ones, because a machine takes long to drain for them. So patience shrinks with the square root of the
share of the cluster that a job asks for: `PlanSettings.patience_ms` for the smallest, half of it at a quarter, none for a job that
wants everything. Jobs whose patience is over stand in front in the order in which it ended, so each of them waits for a bounded number
of others.

Where more work waits than could be done in time no bound can be kept, and to try makes it first come, first served. So when the work
that waits would take all nodes longer than twice the patience, that is an *overload*: patience grows with its third power, so that less
and less of the machines goes to the overdue (what waits over the patience: J. Little, Operations Research 9(3), 1961), and the
others go by area instead of length, because then a job costs everybody what it takes of the machines and not its time alone (W. E.
Smith, Naval Research Logistics Quarterly 3, 1956). How much waits is worked out anew in each cycle: when the overload is over, patience
is what it was.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Bools, Floats
from tenure.core.stages import Scores, Vector
from tenure.core.waiting import BACKLOG, FIRST_SUBMITTED, PRIORITY, SHARE, WHOLE, Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import lengths_ms

NORMAL_PRIORITY = 5
UNKNOWN_MS = 2**40
"""Longer than anybody's job; small enough for exact floats when a priority doubles it."""

OVERDUE = 2.0**52
"""Above every other score, and the last number from which milliseconds can be taken exactly."""


HOPELESS = 2
"""A backlog of so many times the patience is where it begins to grow."""


class Patience:
    """Overdue jobs by when they became so, then the shortest; under an overload the smallest."""

    name = "patience"
    distinguishes: tuple[str, ...] = ("expected_ms",)
    weighs_backlog = True

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus the length, or the area; for who has no patience left, how long ago that was decides."""
        sizes: Floats = _weight(columns) * np.minimum(lengths_ms(columns, UNKNOWN_MS), UNKNOWN_MS)
        sizes = np.where(_overload(columns, settings) > 1.0, sizes * np.maximum(columns[SHARE], 1), sizes)
        late, scores = overdue(columns, ages_ms, settings)
        found: Scores = np.where(late, scores, -sizes)
        return found


def overdue(columns: Columns, ages_ms: Vector, settings: PlanSettings) -> tuple[Bools, Floats]:
    """Who has no patience left, and the scores that put them in the order in which it ended, in front of everybody (`OVERDUE`)."""
    share = np.minimum(columns[SHARE] / WHOLE, 1.0)
    overload = np.maximum(_overload(columns, settings), 1.0)
    longest_ms = settings.patience_ms * overload * overload * overload
    patience_ms: Floats = np.floor(longest_ms * (1.0 - np.sqrt(share)) * _weight(columns))
    late: Bools = (ages_ms > patience_ms) & (settings.patience_ms > 0)
    return late, OVERDUE - columns[FIRST_SUBMITTED] - patience_ms


def _overload(columns: Columns, settings: PlanSettings) -> Floats:
    """How many times more waits than there may be; 0 where patience is endless."""
    most_ms = HOPELESS * settings.patience_ms
    found: Floats = columns[BACKLOG] / most_ms if most_ms > 0 else np.zeros(columns.shape[1])
    return found


def _weight(columns: Columns) -> Floats:
    """A step of priority halves it."""
    found: Floats = np.ldexp(1.0, (NORMAL_PRIORITY - columns[PRIORITY]).astype(np.int32))
    return found
