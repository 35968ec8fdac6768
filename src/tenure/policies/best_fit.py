"""Best fit: a task goes where it leaves least.

The multi-dimensional form of best fit of bin packing (Johnson, Demers, Ullman, Garey and Graham, "Worst-case performance bounds for
simple one-dimensional packing algorithms", SIAM J. Comput. 3(4), 1974), on normalised dimensions (Panigrahy, Talwar, Uyeda and Wieder,
"Heuristics for vector bin packing", 2011), with devices weighted above cpu and memory.
"""

from __future__ import annotations

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.scoring import waste, wastes
from tenure.core.stages import Score
from tenure.core.tables import Judged


class BestFit(Score):
    """Least waste."""

    name = "best_fit"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """What would stay free (`tenure.core.scoring.waste`)."""
        return waste(ask, node)

    def table(self, judged: Judged) -> Ints:
        """The same for many."""
        return wastes(judged)
