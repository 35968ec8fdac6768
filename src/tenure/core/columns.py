"""The rooms as columns of 64-bit integers, for array operations; each holding that comes or goes is written through.

A cycle changes a few numbers of a few nodes: to write them while they are at hand costs less than to read whole nodes again later.
Amounts are [4, N] and devices [D, N], nodes last: what is compared, summed or sought runs along the long axis, ten times faster.
Invariant: the columns say what the rooms and their holdings say (a property test holds them against columns built anew).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tenure.core.feasibility import DeviceRoom, NodeRoom, is_whole

if TYPE_CHECKING:
    from tenure.core.rooms import Holding

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NEVER = 2**63 - 1
"""Later than `tenure.core.rooms.FOREVER`: not even when every job is gone."""

UNUSABLE = -(2**40)
"""Free thousandths of a device that is not offered, or that pads a node with fewer devices than the largest."""


def is_among(values: Ints, few: Collection[int]) -> Bools:
    """Of each value, whether it is one of the few. numpy itself would take a list of none for floats and sort, which is slower, and
    load its masked arrays for it, a megabyte that a daemon without jobs would carry about."""
    if not few or not len(values):
        return np.zeros(values.shape, dtype=np.bool_)
    found: Bools = np.isin(values, np.fromiter(few, dtype=np.int64, count=len(few)))
    return found


@dataclass(frozen=True, slots=True)
class Columns:
    """Some nodes in columns: K nodes, D devices at most.

    ``free`` [4, K] and ``size`` [2, K], the capacity of cpu and memory for shares of it; ``milli``, ``memory`` and ``empty`` [D, K]
    of the devices, the rest [K].
    """

    offered: Bools
    free: Ints
    size: Floats
    device_count: Ints
    gpu_free: Ints
    milli: Ints
    memory: Ints
    empty: Bools

    def rows(self, index: Ints) -> Columns:
        """The same columns for these nodes only."""
        return Columns(
            self.offered.take(index),
            self.free.take(index, axis=1),
            self.size.take(index, axis=1),
            self.device_count.take(index),
            self.gpu_free.take(index),
            self.milli.take(index, axis=1),
            self.memory.take(index, axis=1),
            self.empty.take(index, axis=1),
        )


def empty_columns(nodes: Sequence[NodeRoom], width: int) -> Columns:
    """Columns of these nodes with what never changes filled in."""
    size = len(nodes)
    return Columns(
        offered=np.array([node.offered for node in nodes], dtype=np.bool_),
        free=np.zeros((4, size), dtype=np.int64),
        size=np.array([[max(1, node.capacity[resource]) for node in nodes] for resource in range(2)], dtype=np.float64),
        device_count=np.array([len(node.devices) for node in nodes], dtype=np.int64),
        gpu_free=np.zeros(size, dtype=np.int64),
        milli=np.full((width, size), UNUSABLE, dtype=np.int64),
        memory=np.full((width, size), UNUSABLE, dtype=np.int64),
        empty=np.zeros((width, size), dtype=np.bool_),
    )


class RoomColumns:
    """All nodes in columns.

    ``first`` [N] is when the first holding on a node ends, ``device_first`` and ``device_last`` [D, N] when the first and the last one
    on a device do (`NEVER` and 0 where nobody holds anything). ``total_memory`` and ``model`` (the number in
    ``models`` of a name and capability) [D, N] never change. ``apps`` [N] counts the tasks of each app that ever held something.
    """

    def __init__(self, nodes: Sequence[NodeRoom], holdings: Sequence[Collection[Holding]]) -> None:
        size, width = len(nodes), max((len(node.devices) for node in nodes), default=0)
        self.size = size
        self.columns = empty_columns(nodes, width)
        self.models: dict[tuple[str, int], int] = {}
        self.total_memory: Ints = np.zeros((width, size), dtype=np.int64)
        self.model: Ints = np.full((width, size), -1, dtype=np.int64)
        self.first: Ints = np.full(size, NEVER, dtype=np.int64)
        self.device_first: Ints = np.full((width, size), NEVER, dtype=np.int64)
        self.device_last: Ints = np.zeros((width, size), dtype=np.int64)
        self.apps: dict[str, Ints] = {}
        self._places = {device.id: place * size + i for i, node in enumerate(nodes) for place, device in enumerate(node.devices)}
        # The same memory, flat: a single number is written and read several times faster than through an array.
        self._free, self._gpu_free = _flat(self.columns.free), _flat(self.columns.gpu_free)
        self._milli, self._memory, self._empty = (_flat(of) for of in (self.columns.milli, self.columns.memory, self.columns.empty))
        self._first, self._device_first, self._device_last = (_flat(of) for of in (self.first, self.device_first, self.device_last))
        self._fill(nodes)
        for index, of_node in enumerate(holdings):
            for holding in of_node:
                self._enter(index, holding)

    def _fill(self, nodes: Sequence[NodeRoom]) -> None:
        """Write all nodes as they are, but for the ends."""
        columns = self.columns
        columns.free[:] = np.array([node.free for node in nodes], dtype=np.int64).reshape(self.size, 4).T
        columns.gpu_free[:] = [node.gpu_free for node in nodes]
        devices = [device for node in nodes for device in node.devices]
        places = np.array([self._places[device.id] for device in devices], dtype=np.int64)
        columns.milli.put(places, [device.free_milli if device.offered else UNUSABLE for device in devices])
        columns.memory.put(places, [device.free_memory_bytes for device in devices])
        columns.empty.put(places, [is_whole(device) for device in devices])
        self.total_memory.put(places, [device.memory_bytes for device in devices])
        self.model.put(places, [self.models.setdefault((device.model, device.capability), len(self.models)) for device in devices])

    def put(self, index: int, node: NodeRoom, holding: Holding) -> None:
        """A holding has come to the node."""
        self._write_amounts(index, node)
        for at in self._enter(index, holding):
            self._write_device(at, node.devices[at // self.size])

    def _enter(self, index: int, holding: Holding) -> list[int]:
        """Let the ends on the node and its devices include those of a holding; where in the columns these devices are.

        A device that the node no longer has is passed over.
        """
        ends_ms, found = holding.ends_ms, []
        if holding.app:
            self.of_app(holding.app)[index] += 1
        first = self._first[index]
        self._first[index] = ends_ms if ends_ms < first else first
        for share in holding.devices:
            at = self._places.get(share.device_id)
            if at is not None and at % self.size == index:
                first, last = self._device_first[at], self._device_last[at]
                self._device_first[at] = ends_ms if ends_ms < first else first
                self._device_last[at] = ends_ms if ends_ms > last else last
                found.append(at)
        return found

    def of_app(self, app: str) -> Ints:
        """[N] How many tasks of the app hold something on each node."""
        found = self.apps.get(app)
        if found is None:
            found = self.apps[app] = np.zeros(self.size, dtype=np.int64)
        return found

    def drop(self, index: int, node: NodeRoom, holding: Holding, left: Collection[Holding]) -> None:
        """A holding has left the node; those in ``left`` are still there."""
        self._write_amounts(index, node)
        if holding.app:
            self.of_app(holding.app)[index] -= 1
        if holding.ends_ms <= self._first[index]:
            self._first[index] = min([other.ends_ms for other in left], default=NEVER)
        for share in holding.devices:
            at = self._places.get(share.device_id)
            if at is not None and at % self.size == index:
                self._write_device(at, node.devices[at // self.size])
                ends = [] if self._empty[at] else _ends_on(share.device_id, left)
                self._device_first[at], self._device_last[at] = (min(ends), max(ends)) if ends else (NEVER, 0)

    def _write_amounts(self, index: int, node: NodeRoom) -> None:
        free, size = self._free, self.size
        free[index], free[size + index], free[2 * size + index], free[3 * size + index] = node.free
        self._gpu_free[index] = node.gpu_free

    def _write_device(self, at: int, device: DeviceRoom) -> None:
        self._milli[at] = device.free_milli if device.offered else UNUSABLE
        self._memory[at] = device.free_memory_bytes
        self._empty[at] = is_whole(device)


def _flat(array: Ints | Bools) -> memoryview[int]:
    return array.reshape(-1).data


def _ends_on(device_id: int, holdings: Iterable[Holding]) -> list[int]:
    return [holding.ends_ms for holding in holdings for share in holding.devices if share.device_id == device_id]
