"""Fragmentation gradient descent: a task goes where it makes least of the free GPUs useless.

Q. Weng, L. Yang, Y. Yu and others, "Beware of fragmentation: scheduling GPU-sharing workloads with fragmentation gradient descent",
USENIX ATC 2023. For a task drawn from the typical ones, what is free on a node counts as a fragment when the task cannot run there or
needs no GPU; else what is free on devices with too little for it. The gradient is scored in whole percent of a sigmoid, as published:
nodes are often alike then, and the published figure rests on taking the first of them by name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from math import log

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Bools, Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.mix import Mix, mix_of
from tenure.core.stages import Score
from tenure.core.tables import Judged
from tenure.model.amounts import MILLI
from tenure.policies.knowing import knowing
from tenure.policies.usable import Free, Kind, Kinds, NodeFree, node_after, node_free, rows_of

TYPICAL_PERCENT = 95
"""The most frequent requests that make so many percent of all tasks are the typical ones."""

MOST_KINDS = 96

STEPS = [log(percent / (100 - percent)) for percent in range(1, 100)]
"""Where a sigmoid passes whole percents, in GPUs. A table, so that both forms of the score agree to the digit."""


class FragmentationGradient(Score):
    """The growth of fragments. Before `on` nothing is typical and all nodes are alike."""

    name = "fgd"
    singly = 8

    def __init__(self, kinds: Kinds | None = None) -> None:
        self._kinds = kinds
        if kinds is not None:
            self._tasks = kinds.by_level([kind.tasks if kind.gpu_milli else 0 for kind in kinds.kinds])

    def on(self, board: Board) -> Score:
        """For what is asked for on this board."""
        return knowing(board, self.name, mix_of(board), lambda mix: FragmentationGradient(Kinds(typical(mix), board.rooms)))

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """Percent of a sigmoid over the growth in GPUs; 50 is no change."""
        index = self._kinds.rooms.index.get(node.id) if self._kinds is not None else None
        if index is None or self._kinds is None:
            return 0
        lost = self._usable_on(node_free(node), index) - self._usable_on(node_after(ask, node), index)
        total = sum(kind.tasks for kind in self._kinds.kinds)
        less = total * (ask.whole * MILLI + ask.milli) - lost
        return 100 - bisect_right(STEPS, less / (total * MILLI)) if total else 0

    def _usable_on(self, free: NodeFree, index: int) -> int:
        assert self._kinds is not None
        kinds, level = self._kinds.kinds, self._kinds.level
        fits, held = free.could_use(self._kinds, index, memory=False)
        return sum([kinds[at].tasks * held[level[at]] for at in fits if kinds[at].gpu_milli])

    def table(self, judged: Judged) -> Ints:
        """The same of many."""
        found = np.zeros(len(judged.node), dtype=np.int64)
        kinds = self._kinds
        total = sum(kind.tasks for kind in kinds.kinds) if kinds is not None else 0
        if kinds is None or not total:
            return found
        free, allowed = kinds.free(judged.columns), kinds.allowed.take(judged.among, axis=1)
        before = self._usable(kinds, free, allowed)
        for row, pairs in rows_of(judged):
            node = judged.node[pairs]
            after = self._usable(kinds, kinds.after(free.rows(node), judged, row, pairs), allowed.take(node, axis=1))
            less = total * int(judged.gpu_milli[row]) - (before.take(node) - after)
            found[pairs] = 100 - np.searchsorted(STEPS, less / (total * MILLI), side="right")
        return found

    def _usable(self, kinds: Kinds, free: Free, allowed: Bools) -> Ints:
        """[K]: what typical tasks could use, summed over them."""
        fits, held = kinds.fits(free, allowed, memory=False)
        usable: Ints = ((self._tasks @ fits).astype(np.int64) * held).sum(axis=0)
        return usable


def typical(mix: Mix) -> list[Kind]:
    """The most frequent requests, told apart by cpu, GPUs and where they may run."""
    alike: dict[tuple[object, ...], Ask] = {}
    tasks: Counter[tuple[object, ...]] = Counter()
    for ask, count in mix.tasks:
        key = (ask.need[0], ask.whole, ask.milli, ask.gpu_model, ask.gpu_capability, ask.gpu_memory_bytes, ask.labels)
        alike.setdefault(key, ask)
        tasks[key] += count
    ranked = sorted(tasks.items(), key=lambda item: (-item[1], item[0]))
    so_far = [0, *accumulate(count for _, count in ranked)]
    enough = so_far[-1] * TYPICAL_PERCENT
    kept = [item for item, before in zip(ranked, so_far, strict=False) if before * 100 < enough]
    return [Kind(count, alike[key].need[0], 0, alike[key]) for key, count in kept[:MOST_KINDS]]
