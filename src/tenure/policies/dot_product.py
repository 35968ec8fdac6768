"""Dot product: a task goes where what it asks for points least along what is free.

R. Grandl, G. Ananthanarayanan, S. Kandula, S. Rao and A. Akella, "Multi-resource packing for cluster schedulers", SIGCOMM 2014, as
the FGD study (Q. Weng and others, USENIX ATC 2023) measures it on GPU clusters: cpu and GPUs in shares of the largest node, all GPUs of
a node as one dimension, and the smallest product first, in whole percent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.scale import UNSCALED, Scale, scale_of
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI
from tenure.policies.knowing import knowing

PERCENT = 100


@dataclass(frozen=True, slots=True, eq=False)
class DotProduct(Score):
    """The smallest product of request and free amounts."""

    scale: Scale = UNSCALED
    name: str = "dot-product"
    singly: int = 32

    def on(self, board: Board) -> Score:
        """Scaled by the board's largest node."""
        return knowing(board, self.name, scale_of(board), DotProduct)

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Percent of the largest product there could be."""
        cpu, gpu = self.scale
        found = float(max(node.free[0], 0)) / cpu * (float(ask.need[0]) / cpu)
        found += float(node.gpu_free) / gpu * (float(ask.whole * MILLI + ask.milli) / gpu)
        return PERCENT - int((1 - found / 2) * PERCENT)

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        cpu, gpu = self.scale
        columns, row, node = judged.columns, judged.row, judged.node
        found = np.maximum(columns.free[0], 0).take(node) / cpu * (judged.need[0] / cpu).take(row)
        found += columns.gpu_free.take(node) / gpu * (judged.gpu_milli / gpu).take(row)
        scores: Ints = PERCENT - ((1 - found / 2) * PERCENT).astype(np.int64)
        return scores
