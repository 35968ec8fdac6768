"""GPUs that are near each other, on the least loaded node.

Tasks of several GPUs talk all the time: they go where one NVLink or NUMA group holds all of them, else where the fewest groups do
(M. Jeon and others, "Analysis of large-scale multi-tenant GPU clusters", ATC 2019, on what locality is worth). Among such nodes, and
for parts of a GPU, the least loaded one. Model, memory and the share of a device are no matter of taste: they decide
whether a task fits (`tenure.core.feasibility`), and `pick_devices` takes the very group that is counted here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom, is_whole
from tenure.core.rooms import Rooms
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI
from tenure.policies.knowing import knowing

APART = 4 * MILLI
"""Each further group costs more than any load."""


@dataclass(frozen=True, slots=True, eq=False)
class GpuLocality(Score):
    """Groups, then load. ``places`` [D, N] numbers the groups of each node from 0 on, -1 where there is no device."""

    places: Ints | None = None
    name: str = "gpu-locality"
    singly: int = 32

    def on(self, board: Board) -> Score:
        """For the groups of these nodes."""
        return knowing(board, self.name, board.rooms, lambda rooms: GpuLocality(_places(rooms)))

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """The cost of further groups, and the taken share of the devices and the cpu."""
        load = MILLI - int(float(node.free[0] - ask.need[0]) / max(1, node.capacity[0]) * MILLI)
        if not ask.wants_devices:
            return load
        load += MILLI - int(float(node.gpu_free - ask.whole * MILLI - ask.milli) / max(1, len(node.devices)))
        return load + (_groups(node, ask.whole) - 1) * APART if ask.whole > 1 else load

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        columns, row, node = judged.columns, judged.row, judged.node
        free = (columns.free[0].take(node) - judged.need[0].take(row)) / columns.size[0].take(node)
        gpu_milli = judged.gpu_milli.take(row)
        gpu_free = (columns.gpu_free.take(node) - gpu_milli) / np.maximum(columns.device_count.take(node), 1)
        load: Ints = MILLI - (free * MILLI).astype(np.int64)
        load += np.where(gpu_milli > 0, MILLI - gpu_free.astype(np.int64), 0)
        several = np.flatnonzero(gpu_milli > MILLI)
        if len(several):
            load[several] += (self._apart(judged, node[several], gpu_milli[several] // MILLI) - 1) * APART
        return load

    def _apart(self, judged: Judged, node: Ints, wanted: Ints) -> Ints:
        """How many groups it takes to get so many whole devices of each node, the largest groups first."""
        assert self.places is not None
        empty, places = judged.columns.empty, self.places.take(judged.among, axis=1)
        counts = np.stack([(empty & (places == group)).sum(axis=0) for group in range(len(places))])
        together = (-np.sort(-counts, axis=0)).cumsum(axis=0).take(node, axis=1)
        found: Ints = (together < wanted).sum(axis=0) + 1
        return found


def _groups(node: NodeRoom, wanted: int) -> int:
    counts: dict[int, int] = {}
    for device in node.devices:
        counts[device.group] = counts.get(device.group, 0) + is_whole(device)
    found = 0
    for count in sorted(counts.values(), reverse=True):
        found += 1
        wanted -= count
        if wanted <= 0:
            break
    return found


def _places(rooms: Rooms) -> Ints:
    width = max((len(node.devices) for node in rooms.nodes), default=0)
    found = np.full((width, len(rooms.nodes)), -1, dtype=np.int64)
    for index, node in enumerate(rooms.nodes):
        numbers: dict[int, int] = {}
        for place, device in enumerate(node.devices):
            found[place, index] = numbers.setdefault(device.group, len(numbers))
    return found
