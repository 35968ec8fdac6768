"""How much a placement wastes: integer scores, lower is better, for one task on one node and for many at once.

Scores only rank; they are never amounts, so they may be worked out in floating point. Shares are of a node's own capacity, so nodes of
different size compare. The two forms take the same steps in the same order and so give the same numbers (a property test).
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom, device_fits
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI

DEVICE_WEIGHT = 4
"""A free device counts four times a free share of cpu: GPUs are what runs out."""


def leftover_milli(ask: Ask, node: NodeRoom) -> int:
    """What stays free of the fullest device that holds the fraction; 0 for whole devices."""
    if not ask.milli:
        return 0
    least = MILLI * MILLI
    for device in node.devices:
        if ask.milli <= device.free_milli < least and device_fits(ask, device):
            least = device.free_milli
    return least - ask.milli


def waste(ask: Ask, node: NodeRoom) -> int:
    """Best fit: what stays free of cpu, memory and, above all, of devices. A job without GPUs thereby shuns nodes with free ones."""
    left = float(node.free[0] - ask.need[0]) / max(1, node.capacity[0]) + float(node.free[1] - ask.need[1]) / max(1, node.capacity[1])
    if node.devices:
        gpu_left = float(node.gpu_free - ask.whole * MILLI - ask.milli) / len(node.devices)
        left += DEVICE_WEIGHT * (gpu_left + leftover_milli(ask, node)) / MILLI
    return int(left * MILLI)


def wastes(judged: Judged) -> Ints:
    """[P]: `waste` of each pair."""
    columns, row, node = judged.columns, judged.row, judged.node
    left = (columns.free[0].take(node) - judged.need[0].take(row)) / columns.size[0].take(node)
    left += (columns.free[1].take(node) - judged.need[1].take(row)) / columns.size[1].take(node)
    count = columns.device_count.take(node)
    gpu_left = (columns.gpu_free.take(node) - judged.gpu_milli.take(row)) / np.maximum(count, 1)
    left += np.where(count > 0, DEVICE_WEIGHT * (gpu_left + judged.leftover) / MILLI, 0.0)
    found: Ints = (left * MILLI).astype(np.int64)
    return found
