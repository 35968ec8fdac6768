"""Cpu by bands of use: a node that is neither idle nor nearly full is best, then one with much memory and bandwidth free.

A house rule for tools that need cpu: use between 30 and 70 % is worth 40 points, below 30, above 10; the free share of the
memory up to 30, each free Gbit/s one, up to 20. What a node has done in the past is not part of the board, so its 10 points are not
given. Use is what is promised to jobs, not what a meter shows: that is the same when a plan is made and when it is replayed.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.stages import Score
from tenure.core.tables import Judged

POINT = 1000
"""Scores are thousandths of a point."""

LOW, HIGH = 0.3, 0.7
BELOW, WITHIN, ABOVE = 30 * POINT, 40 * POINT, 10 * POINT
MEMORY = 30
GBIT_BPS, MOST_GBITS = 10**9, 20
MOST = WITHIN + (MEMORY + MOST_GBITS) * POINT


class CpuBands(Score):
    """Points that a node lacks before the task comes."""

    name = "cpu-bands"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Thousandths of a point below the most there are."""
        used = 1 - float(node.free[0]) / max(1, node.capacity[0])
        points = BELOW if used < LOW else WITHIN if used <= HIGH else ABOVE
        points += int(max(float(node.free[1]), 0) / max(1, node.capacity[1]) * (MEMORY * POINT))
        return MOST - points - min(max(node.free[3], 0) // (GBIT_BPS // POINT), MOST_GBITS * POINT)

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns = judged.columns
        used = 1 - columns.free[0] / columns.size[0]
        points = np.where(used < LOW, BELOW, np.where(used <= HIGH, WITHIN, ABOVE))
        points += (np.maximum(columns.free[1], 0) / columns.size[1] * (MEMORY * POINT)).astype(np.int64)
        points += np.minimum(np.maximum(columns.free[3], 0) // (GBIT_BPS // POINT), MOST_GBITS * POINT)
        found: Ints = (MOST - points).take(judged.node)
        return found
