"""Which strategy a cycle follows, where the policy leaves it open: a rule over how full and how busy the cluster is.

The rule looks at the utilisation u (the larger of the used shares of cpus and of GPUs), at how many jobs wait (p) and at how many of
them are critical (c): c > 0 and u > 0.8 is *preemptive*; else u < 0.3 *immediate*; else p > 10 *predictive*; else *delayed*.
A strategy that there is no part for gives way to what the rule would say without it. So that it does not flap, the strategy of the
plan before stays as long as the rule would give it for numbers that differ only by a margin. Invariant: pure; the same board gives the
same strategy, and numbers that stay within the margins change it at most once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.columns import UNUSABLE
from tenure.core.waiting import PRIORITY
from tenure.model.amounts import MILLI

if TYPE_CHECKING:
    from tenure.core.board import Board
    from tenure.core.stages import Stages

IMMEDIATE, DELAYED, PREEMPTIVE, PREDICTIVE = "immediate", "delayed", "preemptive", "predictive"
NAMES = (IMMEDIATE, DELAYED, PREEMPTIVE, PREDICTIVE)
CRITICAL = 8
"""The lowest critical priority."""

MARGIN_MILLI, MARGIN_PENDING = 50, 2
"""By so much utilisation (thousandths) and so many jobs the numbers may differ before another strategy is taken."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """The rule's numbers: utilisation in thousandths, waiting jobs, critical ones among them."""

    utilisation_milli: int
    pending: int
    critical: int

    @staticmethod
    def of(board: Board) -> Pressure:
        """Those of a board. Jobs that may not start yet put no pressure on anybody; an array counts once."""
        waiting = board.waiting
        counts = [(len(group.entries), int(waiting.columns[PRIORITY, group.slot])) for group in waiting.groups.values()]
        critical = sum(count for count, priority in counts if priority >= CRITICAL)
        return Pressure(_utilisation_milli(board), sum(count for count, _ in counts), critical)


def _utilisation_milli(board: Board) -> int:
    """The larger used share of cpus and of devices, of nodes and devices that are offered."""
    columns = board.rooms.columns.columns
    offered = columns.offered
    devices = int((columns.milli[:, offered] > UNUSABLE // 2).sum()) * MILLI
    cpus = int(columns.size[0][offered].sum())
    free = int(np.maximum(columns.free[0][offered], 0).sum()), int(columns.gpu_free[offered].sum())
    return max((size - left) * MILLI // size if size else 0 for size, left in zip((cpus, devices), free, strict=True))


def rule(pressure: Pressure, without: Collection[str] = ()) -> str:
    """The strategy for these numbers, among those that there are."""
    if pressure.critical > 0 and pressure.utilisation_milli > 800 and PREEMPTIVE not in without:
        return PREEMPTIVE
    if pressure.utilisation_milli < 300:
        return IMMEDIATE
    if pressure.pending > 10 and PREDICTIVE not in without:
        return PREDICTIVE
    return DELAYED


def settled(before: str, pressure: Pressure, without: Collection[str] = ()) -> str:
    """The rule's strategy, or that of the plan before where it would be the rule's for nearly the same numbers."""
    near = {
        rule(Pressure(pressure.utilisation_milli + u, pressure.pending + p, pressure.critical), without)
        for u in (-MARGIN_MILLI, 0, MARGIN_MILLI)
        for p in (-MARGIN_PENDING, 0, MARGIN_PENDING)
    }
    return before if before in near else rule(pressure, without)


@dataclass(frozen=True, slots=True)
class Chooser:
    """The strategies of a policy by name, each with the stages it means; the others of `NAMES` there is no part for. ``pinned`` is
    followed whatever the numbers say."""

    strategies: Mapping[str, Stages]
    pinned: str = ""

    def choose(self, board: Board) -> tuple[str, Stages]:
        """The strategy for a board, and what it plans with."""
        name = self.pinned or settled(board.strategy, Pressure.of(board), [known for known in NAMES if known not in self.strategies])
        return name, self.strategies[name]


SPREAD, PACKED = "spread", "packed"


@dataclass(frozen=True, slots=True)
class Tide:
    """Two ways to plan, by how full the cluster is: *spread* below ``low_milli`` in use, *packed* from ``high_milli`` on, and between
    the two as in the plan before (at first spread), so that what starts because of the one does not bring the other."""

    strategies: Mapping[str, Stages]
    low_milli: int
    high_milli: int
    pinned: str = ""

    def choose(self, board: Board) -> tuple[str, Stages]:
        """The strategy for a board, and what it plans with."""
        name = self.pinned or self.settled(board.strategy, Pressure.of(board).utilisation_milli)
        return name, self.strategies[name]

    def settled(self, before: str, utilisation_milli: int) -> str:
        """The strategy for so much in use, after that of the plan before."""
        if utilisation_milli < self.low_milli:
            return SPREAD
        if utilisation_milli >= self.high_milli:
            return PACKED
        return before if before in (SPREAD, PACKED) else SPREAD
