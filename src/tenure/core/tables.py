"""The judgement of many shapes on many nodes in a few array operations, over the columns of the rooms.

`judge` is the vector form of `tenure.core.feasibility.fits` and of a score, `NodeTable` has those of its other functions. A property
test holds the two forms against each other: this module may only be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenure.core.columns import Bools, Columns, Ints, is_among
from tenure.core.feasibility import UNBOUNDED, Ask, DeviceKind
from tenure.core.rooms import Rooms
from tenure.model.amounts import MILLI

NOWHERE = 2**31 - 1
"""The score of a node on which a task does not fit; every other score is smaller."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What an ask demands of devices, [D, N]: those of an accepted model, those that are able to serve it when they are free, and the
    memory it takes of each."""

    accepted: Bools
    able: Bools
    share: Ints


class NodeTable:
    """All nodes of a board, with what never changes about them worked out once."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.now = rooms.columns
        self.columns = self.now.columns
        self._labelled: dict[tuple[str, ...], Bools] = {}
        self._demands: dict[DeviceKind, Demand] = {}
        self._groups: Ints | None = None
        self._stack: tuple[Ints, Bools, Ints] | None = None

    def labelled(self, labels: tuple[str, ...]) -> Bools:
        """Which nodes carry all these labels."""
        found = self._labelled.get(labels)
        if found is None:
            carries = [all(label in node.labels for label in labels) for node in self.rooms.nodes]
            found = self._labelled[labels] = np.array(carries, dtype=np.bool_)
        return found

    def demanded(self, ask: Ask) -> Demand:
        """What never changes about the devices for this ask, for all nodes."""
        key = ask.device_kind
        found = self._demands.get(key)
        if found is None:
            wanted = [number for kind, number in self.now.models.items() if ask.is_kind(*kind)]
            accepted, total = is_among(self.now.model, wanted), self.now.total_memory
            if ask.milli:
                found = Demand(accepted, accepted, share_memory(total, ask))
            else:
                found = Demand(accepted, accepted & (total >= ask.gpu_memory_bytes), total)
            self._demands[key] = found
        return found

    def stacked(self, asks: AskTable) -> tuple[Ints, Bools, Ints]:
        """Of each kind of ask: the fraction [kinds, 1, 1], the able devices and the memory it takes of each [kinds, D, N]."""
        if self._stack is None or len(self._stack[1]) != len(asks.kinds):
            demands = [self.demanded(ask) for ask in asks.kinds.values()]
            milli = np.array([ask.milli for ask in asks.kinds.values()], dtype=np.int64)
            able, share = np.stack([demand.able for demand in demands]), np.stack([demand.share for demand in demands])
            self._stack = (milli[:, np.newaxis, np.newaxis], able, share)
        return self._stack

    def places(self, ask: Ask) -> Ints:
        """How many more tasks of a limited ask may stand beside those of the same app (`feasibility.places_left`)."""
        found: Ints = np.maximum(ask.max_per_node - self.now.of_app(ask.app), 0)
        return found

    def usable(self, ask: Ask) -> Bools:
        """[D, N]: `feasibility.device_fits`."""
        columns, demand = self.columns, self.demanded(ask)
        if not ask.milli:
            return demand.able & columns.empty
        return demand.able & (columns.milli >= ask.milli) & (columns.memory >= demand.share)

    def counts(self, ask: Ask) -> Ints:
        """How many tasks fit on each node together (`feasibility.count_tasks`, up to all tasks)."""
        columns = self.columns
        found = np.where(columns.offered & self.labelled(ask.labels), ask.tasks, 0)
        for resource, need in enumerate(ask.need):
            free = columns.free[resource]
            found = np.where(free >= need, np.minimum(found, free // need if need else UNBOUNDED), 0)
        if ask.max_per_node:
            found = np.minimum(found, self.places(ask))
        if ask.one_group:
            found = np.minimum(found, self.in_one_group(ask))
        elif ask.whole:
            found = np.minimum(found, self.usable(ask).sum(axis=0) // ask.whole)
        elif ask.milli:
            found = np.minimum(found, self._fractions(ask))
        return found.astype(np.int64)

    def in_one_group(self, ask: Ask) -> Ints:
        """How many tasks find all their devices in one group, whatever else they need."""
        usable, groups = self.usable(ask), self.groups()
        found: Ints = np.zeros(usable.shape[1], dtype=np.int64)
        for group in range(len(groups)):
            found += (usable & (groups == group)).sum(axis=0) // ask.whole
        return found

    def groups(self) -> Ints:
        """[D, N] the groups of each node's devices, numbered from 0 on; -1 where there is no device."""
        if self._groups is None:
            width = max((len(node.devices) for node in self.rooms.nodes), default=0)
            self._groups = np.full((width, len(self.rooms.nodes)), -1, dtype=np.int64)
            for index, node in enumerate(self.rooms.nodes):
                numbers: dict[int, int] = {}
                for place, device in enumerate(node.devices):
                    self._groups[place, index] = numbers.setdefault(device.group, len(numbers))
        return self._groups

    def _fractions(self, ask: Ask) -> Ints:
        """How many fractions the devices of each node hold together."""
        columns, share = self.columns, self.demanded(ask).share
        per_device = columns.milli // ask.milli
        per_device = np.where(share > 0, np.minimum(per_device, columns.memory // np.maximum(share, 1)), per_device)
        counts: Ints = np.where(self.usable(ask), per_device, 0).sum(axis=0)
        return counts

    def lacks(self, ask: Ask) -> Ints:
        """How far one task is from fitting on each node (`feasibility.lack`)."""
        columns = self.columns
        total = np.zeros(len(columns.offered), dtype=np.int64)
        for resource, need in enumerate(ask.need):
            missing = np.maximum(need - columns.free[resource], 0)
            total += np.minimum(missing // max(1, need // MILLI), MILLI)
        if ask.max_per_node:
            total += np.where(self.places(ask) > 0, 0, MILLI)
        if not ask.wants_devices:
            return total
        usable = self.usable(ask).sum(axis=0)
        if ask.whole:
            total += (ask.whole - np.minimum(usable, ask.whole)) * MILLI // ask.whole
            return total
        known = np.where(self.demanded(ask).accepted, columns.milli, 0).max(axis=0, initial=0)
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
        left = np.flatnonzero(self.columns.offered)
        if not len(left):
            return None
        if ask.labels:
            missing = self.missing_labels(ask.labels)[left]
            left = left[missing == missing.min()]
        counts = self.counts(ask)[left]
        left = left[counts == counts.max()]
        return int(left[self.lacks(ask)[left].argmin()])


def share_memory(total: Ints, ask: Ask) -> Ints:
    """The memory a fraction takes of devices with that much (`Ask.memory_of`)."""
    if ask.gpu_memory_bytes:
        return np.full_like(total, ask.gpu_memory_bytes)
    # Divided first by 1000 and then put together, so that no size overflows.
    whole, rest = total // MILLI, total % MILLI
    share: Ints = whole * ask.milli + rest * ask.milli // MILLI
    return share


class AskTable:
    """Many asks in columns, in the order they were added.

    Asks that demand the same of one device are of one *kind*; those that moreover want as many such devices have one *demand*. Number 0
    is to want none. What depends on devices is worked out per kind and demand: there are far fewer of them than of asks.
    """

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.kinds: dict[DeviceKind, Ask] = {}
        self.labelled: list[int] = []
        self.limited = False
        self.grouped = False
        self._kind_numbers: dict[DeviceKind, int] = {}
        self._demand_numbers: dict[tuple[int, int], int] = {(0, 0): 0}
        self._columns: Ints = np.zeros((8, 4), dtype=np.int64)

    def add(self, ask: Ask) -> int:
        """Append an ask; its position."""
        position = len(self.asks)
        if position == self._columns.shape[1]:
            self._columns = np.concatenate((self._columns, np.zeros_like(self._columns)), axis=1)
        kind, demand = 0, (0, 0)
        if ask.wants_devices:
            key = ask.device_kind
            self.kinds.setdefault(key, ask)
            kind = self._kind_numbers.setdefault(key, len(self.kinds))
            demand = (kind, max(ask.whole, 1))
        number = self._demand_numbers.setdefault(demand, len(self._demand_numbers))
        self._columns[:, position] = (*ask.need, ask.whole * MILLI + ask.milli, kind, number, ask.max_per_node)
        self.asks.append(ask)
        if ask.labels:
            self.labelled.append(position)
        self.limited |= ask.max_per_node > 0
        self.grouped |= ask.one_group
        return position

    def rows(self, positions: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Of these n asks: need [4, n], thousandths of all devices together, kind and demand [n]."""
        columns = self._columns.take(positions, axis=1)
        return columns[:4], columns[4], columns[5], columns[6]

    def is_limited(self, positions: Ints) -> Bools:
        """Which of these asks may have only so many tasks of their app on a node."""
        found: Bools = self._columns[7].take(positions) > 0
        return found

    def demands(self) -> tuple[Ints, Ints]:
        """Of each demand: its kind and the number of devices."""
        kinds, counts = zip(*self._demand_numbers, strict=True)
        return np.array(kinds, dtype=np.int64), np.array(counts, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Judged:
    """Where asks fit: P pairs of a row (position among the n asks that were judged) and a node (position in `columns`).

    ``need`` [4, n] and ``gpu_milli`` [n] are what one task of each ask takes, ``leftover`` [P] what stays free of the fullest device
    that holds its fraction (0 without one). ``among`` [K] are the board's indexes of the nodes in `columns`.
    """

    columns: Columns
    among: Ints
    row: Ints
    node: Ints
    need: Ints
    gpu_milli: Ints
    leftover: Ints


def judge(table: NodeTable, asks: AskTable, positions: Sequence[int], index: Ints | None) -> Judged:
    """Judge the asks at these positions on these nodes (None: on all)."""
    columns = table.columns if index is None else table.columns.rows(index)
    among = np.arange(len(columns.offered)) if index is None else index
    rows = np.array(positions, dtype=np.int64)
    need, gpu_milli, kinds, demands = asks.rows(rows)
    usable, least = _devices_by_kind(table, asks, columns, index)
    kind_of, count_of = asks.demands()
    enough = (usable[kind_of] >= count_of[:, np.newaxis]) & columns.offered
    fits = enough.take(demands, axis=0)
    for most, wanted, free in zip(need.max(axis=1, initial=0).tolist(), need, columns.free, strict=True):
        # Often there is enough of a resource everywhere, mostly because nobody asks for it.
        if most > free.min(initial=most):
            fits &= wanted[:, np.newaxis] <= free
    for position in asks.labelled:
        carries = table.labelled(asks.asks[position].labels)
        fits[rows == position] &= carries if index is None else carries[index]
    for place in np.flatnonzero(asks.is_limited(rows)).tolist() if asks.limited else ():
        left = table.places(asks.asks[positions[place]]) > 0
        fits[place] &= left if index is None else left[index]
    for place in [place for place, position in enumerate(positions) if asks.asks[position].one_group] if asks.grouped else ():
        together = table.in_one_group(asks.asks[positions[place]]) > 0
        fits[place] &= together if index is None else together[index]
    # Found in the flat form and divided: several times faster than `numpy.nonzero` of two dimensions.
    row, node = np.divmod(np.flatnonzero(fits), max(fits.shape[1], 1))
    return Judged(columns, among, row, node, need, gpu_milli, least[kinds.take(row), node])


def _devices_by_kind(table: NodeTable, asks: AskTable, columns: Columns, index: Ints | None) -> tuple[Ints, Ints]:
    """[kinds, K] each: how many devices are usable, and what stays free of the fullest usable one after its fraction (else 0)."""
    size = len(columns.offered)
    usable, least = np.zeros((len(asks.kinds) + 1, size), dtype=np.int64), np.zeros((len(asks.kinds) + 1, size), dtype=np.int64)
    if asks.kinds:
        milli, able, share = table.stacked(asks)
        if index is not None:
            able, share = able.take(index, axis=2), share.take(index, axis=2)
        shared = (columns.milli >= milli) & (columns.memory >= share)
        free = able & np.where(milli > 0, shared, columns.empty)
        free.sum(axis=1, out=usable[1:])
        fullest = np.where(free, columns.milli, MILLI * MILLI).min(axis=1, initial=MILLI * MILLI)
        least[1:] = np.where(milli[:, :, 0] > 0, fullest - milli[:, :, 0], 0)
    return usable, least
