"""Thrift: a task goes where it draws the least power, or where its share of a node costs least; of equal nodes to the best fit.

What an idle node draws is sunk unless the node can sleep: only then is it worth keeping one empty (A. Beloglazov, J. Abawajy and
R. Buyya, "Energy-aware resource allocation heuristics for efficient management of data centers", Future Generation Computer Systems
28(5), 2012, on power-aware best fit). Nodes that declare nothing (`tenure.model.upkeep`) count as if they drew and cost nothing, so
where none does this is best fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Floats, Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.objectives import share_of
from tenure.core.scoring import waste, wastes
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI
from tenure.model.lifecycle import DeviceStatus
from tenure.model.node import Node
from tenure.model.upkeep import Upkeep, upkeep_of
from tenure.policies.knowing import knowing

FINEST, MOST = 16_384, 100_000
"""Best fit decides below one step of the rate; rates above so many steps are alike."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """By node index: steps of the rate for the whole node, steps for waking it, and what of its GPUs is free while it is empty."""

    index: dict[int, int]
    whole: Ints
    waking: Ints
    gpu_milli: Ints


class _Thrift(Score):
    """The least rate. Before `on` all nodes are alike."""

    def __init__(self, name: str, rate: Callable[[Upkeep], tuple[int, int]], known: _Rates | None = None) -> None:
        self.name = name
        self._rate = rate
        self._known = known

    def on(self, board: Board) -> Score:
        """For the nodes of this board."""
        return knowing(board, self.name, board.rooms, lambda _: _Thrift(self.name, self._rate, self._rates(board)))

    def _rates(self, board: Board) -> _Rates:
        pairs = [self._rate(upkeep_of(node.labels)) for node in board.rooms.nodes]
        whole, waking = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        nodes = {node.id: node for node in board.nodes}
        gpu_milli = np.array([_offered_milli(nodes[room.id]) for room in board.rooms.nodes], dtype=np.int64)
        return _Rates(board.rooms.index, whole, waking, gpu_milli)

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Steps of the rate, then what stays free."""
        finest = min(waste(ask, node), FINEST - 1)
        index = self._known.index.get(node.id) if self._known is not None else None
        if self._known is None or index is None:
            return finest
        steps = int(self._known.whole[index] * share_of(ask, node))
        if node.free[0] == node.capacity[0] and node.free[1] == node.capacity[1] and node.gpu_free == self._known.gpu_milli[index]:
            steps += int(self._known.waking[index])
        return min(steps, MOST) * FINEST + finest

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        finest: Ints = np.minimum(wastes(judged), FINEST - 1)
        if self._known is None:
            return finest
        columns, row, node = judged.columns, judged.row, judged.node
        index = judged.among.take(node)
        share: Floats = judged.need[0].take(row) / columns.size[0].take(node)
        share = np.maximum(share, judged.need[1].take(row) / columns.size[1].take(node))
        share = np.maximum(share, judged.gpu_milli.take(row) / (np.maximum(columns.device_count.take(node), 1) * MILLI))
        steps = (self._known.whole.take(index) * share).astype(np.int64)
        empty = (columns.free[:2].take(node, axis=1) == columns.size.take(node, axis=1)).all(axis=0)
        empty &= columns.gpu_free.take(node) == self._known.gpu_milli.take(index)
        steps += np.where(empty, self._known.waking.take(index), 0)
        found: Ints = np.minimum(steps, MOST) * FINEST + finest
        return found


def _offered_milli(node: Node) -> int:
    return sum(device.capacity_milli for device in node.devices if device.status == DeviceStatus.OK)


def _tenths_of_watts(upkeep: Upkeep) -> tuple[int, int]:
    return upkeep.span_w * 10, upkeep.wake_w * 10


def _price(upkeep: Upkeep) -> tuple[int, int]:
    return upkeep.price_milli, 0


FRUGAL = _Thrift("frugal", _tenths_of_watts)
"""The least power, in tenths of watts."""

CHEAPEST = _Thrift("cheapest", _price)
"""The lowest price of the share that it takes, in thousandths an hour."""
