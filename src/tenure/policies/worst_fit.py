"""Worst fit, or spreading: a task goes where most is free, so that a failure or a noisy neighbour hits few.

Worst fit of bin packing (Johnson and others 1974); schedulers of services know it as "least allocated" or "spread". It strands GPUs:
it is for services that must not share a fate, not for filling a cluster.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI


class WorstFit(Score):
    """The least mean share of cpu, memory and, for a task with GPUs, of GPUs that is taken."""

    name = "spread"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Thousandths of the node that are taken then."""
        free = float(node.free[0] - ask.need[0]) / max(1, node.capacity[0])
        free += float(node.free[1] - ask.need[1]) / max(1, node.capacity[1])
        if not ask.wants_devices:
            return 2 * MILLI - int(free * MILLI)
        free += float(node.gpu_free - ask.whole * MILLI - ask.milli) / (max(1, len(node.devices)) * MILLI)
        return 3 * MILLI - int(free * MILLI)

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns, row, node = judged.columns, judged.row, judged.node
        free = (columns.free[0].take(node) - judged.need[0].take(row)) / columns.size[0].take(node)
        free += (columns.free[1].take(node) - judged.need[1].take(row)) / columns.size[1].take(node)
        gpu_milli = judged.gpu_milli.take(row)
        gpu_free = (columns.gpu_free.take(node) - gpu_milli) / (np.maximum(columns.device_count.take(node), 1) * MILLI)
        wants = gpu_milli > 0
        free = np.where(wants, free + gpu_free, free)
        found: Ints = np.where(wants, 3 * MILLI, 2 * MILLI) - (free * MILLI).astype(np.int64)
        return found
