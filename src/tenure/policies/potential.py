"""Potential: a task goes where it takes least from what the jobs of today could still use. Our own.

The potential of a node is the GPU that a typical task could use there, averaged over the kinds of requests on the board. Beside a
gradient of fragmentation (`tenure.policies.fgd`) it differs in four things, each of which is worth something on its own:

1. What devices have free counts only as far as cpu and memory last for it, at the rate at which the kinds that fit consume them: a node
   whose cpu runs out before its GPUs strands them, long before nothing fits any more.
2. A kind that wants several devices of a node counts as much as it is hard to place; one that wants a whole device less than one that
   can share it; one without GPUs keeps cpu free beside GPUs.
3. What is left of a device is worth what can be cut from it (`tenure.policies.leftovers`): 0.53 of a device take another 0.47, 0.19
   take almost nothing.
4. Nothing is rounded to percents, so there are few ties, and the order of the nodes does not matter.

Where all that is asked for is whole GPUs and nothing beside them, no cpu runs out and nothing is cut: only whole nodes can be lost, and
the best fit keeps those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Bools, Floats, Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.mix import Mix, mix_of
from tenure.core.rooms import Rooms
from tenure.core.scoring import leftover_milli
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MIB, MILLI
from tenure.policies.best_fit import BestFit
from tenure.policies.knowing import knowing
from tenure.policies.leftovers import CELLS, STEP, worths
from tenure.policies.usable import Free, Kind, Kinds, NodeFree, node_after, node_free, rows_of

MOST_KINDS = 48
GRAIN = 16
"""Scores are sixteenths of a thousandth of a GPU."""

FRACTION, WHOLE, EACH_OF_SEVERAL, NO_GPU = 100, 65, 180, 300
"""What the kinds of requests count, in percent."""

SPARE = 0.85
"""A node is held to last only for so much of what its cpu and memory would suffice for on average."""

LIGHTEST_MILLI = 300
"""A kind without GPUs is ranked among the others as if it took this."""

TIGHTEST = BestFit()


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is asked for: the kinds, what each counts, all tasks together, and the worth of what is left of a device.

    ``sharing`` [J] is what all tasks of a kind that takes GPUs take of them, of cpu and of memory; ``sums`` [3 + levels, J] has the
    same in three rows and then what each counts by level.
    """

    kinds: Kinds
    weights: list[int]
    sharing: list[tuple[int, int, int]]
    sums: Floats
    total: int
    worth: tuple[int, ...]


class Potential(Score):
    """The potential that is lost. Before `on` nothing is asked for and all nodes are alike."""

    name = "potential"
    singly = 8

    def __init__(self, known: _Known | None = None) -> None:
        self._known = known

    def on(self, board: Board) -> Score:
        """For what is asked for on this board; without GPUs, or with whole ones alone, the best fit it is."""
        if not any(node.devices for node in board.nodes):
            return TIGHTEST
        return knowing(board, self.name, mix_of(board), lambda mix: _score(mix, board.rooms))

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """What is lost, in sixteenths of a thousandth of a GPU."""
        known = self._known
        index = known.kinds.rooms.index.get(node.id) if known is not None else None
        if known is None or index is None:
            return 0
        lost = _potential_on(known, node_free(node), index) - _potential_on(known, node_after(ask, node), index)
        found = lost // (known.total * 100)
        if ask.milli:
            left = leftover_milli(ask, node)
            found += GRAIN * (_worth(known, left + ask.milli) - _worth(known, left))
        return found

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        found = np.zeros(len(judged.node), dtype=np.int64)
        known = self._known
        if known is None:
            return found
        kinds = known.kinds
        free, allowed = kinds.free(judged.columns), kinds.allowed.take(judged.among, axis=1)
        before = _potential(known, free, allowed)
        worth = np.array(known.worth, dtype=np.int64)
        for row, pairs in rows_of(judged):
            node, milli = judged.node[pairs], int(judged.gpu_milli[row])
            after = _potential(known, kinds.after(free.rows(node), judged, row, pairs), allowed.take(node, axis=1))
            found[pairs] = (before.take(node) - after) // (known.total * 100)
            if 0 < milli < MILLI:
                left = judged.leftover[pairs]
                full = np.minimum((left + milli) // STEP, CELLS)
                found[pairs] += GRAIN * (worth.take(full) - worth.take(np.minimum(left // STEP, CELLS)))
        return found


def _score(mix: Mix, rooms: Rooms) -> Score:
    plain = mix.tasks and all(ask.whole and not any(ask.need) for ask, _ in mix.tasks)
    return TIGHTEST if plain else Potential(_known(mix, rooms))


def _worth(known: _Known, milli: int) -> int:
    return known.worth[min(milli // STEP, CELLS)]


def _potential(known: _Known, free: Free, allowed: Bools) -> Ints:
    """[K], in `GRAIN` of a thousandth, times percent, summed over all tasks."""
    fits, held = known.kinds.fits(free, allowed)
    sums = known.sums @ fits
    asked = np.maximum(sums[0], 1)
    cpu = sums[1] / asked / (SPARE * np.maximum(free.cpu_milli, 1))
    memory = sums[2] / asked / (SPARE * np.maximum(free.memory_mib, 1))
    usable = held.astype(np.float64)
    on_devices = usable[:-1]
    by_cpu, by_memory = on_devices * cpu, on_devices * memory
    on_devices /= np.sqrt(1.0 + by_cpu * by_cpu + by_memory * by_memory)
    found: Ints = (sums[3:].astype(np.int64) * (usable * GRAIN).astype(np.int64)).sum(axis=0)
    return found


def _potential_on(known: _Known, free: NodeFree, index: int) -> int:
    """The same of one node."""
    fits, held = free.could_use(known.kinds, index)
    sharing, weights, level = known.sharing, known.weights, known.kinds.level
    asked_milli = cpu_milli = memory_mib = 0
    for kind in fits:
        gpus, cpus, mib = sharing[kind]
        asked_milli += gpus
        cpu_milli += cpus
        memory_mib += mib
    cpu = cpu_milli / max(asked_milli, 1) / (SPARE * max(free.cpu_milli, 1))
    memory = memory_mib / max(asked_milli, 1) / (SPARE * max(free.memory_mib, 1))
    usable = [
        int(milli / sqrt(1.0 + (milli * cpu) * (milli * cpu) + (milli * memory) * (milli * memory)) * GRAIN) for milli in held[:-1]
    ]
    usable.append(held[-1] * GRAIN)
    return sum([weights[kind] * usable[level[kind]] for kind in fits])


def _weight(kind: Kind) -> int:
    if not kind.gpu_milli:
        return kind.tasks * NO_GPU
    if kind.ask.milli:
        return kind.tasks * FRACTION
    return kind.tasks * (WHOLE if kind.ask.whole == 1 else EACH_OF_SEVERAL * kind.ask.whole)


def _known(mix: Mix, rooms: Rooms) -> _Known:
    kinds = Kinds(merged(mix), rooms)
    weights = [_weight(kind) for kind in kinds.kinds]
    sharing = [_shared(kind) for kind in kinds.kinds]
    rows = np.array(sharing, dtype=np.float64).reshape(-1, 3).T
    fractions = [(ask.milli, count) for ask, count in mix.tasks if ask.milli]
    total = max(sum(count for _, count in mix.tasks), 1)
    return _Known(kinds, weights, sharing, np.concatenate((rows, kinds.by_level(weights))), total, tuple(worths(fractions)))


def _shared(kind: Kind) -> tuple[int, int, int]:
    """What all tasks of a kind take together, 0 for those that leave the GPUs alone."""
    tasks = kind.tasks if kind.gpu_milli else 0
    return tasks * kind.gpu_milli, tasks * kind.cpu_milli, tasks * kind.memory_mib


def merged(mix: Mix) -> list[Kind]:
    """The kinds that weigh most: requests alike in devices and in size (a quarter of an octave of cpu, half a one of memory)."""
    alike: dict[tuple[object, ...], list[tuple[Ask, int]]] = {}
    for ask, count in mix.tasks:
        cpu, memory = ask.need[0], ask.need[1] // MIB
        devices = (ask.whole, *ask.device_kind, ask.labels)
        alike.setdefault((*devices, (cpu**4).bit_length(), (memory**2).bit_length()), []).append((ask, count))
    kinds = [_mean(members) for members in alike.values()]
    return sorted(kinds, key=_rank)[:MOST_KINDS]


def _mean(members: Iterable[tuple[Ask, int]]) -> Kind:
    found = list(members)
    tasks = sum(count for _, count in found)
    cpu = sum(ask.need[0] * count for ask, count in found) // tasks
    memory = sum(ask.need[1] // MIB * count for ask, count in found) // tasks
    return Kind(tasks, cpu, memory, found[0][0])


def _rank(kind: Kind) -> tuple[object, ...]:
    ask = kind.ask
    devices = (ask.whole, *ask.device_kind, ask.labels)
    return (-kind.tasks * max(kind.gpu_milli, LIGHTEST_MILLI), kind.cpu_milli, kind.memory_mib, devices)
