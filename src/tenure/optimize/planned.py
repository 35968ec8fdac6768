"""A policy that plans by the best order a search has found, as long as that is better than what its incumbent would do.

The incumbent is an ordinary policy. What it would do is looked ahead with the cycle that plans and put in the order of its starts; so
both sides are decoded and judged by the same fitness, and only an order that is better by `MARGIN` is adopted. Carrying it out is
again the planning cycle, with EASY backfilling behind the head, so every plan is as feasible as any other and a wrong expectation
costs little.

A search takes its time: within a plan (``inline``, as the simulator and scenarios do it, where time stands still) or afterwards, on a
thread of its own (`improve`). An order that was found stays a starting point, so the next search begins where the last one ended.
Invariant: with the same past, the same board gives the same plan; a fresh policy's plan follows from the board alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from tenure.core.backlog import weighs_backlog
from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.columns import Floats
from tenure.core.cycle import plan_on_board
from tenure.core.explain import explain
from tenure.core.forward import look_ahead
from tenure.core.stages import Order, Scores, Stages, Vector
from tenure.core.waiting import FIRST_ID, Columns
from tenure.model.explanation import Explanation
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.model.snapshot import Snapshot
from tenure.optimize.annealing import best_of
from tenure.optimize.instance import Instance, instance_of
from tenure.optimize.schedule import BEST, Decoder
from tenure.policies.easy import EASY
from tenure.policies.staged import StagedPolicy, same
from tenure.ports import Budget

MARGIN = BEST // 1000
"""So much better an order must be to be adopted."""

KNOWN = 2.0**54
"""Above the score of every order, and exact in steps of four."""

LOOK_AHEAD_UNITS = 20_000


class Search(Protocol):
    """A way to look for a better order: never worse than the best of ``orders``, by placing at most ``units`` tokens."""

    def __call__(self, instance: Instance, orders: Sequence[Sequence[int]], units: int, seed: int) -> list[int]:
        """The best order found."""
        ...


class Ranked:
    """Jobs in a given order, then the others as another order has them."""

    def __init__(self, job_ids: Sequence[int], behind: Order) -> None:
        self.name = f"ranked before {behind.name}"
        self.distinguishes = behind.distinguishes
        self.weighs_backlog = weighs_backlog(behind)
        self._behind = behind
        ids = np.array(job_ids, dtype=np.int64)
        places = np.argsort(ids)
        self._ids = ids[places]
        self._scores: Floats = KNOWN - 4.0 * places.astype(np.float64)

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The ranked ones by rank, above all others."""
        behind = self._behind.scores(columns, ages_ms, settings)
        if not len(self._ids):
            return behind
        place = np.minimum(np.searchsorted(self._ids, columns[FIRST_ID]), len(self._ids) - 1)
        found: Scores = np.where(self._ids[place] == columns[FIRST_ID], self._scores[place], behind)
        return found


class Planned(StagedPolicy):
    """See the module. ``units`` bounds a search, ``window`` how many jobs it rearranges."""

    own_keys = ("base", "units", "window")
    foreseeable = False

    def __init__(
        self, name: str, incumbent: StagedPolicy, search: Search, *, units: int = 2_000, window: int = 24, inline: bool = True
    ) -> None:
        super().__init__(name, incumbent.stages)
        self.incumbent = incumbent
        self.search, self.units, self.window, self.inline = search, units, window, inline
        self.adopted = self.searched = 0
        self._kept: list[int] = []
        self._pending: tuple[Instance, list[list[int]]] | None = None
        self._planned: tuple[int, Stages] = (-1, incumbent.stages)

    def altered(self, name: str, change: Callable[[Stages], Stages] = same) -> Planned:
        """The same search over another incumbent (`StagedPolicy.altered`)."""
        incumbent = self.incumbent.altered(self.incumbent.name, change)
        return Planned(name, incumbent, self.search, units=self.units, window=self.window, inline=self.inline)

    def with_own(self, settings: Mapping[str, str]) -> Planned:
        """The same search with another budget. Raises ValueError with the way out."""
        numbers = {key: _number(key, value) for key, value in settings.items() if key != "base"}
        return Planned(
            self.name,
            self.incumbent,
            self.search,
            units=numbers.get("units", self.units),
            window=numbers.get("window", self.window),
            inline=self.inline,
        )

    def plan_on(self, board: Board, now_ms: int, budget: Budget | None = None, *, decisions_only: bool = False) -> Plan:
        """Decide by the adopted order, else as the incumbent does (`StagedPolicy.plan_on`)."""
        budget = budget if budget is not None else UnitBudget()
        board.waiting.move_to(now_ms, board.asks)
        stages = self._stages_on(board, now_ms) if len(board.waiting.groups) > 1 else self.stages
        self._planned = (board.revision, stages)
        return plan_on_board(board, now_ms, stages, budget, decisions_only=decisions_only)

    def explain(self, snapshot: Snapshot, job_id: int) -> Explanation:
        """Why a job waits, under the order that the last plan followed where it was made on this very snapshot."""
        revision, stages = self._planned
        return explain(snapshot, job_id, stages if revision == snapshot.revision else self.stages)

    def improve(self) -> bool:
        """Search where the last plan stood (`StagedPolicy.improve`)."""
        pending, self._pending = self._pending, None
        if pending is None:
            return False
        instance, orders = pending
        self._kept = instance.jobs(self._searched(instance, orders, self.units))
        found = instance.by_job(self._kept)  # what the next plan begins with: of what is found, the ranks of jobs are all that is kept
        decoder = Decoder(instance)
        return decoder.fitness(found).value >= decoder.fitness(orders[0]).value + MARGIN

    @property
    def has_ideas(self) -> bool:
        """Whether a plan was made that no search has looked at (`StagedPolicy.has_ideas`)."""
        return self._pending is not None

    def _stages_on(self, board: Board, now_ms: int) -> Stages:
        """The adopted order's stages, or the incumbent's."""
        instance = instance_of(board, now_ms, self.stages, self.window)
        if len(instance.tokens) - instance.pinned < 2:
            return self.stages
        orders = [self.incumbent_order(board, now_ms, instance), instance.by_job(self._kept), list(range(len(instance.tokens)))]
        if self.inline:
            best = self._searched(instance, orders, self.units)
        else:
            self._pending = (instance, orders)
            best = best_of(Decoder(instance), instance, orders)[0]
        decoder = Decoder(instance)
        if decoder.fitness(best).value < decoder.fitness(orders[0]).value + MARGIN:
            return self.stages
        self.adopted += 1
        self._kept = instance.jobs(best)
        return replace(self.stages, order=Ranked(_by_start(instance, decoder, best), self.stages.order), backfill=EASY)

    def _searched(self, instance: Instance, orders: list[list[int]], units: int) -> list[int]:
        self.searched += 1
        return self.search(instance, orders, units, instance.revision)

    def incumbent_order(self, board: Board, now_ms: int, instance: Instance) -> list[int]:
        """The order in which the incumbent would start these jobs; those whose start nobody knows come last."""
        wanted = list(dict.fromkeys(token.job_id for token in instance.tokens))
        starts = look_ahead(board, now_ms, self.stages, wanted, LOOK_AHEAD_UNITS).starts
        return instance.by_job(sorted(starts, key=lambda job_id: (starts[job_id], wanted.index(job_id))))


def _by_start(instance: Instance, decoder: Decoder, order: Sequence[int]) -> list[int]:
    """The jobs in the order in which the schedule starts them, those that never start last."""
    slots = decoder.slots(order)
    ranked = sorted(order, key=lambda place: (slots[place].start_ms < 0, slots[place].start_ms, order.index(place)))
    return instance.jobs(ranked)


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value[:8]) > 0 and len(value) < 8):
        raise ValueError(f"{key}={value} is no setting; write {key}= and a whole number from 1 on")
    return int(value)
