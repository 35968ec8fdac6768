"""Least loaded: a task goes where the resource that is scarcest afterwards is the least used, so that no node runs hot.

A node's load is its dominant share, the largest of the used shares of cpu, memory and GPUs (A. Ghodsi and others, "Dominant Resource
Fairness", NSDI 2011, apply it to users). A mean, as in `tenure.policies.worst_fit`, would call a node with all cpus and no GPU in use
half empty. It balances load and strands GPUs: for services and mixed work, not for filling a cluster.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI


class LeastLoaded(Score):
    """The dominant share of the node with the task on it."""

    name = "least-loaded"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Thousandths of the resource of which the largest part is taken then."""
        used = [_share(max(node.capacity[i], 1), node.free[i] - ask.need[i]) for i in (0, 1)]
        return max(*used, _share(len(node.devices) * MILLI, node.gpu_free - ask.whole * MILLI - ask.milli))

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns, row, node = judged.columns, judged.row, judged.node
        most = _shares(columns.device_count.take(node) * MILLI, columns.gpu_free.take(node) - judged.gpu_milli.take(row))
        for resource in (0, 1):
            size = columns.size[resource].take(node).astype(np.int64)
            most = np.maximum(most, _shares(size, columns.free[resource].take(node) - judged.need[resource].take(row)))
        return most


def _share(size: int, left: int) -> int:
    """Used thousandths; of what a node has none of (or a single unit, which nobody notices), nothing is used."""
    return (size - left) * MILLI // size if size > 1 else 0


def _shares(size: Ints, left: Ints) -> Ints:
    """The same of many."""
    found: Ints = np.where(size > 1, (size - left) * MILLI // np.maximum(size, 1), 0)
    return found
