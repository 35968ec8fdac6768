"""How much a placement wastes: integer scores, lower is better, for one task on one node and for many at once.

Scores only rank; they are never amounts. Shares are thousandths of a node's own capacity, so nodes of different size compare. The two
forms give the same numbers (a property test).
"""

from __future__ import annotations

import numpy as np

from tenure.core.feasibility import Ask, NodeRoom, device_fits
from tenure.core.tables import Ints, Judged
from tenure.model.amounts import MILLI

DEVICE_WEIGHT = 4
"""A free device counts four times a free share of cpu: GPUs are what runs out."""


def share_left(node: NodeRoom, resource: int, need: int) -> int:
    """Thousandths of the node's capacity that stay free after ``need`` of a resource; the unit is rounded so that nothing overflows."""
    return (node.free[resource] - need) // max(1, node.capacity[resource] // MILLI)


def free_gpu_milli(node: NodeRoom) -> int:
    """Thousandths of GPUs free on the node, over all devices it offers."""
    return sum(device.free_milli for device in node.devices if device.offered)


def leftover_milli(ask: Ask, node: NodeRoom) -> int:
    """What stays free of the fullest device that holds the fraction; 0 for whole devices."""
    if not ask.milli:
        return 0
    return min(device.free_milli for device in node.devices if device_fits(ask, device)) - ask.milli


def waste(ask: Ask, node: NodeRoom) -> int:
    """Best fit: what stays free of cpu, memory and, above all, of devices. A job without GPUs thereby shuns nodes with free ones."""
    left = share_left(node, 0, ask.need[0]) + share_left(node, 1, ask.need[1])
    if not node.devices:
        return left
    gpu_left = free_gpu_milli(node) - ask.whole * MILLI - ask.milli
    return left + DEVICE_WEIGHT * (gpu_left // len(node.devices) + leftover_milli(ask, node))


def wastes(judged: Judged) -> Ints:
    """[S, K]: `waste` of each ask on each node, meaningful where it fits."""
    columns, need = judged.columns, judged.need
    left = (columns.free[np.newaxis, :, 0] - need[:, 0, np.newaxis]) // columns.unit[:, 0]
    left += (columns.free[np.newaxis, :, 1] - need[:, 1, np.newaxis]) // columns.unit[:, 1]
    devices = (columns.gpu_free[np.newaxis] - judged.gpu_milli[:, np.newaxis]) // np.maximum(columns.device_count, 1)
    devices += judged.leftover
    left += np.where(columns.device_count > 0, DEVICE_WEIGHT * devices, 0)
    return left
