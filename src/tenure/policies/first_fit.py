"""First fit: the first node that holds the task, in the order of their ids.

First fit of bin packing (D. S. Johnson, "Near-optimal bin packing algorithms", MIT, 1973). With the largest jobs first (order ``ljf``)
it is first fit decreasing.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.stages import Score
from tenure.core.tables import Judged


class FirstFit(Score):
    """Every node is as good as another, so that the tie rule decides."""

    name = "first-fit"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Nothing."""
        return 0

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        return np.zeros(len(judged.node), dtype=np.int64)
