"""GPU packing: first devices that are shared already, then empty devices of used nodes, then empty nodes.

Q. Weng, W. Xiao, Y. Yu and others, "MLaaS in the wild: workload analysis and scheduling in large-scale heterogeneous GPU clusters",
NSDI 2022, in the form that the FGD study (Q. Weng and others, USENIX ATC 2023) measures. Tasks without GPUs take any node.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.scoring import leftover_milli
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI

SHARED, USED, EMPTY = 0, 50, 67
"""Where the three cases begin; within them the fuller device, the fewer devices, the smaller node. Lower is better."""


class GpuPacking(Score):
    """How much is opened by the task."""

    name = "gpu-packing"

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """The case, and the place in it."""
        if not ask.wants_devices:
            return 0
        if node.empty == len(node.devices):
            return min(EMPTY + node.empty, 100 - node.empty)
        if ask.whole:
            return min(USED + ask.whole, EMPTY)
        free = leftover_milli(ask, node) + ask.milli
        return USED + 1 if free >= MILLI else SHARED + free // 100

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns, node = judged.columns, judged.node
        gpu_milli = judged.gpu_milli.take(judged.row)
        empty, whole = columns.empty.sum(axis=0).take(node), gpu_milli // MILLI
        free = judged.leftover + gpu_milli
        fraction = np.where(free >= MILLI, USED + 1, SHARED + free // 100)
        found = np.where(whole > 0, np.minimum(USED + whole, EMPTY), fraction)
        unused = empty == columns.device_count.take(node)
        found = np.where(unused, np.minimum(EMPTY + empty, 100 - empty), found)
        scores: Ints = np.where(gpu_milli > 0, found, 0)
        return scores
