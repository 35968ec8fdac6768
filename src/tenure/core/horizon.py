"""For each node, a time before which a task certainly does not fit there: it spares the exact look at most nodes.

The bound comes from ends alone: of the first holding on the node where an amount is lacking, of the k-th device to become empty for
whole devices, of the first holding on a device for a fraction. Invariant: never later than the exact time
(`tenure.core.backfill.steps`), so stopping at the bound changes no answer.
"""

from __future__ import annotations

import numpy as np

from tenure.core.feasibility import Ask
from tenure.core.rooms import Rooms
from tenure.core.tables import UNUSABLE, Ints, NodeTable
from tenure.model.amounts import MILLI

NEVER = 2**63 - 1
"""Later than `tenure.core.rooms.FOREVER`: not even when every job is gone."""


class Horizon:
    """Ends per node and device in columns, re-read for touched nodes only."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        width = max((len(node.devices) for node in rooms.nodes), default=0)
        self._first: Ints = np.full(len(rooms.nodes), NEVER, dtype=np.int64)
        self._device_first: Ints = np.full((len(rooms.nodes), width), NEVER, dtype=np.int64)
        self._device_last: Ints = np.zeros((len(rooms.nodes), width), dtype=np.int64)
        self._places = [{device.id: position for position, device in enumerate(node.devices)} for node in rooms.nodes]
        self._cursor = -1

    def _refresh(self) -> None:
        cursor = self.rooms.cursor
        if self._cursor != cursor:
            touched = self.rooms.touched_since(self._cursor) if self._cursor >= 0 else None
            for index in range(len(self.rooms.nodes)) if touched is None else touched:
                self._read(index)
            self._cursor = cursor

    def _read(self, index: int) -> None:
        place = self._places[index]
        first, device_first, device_last = NEVER, [NEVER] * len(place), [0] * len(place)
        for holding in self.rooms.holdings[index].values():
            ends_ms = holding.ends_ms
            first = min(first, ends_ms)
            for share in holding.devices:
                position = place.get(share.device_id)
                if position is None:
                    continue
                if share.milli >= MILLI:
                    device_first[position] = device_last[position] = ends_ms
                else:
                    device_first[position] = min(device_first[position], ends_ms)
                    device_last[position] = max(device_last[position], ends_ms)
        self._first[index] = first
        self._device_first[index, : len(place)] = device_first
        self._device_last[index, : len(place)] = device_last

    def bounds(self, table: NodeTable, ask: Ask, now_ms: int) -> Ints:
        """Per node, a time before which no task of the ask fits; `NEVER` where none ever does, as far as this can tell."""
        self._refresh()
        columns = table.columns
        ample = columns.offered & table.labelled(ask.labels)
        bound = np.where(ample, now_ms, NEVER)
        for resource, need in enumerate(ask.need):
            bound = np.where(columns.free[:, resource] >= need, bound, np.maximum(bound, self._first))
        if ask.wants_devices:
            bound = np.maximum(bound, self._device_bounds(table, ask))
        return bound.astype(np.int64)

    def _device_bounds(self, table: NodeTable, ask: Ask) -> Ints:
        columns = table.columns
        known = table.demanded(ask).accepted & (columns.milli != UNUSABLE)
        if ask.milli:
            times = np.where(table.usable(columns, ask), 0, np.where(known, self._device_first, NEVER))
            first: Ints = times.min(axis=1, initial=NEVER)
            return first
        times = np.where(known & (table.total_memory >= ask.gpu_memory_bytes), self._device_last, NEVER)
        if ask.whole > times.shape[1]:
            return np.full(len(times), NEVER, dtype=np.int64)
        last: Ints = np.partition(times, ask.whole - 1, axis=1)[:, ask.whole - 1]
        return last
