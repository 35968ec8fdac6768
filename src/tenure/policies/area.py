"""By how much a job takes: the smallest area (what it takes times how long) first, or the largest job first.

Smallest area first is "SAF" in D. Carastan-Santos, R. de Camargo, D. Trystram and S. Zrigui, "One can only gain by replacing EASY
backfilling: a simple scheduling policies case study", CCGRID 2019. Largest first is the decreasing order of first-fit packing
(E. Coffman, M. Garey, D. Johnson and R. Tarjan, "Performance bounds for level-oriented two-dimensional packing algorithms", SIAM J.
Comput. 9(4), 1980): it keeps small jobs to fill the gaps. Either may let the other kind wait for ever.
"""

from __future__ import annotations

from tenure.core.stages import Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings
from tenure.policies.believed import UNKNOWN_MS, lengths_ms, processors


class SmallestArea:
    """The smaller the area, the sooner; a job of unknown length comes after all others."""

    name = "smallest_area"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Minus processors times length."""
        return -processors(columns) * lengths_ms(columns, UNKNOWN_MS)


class Largest:
    """The more a job takes, the sooner."""

    name = "largest"
    distinguishes: tuple[str, ...] = ()

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The processors."""
        return processors(columns)
