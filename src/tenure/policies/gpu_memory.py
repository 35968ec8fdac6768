"""Fit by GPU memory, then by load: on the GPUs with the least memory that will do, and of those on the node that is the least loaded.

Jobs that need little memory leave the large GPUs to those that need them: best fit (`tenure.policies.best_fit`) by the one amount of a
device that cannot be shared out among several of its kind. Load is the dominant share (`tenure.policies.least_loaded`). Where no GPU
is asked for, nodes without GPUs come first.
"""

from __future__ import annotations

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import GIB, MILLI
from tenure.policies.knowing import knowing
from tenure.policies.least_loaded import LeastLoaded

STEP = 2 * MILLI
"""A GiB of GPU memory counts more than all of a node's load."""

MOST_GIB = 2**12

LOAD = LeastLoaded()


class GpuMemory(Score):
    """The memory of the largest GPU of the node, then the load with the task on it. Before `on` memory is read from the room."""

    name = "gpu-memory"

    def __init__(self, gibs: Ints | None = None) -> None:
        self._gibs = gibs

    def on(self, board: Board) -> Score:
        """For the nodes of this board."""
        return knowing(board, self.name, board.rooms, lambda _: GpuMemory(_gibs_of(board)))

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Steps of memory, then thousandths of load."""
        return _gib(node) * STEP + LOAD.score(ask, node)

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        assert self._gibs is not None, "the planner tells every score of its board first"
        found: Ints = self._gibs.take(judged.among.take(judged.node)) * STEP + LOAD.table(judged)
        return found


def _gib(node: NodeRoom) -> int:
    return min(max((device.memory_bytes // GIB for device in node.devices), default=0), MOST_GIB)


def _gibs_of(board: Board) -> Ints:
    return np.array([_gib(node) for node in board.rooms.nodes], dtype=np.int64)
