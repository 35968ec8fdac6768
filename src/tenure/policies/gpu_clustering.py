"""GPU clustering: tasks of a kind (a part of a GPU, one GPU, two, ...) go together, so that kinds do not get into each other's way.

W. Xiao, R. Bhardwaj, R. Ramjee and others, "Gandiva: introspective cluster scheduling for deep learning", OSDI 2018, in the form that
the FGD study (Q. Weng and others, USENIX ATC 2023) measures: nodes with only this kind come first, then nodes with this kind among
others, then unused ones, then the rest; among alike the fuller node. Tasks without GPUs take any node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.rooms import Rooms
from tenure.core.scale import UNSCALED, Scale, scale_of
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI
from tenure.policies.knowing import knowing

MOST = 62
"""Kinds of tasks are bits: bit 0 for a part of a GPU, bit k for k GPUs, this last one for all that want more."""

STEP = 25
"""Each of the four cases has so many scores."""


@dataclass(frozen=True, slots=True, eq=False)
class GpuClustering(Score):
    """Who is there already. Knows the rooms, and through them who holds what on a node at the moment."""

    rooms: Rooms | None = None
    scale: Scale = UNSCALED
    name: str = "gpu-clustering"
    singly: int = 32

    def on(self, board: Board) -> Score:
        """For who is on this board."""
        return knowing(board, self.name, board.rooms, lambda rooms: GpuClustering(rooms, scale_of(board)))

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """The case, and the place in it."""
        if not ask.wants_devices:
            return 0
        own = 1 << min(ask.whole, MOST)
        return self._case(own, self._kinds(node.id)) * STEP - STEP * (self.scale.gpu_milli - node.gpu_free) // self.scale.gpu_milli

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns, node = judged.columns, judged.node
        gpu_milli = judged.gpu_milli.take(judged.row)
        kinds = np.array([self._kinds_at(index) for index in judged.among.tolist()], dtype=np.int64).take(node)
        own = np.left_shift(1, np.minimum(gpu_milli // MILLI, MOST))
        case = np.where(kinds == own, 1, np.where(kinds & own, 2, np.where(kinds == 0, 3, 4)))
        taken = STEP * (self.scale.gpu_milli - columns.gpu_free.take(node)) // self.scale.gpu_milli
        scores: Ints = np.where(gpu_milli > 0, case * STEP - taken, 0)
        return scores

    @staticmethod
    def _case(own: int, kinds: int) -> int:
        if kinds == own:
            return 1
        if kinds & own:
            return 2
        return 4 if kinds else 3

    def _kinds(self, node_id: int) -> int:
        index = self.rooms.index.get(node_id) if self.rooms is not None else None
        return 0 if index is None else self._kinds_at(index)

    def _kinds_at(self, index: int) -> int:
        """Which kinds hold something on a node."""
        found = 0
        for holding in self.rooms.holdings[index].values() if self.rooms is not None else ():
            if holding.devices:
                found |= 1 << min(sum(share.milli for share in holding.devices) // MILLI, MOST)
        return found
