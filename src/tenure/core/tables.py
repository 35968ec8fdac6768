"""The rooms as columns of 64-bit integers, and the judgement of many shapes on many nodes in a few array operations.

`NodeTable` mirrors the rooms of a board and re-reads only nodes that were touched; `judge` is the vector form of
`tenure.core.feasibility.fits` and of a score. A property test holds the two forms against each other: this module may only be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenure.core.feasibility import UNBOUNDED, Ask, NodeRoom
from tenure.core.rooms import Rooms
from tenure.model.amounts import MILLI

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOWHERE = 2**31 - 1
"""The score of a node on which a task does not fit; every other score is smaller."""

UNUSABLE = -(2**40)
"""Free thousandths of a device that is not offered, or that pads a node with fewer devices than the largest."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Some nodes in columns: K nodes, D devices at most. ``unit`` is a thousandth of the capacity (see `scoring.share_left`)."""

    offered: Bools
    free: Ints
    unit: Ints
    device_count: Ints
    gpu_free: Ints
    milli: Ints
    memory: Ints
    total_memory: Ints
    empty: Bools
    model: Ints

    def rows(self, index: Ints) -> Columns:
        """The same columns for these nodes only."""
        return Columns(*(getattr(self, name)[index] for name in self.__slots__))


class NodeTable:
    """All nodes of a board in columns, up to date after `refresh`."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        nodes = rooms.nodes
        size, width = len(nodes), max((len(node.devices) for node in nodes), default=0)
        self._models: dict[str, int] = {}
        self.columns = Columns(
            offered=np.array([node.offered for node in nodes], dtype=np.bool_),
            free=np.zeros((size, 4), dtype=np.int64),
            unit=np.array([[max(1, amount // MILLI) for amount in node.capacity] for node in nodes], dtype=np.int64).reshape(size, 4),
            device_count=np.array([len(node.devices) for node in nodes], dtype=np.int64),
            gpu_free=np.zeros(size, dtype=np.int64),
            milli=np.full((size, width), UNUSABLE, dtype=np.int64),
            memory=np.full((size, width), UNUSABLE, dtype=np.int64),
            total_memory=np.zeros((size, width), dtype=np.int64),
            empty=np.zeros((size, width), dtype=np.bool_),
            model=np.full((size, width), -1, dtype=np.int64),
        )
        for index, node in enumerate(nodes):
            self._read_fixed(index, node)
            self._read(index, node)
        self.cursor = rooms.cursor
        self._labelled: dict[tuple[str, ...], Bools] = {}

    def _read_fixed(self, index: int, node: NodeRoom) -> None:
        columns, count = self.columns, len(node.devices)
        columns.total_memory[index, :count] = [device.memory_bytes for device in node.devices]
        columns.model[index, :count] = [self._models.setdefault(device.model, len(self._models)) for device in node.devices]

    def _read(self, index: int, node: NodeRoom) -> None:
        columns, devices = self.columns, node.devices
        columns.free[index] = node.free
        if devices:
            count = len(devices)
            free = [device.free_milli if device.offered else UNUSABLE for device in devices]
            columns.milli[index, :count] = free
            columns.memory[index, :count] = [device.free_memory_bytes for device in devices]
            columns.empty[index, :count] = [device.offered and device.capacity_milli >= MILLI and device.is_empty for device in devices]
            columns.gpu_free[index] = sum(device.free_milli for device in devices if device.offered)

    def refresh(self) -> None:
        """Read again what was touched since the last time."""
        cursor = self.rooms.cursor
        if self.cursor == cursor:
            return
        touched = self.rooms.touched_since(self.cursor)
        for index in range(len(self.rooms.nodes)) if touched is None else touched:
            self._read(index, self.rooms.nodes[index])
        self.cursor = cursor

    def labelled(self, labels: tuple[str, ...]) -> Bools:
        """Which nodes carry all these labels."""
        found = self._labelled.get(labels)
        if found is None:
            carries = [all(label in node.labels for label in labels) for node in self.rooms.nodes]
            found = self._labelled[labels] = np.array(carries, dtype=np.bool_)
        return found

    def accepted(self, columns: Columns, ask: Ask) -> Bools:
        """[K, D]: devices of a model that the ask accepts."""
        if not ask.gpu_model:
            return columns.model >= 0
        return np.isin(columns.model, [number for name, number in self._models.items() if ask.gpu_model in name])

    def usable(self, columns: Columns, ask: Ask) -> Bools:
        """[K, D]: `feasibility.device_fits`."""
        accepted = self.accepted(columns, ask)
        if not ask.milli:
            return accepted & columns.empty & (columns.total_memory >= ask.gpu_memory_bytes)
        return accepted & (columns.milli >= ask.milli) & (columns.memory >= share_memory(columns, ask))

    def counts(self, ask: Ask) -> Ints:
        """How many tasks fit on each node together (`feasibility.count_tasks`, up to all tasks)."""
        self.refresh()
        columns = self.columns
        found = np.where(columns.offered & self.labelled(ask.labels), ask.tasks, 0)
        for resource, need in enumerate(ask.need):
            free = columns.free[:, resource]
            found = np.where(free >= need, np.minimum(found, free // need if need else UNBOUNDED), 0)
        if ask.whole:
            found = np.minimum(found, self.usable(columns, ask).sum(axis=1) // ask.whole)
        elif ask.milli:
            found = np.minimum(found, self._fractions(columns, ask))
        return found.astype(np.int64)

    def _fractions(self, columns: Columns, ask: Ask) -> Ints:
        """How many fractions the devices of each node hold together."""
        memory = share_memory(columns, ask)
        per_device = columns.milli // ask.milli
        per_device = np.where(memory > 0, np.minimum(per_device, columns.memory // np.maximum(memory, 1)), per_device)
        counts: Ints = np.where(self.usable(columns, ask), per_device, 0).sum(axis=1)
        return counts

    def lacks(self, ask: Ask) -> Ints:
        """How far one task is from fitting on each node (`feasibility.lack`)."""
        self.refresh()
        columns = self.columns
        total = np.zeros(len(columns.offered), dtype=np.int64)
        for resource, need in enumerate(ask.need):
            missing = np.maximum(need - columns.free[:, resource], 0)
            total += np.minimum(missing // max(1, need // MILLI), MILLI)
        if not ask.wants_devices:
            return total
        usable = self.usable(columns, ask).sum(axis=1)
        if ask.whole:
            total += (ask.whole - np.minimum(usable, ask.whole)) * MILLI // ask.whole
            return total
        known = np.where(self.accepted(columns, ask), columns.milli, 0).max(axis=1, initial=0)
        total += np.where(usable > 0, 0, MILLI - np.minimum(known, ask.milli) * (MILLI // 2) // ask.milli)
        return total

    def missing_labels(self, labels: tuple[str, ...]) -> Ints:
        """How many of these labels each node does not carry."""
        missing = np.zeros(len(self.rooms.nodes), dtype=np.int64)
        for label in labels:
            missing += ~self.labelled((label,))
        return missing

    def nearest(self, ask: Ask) -> int | None:
        """The index of the node that comes nearest (`possible.nearest`); None when no node is offered."""
        counts, lacks = self.counts(ask), self.lacks(ask)
        order = np.lexsort((lacks, -counts, self.missing_labels(ask.labels), ~self.columns.offered))
        best = int(order[0]) if len(order) else -1
        return best if best >= 0 and self.columns.offered[best] else None


def share_memory(columns: Columns, ask: Ask) -> Ints:
    """[K, D]: the memory a fraction takes of each device (`Ask.memory_of`)."""
    if ask.gpu_memory_bytes:
        return np.full_like(columns.total_memory, ask.gpu_memory_bytes)
    # Divided first by 1000 and then put together, so that no size overflows.
    whole, rest = columns.total_memory // MILLI, columns.total_memory % MILLI
    share: Ints = whole * ask.milli + rest * ask.milli // MILLI
    return share


class AskTable:
    """Many asks in columns, in the order they were added."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.need: Ints = np.zeros((4, 4), dtype=np.int64)
        self.whole: Ints = np.zeros(4, dtype=np.int64)
        self.milli: Ints = np.zeros(4, dtype=np.int64)
        self.kind: Ints = np.zeros(4, dtype=np.int64)
        self._kinds: dict[tuple[int, int, str], int] = {}

    def add(self, ask: Ask) -> int:
        """Append an ask; its position."""
        position = len(self.asks)
        if position == len(self.whole):
            self.need = np.concatenate((self.need, np.zeros_like(self.need)))
            self.whole, self.milli, self.kind = (np.concatenate((old, old)) for old in (self.whole, self.milli, self.kind))
        self.asks.append(ask)
        self.need[position] = ask.need
        self.whole[position], self.milli[position] = ask.whole, ask.milli
        demand = (ask.milli, ask.gpu_memory_bytes, ask.gpu_model)
        self.kind[position] = self._kinds.setdefault(demand, len(self._kinds)) if ask.wants_devices else -1
        return position


@dataclass(frozen=True, slots=True)
class Judged:
    """S asks on K nodes: whether one task fits, and what stays free of the fullest device that holds its fraction, if it is one.

    ``need`` is [S, 4]; ``gpu_milli`` [S] what a task takes of devices altogether.
    """

    columns: Columns
    need: Ints
    gpu_milli: Ints
    fits: Bools
    leftover: Ints


def judge(table: NodeTable, asks: AskTable, positions: Sequence[int], index: Ints | None) -> Judged:
    """Judge the asks at these positions on these nodes (None: on all). The table must be refreshed."""
    columns = table.columns if index is None else table.columns.rows(index)
    need, whole, milli = asks.need[positions], asks.whole[positions], asks.milli[positions]
    fits = np.repeat(columns.offered[np.newaxis], len(positions), axis=0)
    for resource in range(4):
        fits &= need[:, resource, np.newaxis] <= columns.free[np.newaxis, :, resource]
    leftover = np.zeros(fits.shape, dtype=np.int64)
    kinds = asks.kind[positions]
    for kind in np.unique(kinds[kinds >= 0]).tolist():
        members = np.flatnonzero(kinds == kind)
        ask = asks.asks[positions[members[0]]]
        usable = table.usable(columns, ask)
        if ask.milli:
            least = np.where(usable, columns.milli, MILLI * MILLI).min(axis=1, initial=MILLI * MILLI)
            fits[members] &= usable.any(axis=1)
            leftover[members] = least - ask.milli
        else:
            fits[members] &= usable.sum(axis=1) >= whole[members, np.newaxis]
    for row, position in enumerate(positions):
        labels = asks.asks[position].labels
        if labels:
            carries = table.labelled(labels)
            fits[row] &= carries if index is None else carries[index]
    return Judged(columns, need, whole * MILLI + milli, fits, leftover)
