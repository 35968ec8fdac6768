"""How much of the free GPU capacity is of no use to the jobs that typically come.

The measure of Q. Weng, L. Yang, Y. Yu and others, "Beware of fragmentation: scheduling GPU-sharing workloads with fragmentation
gradient descent", USENIX ATC 2023: for a task drawn from the workload, what is free on a node counts as stranded when the task cannot
run there (or needs no GPU); where it can run, only the devices with too little left for it do. The figure is the mean over tasks,
summed over nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from tenure.core.feasibility import Ask, NodeRoom, ask_of, device_fits, fits
from tenure.core.rooms import Rooms
from tenure.core.tables import AskTable, NodeTable, judge
from tenure.sim.workload import TraceJob

Demand = list[tuple[Ask, int]]
"""Kinds of tasks and how many there are of each."""


def demand_of(jobs: Iterable[TraceJob]) -> Demand:
    """The tasks of a workload."""
    count: Counter[Ask] = Counter()
    for job in jobs:
        count[ask_of(job.shape)] += job.shape.tasks
    return sorted(count.items(), key=lambda item: repr(item[0]))


def stranded_milli(nodes: Iterable[NodeRoom], demand: Demand) -> float:
    """Thousandths of GPUs that are free and, for a task drawn at random, of no use."""
    total = sum(count for _, count in demand)
    found = sum(_stranded_for(ask, node) * count for node in nodes for ask, count in demand)
    return found / total if total else 0.0


def _stranded_for(ask: Ask, node: NodeRoom) -> int:
    if not ask.wants_devices or not fits(ask, node):
        return node.gpu_free
    return sum(room.free_milli for room in node.devices if room.offered and not device_fits(ask, room))


class Fragmentation:
    """`stranded_milli` of all nodes of a board, again and again: the same number, from a few array operations."""

    def __init__(self, rooms: Rooms, demand: Demand) -> None:
        self.rooms = rooms
        self._table, self._asks = NodeTable(rooms), AskTable()
        self._positions = [self._asks.add(ask) for ask, _ in demand]
        self._counts = np.array([count for _, count in demand], dtype=np.int64)

    def stranded_milli(self) -> float:
        """Thousandths of GPUs that are free now and, for a task drawn at random, of no use."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        judged = judge(self._table, self._asks, self._positions, None)
        columns = self._table.columns
        devices = [np.where(self._table.usable(ask), columns.milli, 0).sum(axis=0) for ask in self._asks.kinds.values()]
        usable = np.stack([np.zeros_like(columns.gpu_free), *devices])
        kind = self._asks.rows(np.array(self._positions, dtype=np.int64))[2]
        used = (usable[kind.take(judged.row), judged.node] * self._counts.take(judged.row)).sum()
        return float(columns.gpu_free.sum() * total - used) / total
