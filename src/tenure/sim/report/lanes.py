"""The lanes on which a replay's runs are drawn: devices where there are any, else the nodes' processors.

A *slot* is the unit of height: a device or a part of one, or some processors. Devices are those that the replay chose. Which of a
node's processors a job got, nobody decided; the page needs to draw them somewhere, so they are given out here: the lowest stretch
that is free and wide enough, else the lowest free ones. Invariant: no slot is given to two runs at once; what rounding leaves no slot
for is not drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tenure.model.allocation import Placement
from tenure.model.amounts import MILLI
from tenure.sim.report.columns import Runs
from tenure.sim.report.packing import Whole
from tenure.sim.results import DROP, Replayed
from tenure.sim.workload import Workload

MOST_SLOTS = 8192
FRACTION_SLOTS = 10


@dataclass(frozen=True, slots=True)
class Pieces:
    """One entry per stretch of slots that a run holds; ``run`` indexes the replay's runs and never falls."""

    run: Whole
    first: Whole
    count: Whole


class Lanes:
    """A workload's slots: ``total`` of them, and for each node its name, first slot and number of slots in ``nodes``."""

    def __init__(self, workload: Workload) -> None:
        self.by_device = any(node.devices for node in workload.nodes)
        self.unit_milli = _unit_of_devices(workload) if self.by_device else _unit_of_nodes(workload)
        self.base: dict[int, int] = {}
        """The first slot of each device, or of each node, by id."""
        self.size: dict[int, int] = {}
        self.nodes: list[tuple[str, int, int]] = []
        self.total = 0
        for node in workload.nodes:
            first = self.total
            parts = [(device.id, device.capacity_milli) for device in node.devices] if self.by_device else []
            for id_, capacity in parts if self.by_device else [(node.id, node.capacity.cpu_milli)]:
                self.base[id_], self.size[id_] = self.total, max(1, capacity // self.unit_milli)
                self.total += self.size[id_]
            if self.total > first:
                self.nodes.append((node.name, first, self.total - first))

    def pieces_of(self, result: Replayed, runs: Runs) -> Pieces:
        """The slots of every run, as if they were given out from the first start to the last end."""
        free = {id_: (1 << size) - 1 for id_, size in self.size.items()}
        number = dict(zip(runs.action.tolist(), range(runs.action.size), strict=True))
        held: dict[int, list[tuple[int, int]]] = {}
        found: list[int] = []
        """Run, first and count, one after another: so many tuples would take longer than all the rest."""
        for place, action in enumerate(result.actions):
            if action.kind == DROP:
                continue
            for id_, mask in held.pop(action.job, ()):
                free[id_] |= mask
            run = number.get(place)
            if run is not None:
                cpu_milli = result.workload.jobs[action.job].shape.amounts.cpu_milli
                held[action.job] = mine = self._taken(free, action.placements, cpu_milli)
                for stretch in self._stretches(mine):
                    found += (run, *stretch)
        table = np.array(found, dtype=np.int64).reshape(-1, 3)
        return Pieces(table[:, 0], table[:, 1], table[:, 2])

    def _taken(self, free: dict[int, int], placements: tuple[Placement, ...], cpu_milli: int) -> list[tuple[int, int]]:
        """Take what the placements need, as far as there is any: ids with masks of slots."""
        wanted = self._wanted_devices(placements) if self.by_device else self._wanted_cpu(placements, cpu_milli)
        taken = []
        for id_, milli in wanted:
            mask = _lowest(free[id_], max(1, round(milli / self.unit_milli)))
            free[id_] &= ~mask
            taken.append((id_, mask))
        return taken

    def _wanted_devices(self, placements: tuple[Placement, ...]) -> list[tuple[int, int]]:
        return [(share.device_id, share.milli) for place in placements for share in place.devices]

    def _wanted_cpu(self, placements: tuple[Placement, ...], cpu_milli: int) -> list[tuple[int, int]]:
        if len(placements) == 1:
            return [(placements[0].node_id, cpu_milli)] if cpu_milli else []
        tasks: dict[int, int] = {}
        for place in placements:
            tasks[place.node_id] = tasks.get(place.node_id, 0) + 1
        return [(node_id, count * cpu_milli) for node_id, count in tasks.items() if cpu_milli]

    def _stretches(self, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """First slot and number of slots of each unbroken stretch."""
        found: list[tuple[int, int]] = []
        end = -1
        for id_, mask in taken:
            base, left = self.base[id_], mask
            while left:
                low = (left & -left).bit_length() - 1
                rest = left >> low
                count = (~rest & (rest + 1)).bit_length() - 1
                left = rest >> count << (low + count)
                if base + low == end:
                    found[-1] = (found[-1][0], found[-1][1] + count)
                else:
                    found.append((base + low, count))
                end = base + low + count
        return found


def _lowest(free: int, wanted: int) -> int:
    """The lowest stretch of so many free slots, else the lowest free ones, fewer where there are no more."""
    fitting, have = free, 1
    while fitting and have < wanted:
        step = min(have, wanted - have)
        fitting &= fitting >> step
        have += step
    if fitting:
        return ((1 << wanted) - 1) * (fitting & -fitting)
    mask = 0
    while free and wanted:
        low = free & -free
        mask, free, wanted = mask | low, free ^ low, wanted - 1
    return mask


def _unit_of_devices(workload: Workload) -> int:
    """Thousandths of a device to a slot: all of it where nobody asks for a part."""
    shapes = {id(job.shape): job.shape for job in workload.jobs}
    if all(shape.gpu_milli % MILLI == 0 for shape in shapes.values()):
        return MILLI
    devices = sum(len(node.devices) for node in workload.nodes)
    return MILLI // max(1, min(FRACTION_SLOTS, MOST_SLOTS // devices))


def _unit_of_nodes(workload: Workload) -> int:
    """Thousandths of a processor to a slot: what all requests and nodes are a multiple of, or more where that is too fine."""
    capacities = [node.capacity.cpu_milli for node in workload.nodes]
    asked = {job.shape.amounts.cpu_milli for job in workload.jobs}
    least = -(-max(capacities, default=MILLI) * max(1, len(capacities)) // MOST_SLOTS)
    return max(1, math.gcd(*capacities, *asked), least)
