"""What the kinds of requests that are typical could still use on a node, for many nodes at once and for one.

Scores that look ahead ask this of a node before and after a task came. Only amounts that a task changes are worked out again: cpu,
memory, and per size of request how much is free on devices that have that much (`Free.held`). The two forms count in integers alone,
so they give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tenure.core.columns import Bools, Columns, Floats, Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.rooms import Rooms
from tenure.core.scoring import leftover_milli
from tenure.core.tables import Judged, NodeTable
from tenure.model.amounts import MIB, MILLI

_OnNode = tuple[int, int, int, int, int]
"""Of a kind that a node may hold: its position, level, least, cpu and memory."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests that are alike: how many tasks make them, their mean cpu and memory, and one of them for all the rest."""

    tasks: int
    cpu_milli: int
    memory_mib: int
    ask: Ask

    @property
    def gpu_milli(self) -> int:
        """Thousandths of GPUs of one task."""
        return self.ask.whole * MILLI + self.ask.milli


@dataclass(frozen=True, slots=True)
class Free:
    """What is free of K nodes; ``held`` [T, K] is, per size, the thousandths on devices that have at least the size."""

    cpu_milli: Ints
    memory_mib: Ints
    gpu_milli: Ints
    held: Ints

    def rows(self, index: Ints) -> Free:
        """The same of these nodes."""
        return Free(self.cpu_milli.take(index), self.memory_mib.take(index), self.gpu_milli.take(index), self.held.take(index, axis=1))


class Kinds:
    """J kinds in columns, and on which nodes of a board each is allowed and has devices that could serve it.

    ``sizes`` [T, 1] are what the kinds ask of one device, ``level`` [J] says which of them each kind asks, T for none, and ``least``
    [J] how much devices of that size must have free together for one task.
    """

    def __init__(self, kinds: Iterable[Kind], rooms: Rooms) -> None:
        self.kinds = tuple(kinds)
        self.rooms = rooms
        self.steps = sorted({kind.ask.milli or MILLI for kind in self.kinds} | {MILLI})
        self.sizes: Ints = np.array(self.steps, dtype=np.int64)[:, np.newaxis]
        self.level = [self.steps.index(kind.ask.milli or MILLI) if kind.gpu_milli else len(self.steps) for kind in self.kinds]
        self.cpu_milli = self._column(kind.cpu_milli for kind in self.kinds)
        self.memory_mib = self._column(kind.memory_mib for kind in self.kinds)
        self.least = [max(kind.ask.whole * MILLI, 1) for kind in self.kinds]
        demands = list(zip(self.level, self.least, strict=True))
        self._demands = sorted(set(demands))
        self._demand = [self._demands.index(demand) for demand in demands]
        self.allowed = self._allowed()
        self._on: dict[int, list[_OnNode]] = {}

    @staticmethod
    def _column(values: Iterable[int]) -> Ints:
        return np.array(list(values), dtype=np.int64)[:, np.newaxis]

    def _allowed(self) -> Bools:
        """[J, N]."""
        table = NodeTable(self.rooms)
        found = np.zeros((len(self.kinds), len(self.rooms.nodes)), dtype=np.bool_)
        for position, kind in enumerate(self.kinds):
            ask = kind.ask
            found[position] = table.columns.offered & table.labelled(ask.labels)
            if ask.wants_devices:
                demand = table.demanded(ask)
                serving = demand.able & (demand.share <= table.now.total_memory)
                found[position] &= serving.sum(axis=0) >= max(ask.whole, 1)
        return found

    def free(self, columns: Columns) -> Free:
        """What is free of these nodes."""
        milli = columns.milli
        held = np.empty((len(self.steps), milli.shape[1]), dtype=np.int64)
        for level, size in enumerate(self.steps):
            held[level] = np.where(milli >= size, milli, 0).sum(axis=0)
        return Free(columns.free[0], columns.free[1] // MIB, columns.gpu_free, held)

    def after(self, free: Free, judged: Judged, row: int, pairs: slice) -> Free:
        """What is free of the nodes of these pairs, all of one row, once the task is there. ``free`` is of the same nodes before."""
        cpu, memory, gpu_milli = int(judged.need[0, row]), int(judged.need[1, row]), int(judged.gpu_milli[row])
        if gpu_milli >= MILLI:
            held = free.held - gpu_milli
        elif gpu_milli:
            left = judged.leftover[pairs]
            full = left + gpu_milli
            held = free.held - np.where(full >= self.sizes, full, 0) + np.where(left >= self.sizes, left, 0)
        else:
            held = free.held
        return Free(free.cpu_milli - cpu, free.memory_mib - -(-memory // MIB), free.gpu_milli - gpu_milli, held)

    def fits(self, free: Free, allowed: Bools, *, memory: bool = True) -> tuple[Bools, Ints]:
        """[J, K]: whether a task of the kind fits, and [T + 1, K]: what devices have free together that have at least the size of each
        level; in the last, of those without a size, all."""
        held = np.concatenate((free.held, free.gpu_milli[np.newaxis]))
        enough = np.stack([held[level] >= least for level, least in self._demands]) if self._demands else allowed
        fits = enough.take(self._demand, axis=0) if self._demand else enough
        fits &= allowed
        fits &= self.cpu_milli <= free.cpu_milli
        if memory:
            fits &= self.memory_mib <= free.memory_mib
        return fits, held

    def by_level(self, weights: Sequence[int]) -> Floats:
        """[T + 1, J]: the weights of the kinds, each in the row of its level. A product with what fits sums them: exactly, for a sum of
        whole numbers below 2^53 has no rounding, in whatever order."""
        found: Floats = np.zeros((len(self.steps) + 1, len(self.kinds)), dtype=np.float64)
        found[self.level, range(len(self.kinds))] = weights
        return found

    def on(self, index: int) -> list[_OnNode]:
        """The kinds that a node may hold."""
        found = self._on.get(index)
        if found is None:
            rows = zip(range(len(self.kinds)), self.level, self.least, self.kinds, self.allowed[:, index].tolist(), strict=True)
            found = [(at, level, least, kind.cpu_milli, kind.memory_mib) for at, level, least, kind, allowed in rows if allowed]
            self._on[index] = found
        return found


@dataclass(frozen=True, slots=True)
class NodeFree:
    """What is free of one node."""

    cpu_milli: int
    memory_mib: int
    devices: tuple[int, ...]

    def could_use(self, kinds: Kinds, index: int, *, memory: bool = True) -> tuple[list[int], list[int]]:
        """`Kinds.fits` of one node: the positions of the kinds of which a task fits, and what devices have free together by level."""
        devices, cpu_milli, memory_mib = self.devices, self.cpu_milli, self.memory_mib
        held = [sum([milli for milli in devices if milli >= size]) for size in kinds.steps]
        held.append(sum(devices))
        fits = [
            position
            for position, level, least, cpu, mib in kinds.on(index)
            if cpu <= cpu_milli and least <= held[level] and (mib <= memory_mib or not memory)
        ]
        return fits, held


def node_free(node: NodeRoom) -> NodeFree:
    """What is free of a node."""
    return NodeFree(node.free[0], node.free[1] // MIB, tuple(device.free_milli for device in node.devices if device.offered))


def node_after(ask: Ask, node: NodeRoom) -> NodeFree:
    """What is free once a task is there, on a node where it fits."""
    before = node_free(node)
    devices = list(before.devices)
    if ask.milli:
        left = leftover_milli(ask, node)
        devices[devices.index(left + ask.milli)] = left
    for _ in range(ask.whole):
        devices[devices.index(MILLI)] = 0
    return NodeFree(before.cpu_milli - ask.need[0], before.memory_mib - -(-ask.need[1] // MIB), tuple(devices))


def rows_of(judged: Judged) -> Iterator[tuple[int, slice]]:
    """Each row that has pairs, and where they are: pairs come row by row."""
    ends = np.flatnonzero(np.diff(judged.row)) + 1
    borders = [0, *ends.tolist(), len(judged.row)]
    for first, last in pairwise(borders):
        if last > first:
            yield int(judged.row[first]), slice(first, last)
