"""A policy composed of one part per stage, run by `tenure.core.cycle`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.cycle import plan_on_board
from tenure.core.explain import explain
from tenure.core.forward import Planning, Timeline, first_in_order, look_ahead
from tenure.core.stages import Stages
from tenure.core.successors import with_successors
from tenure.model.explanation import Explanation
from tenure.model.plan import Plan
from tenure.model.snapshot import Snapshot
from tenure.ports import Budget


def same(stages: Stages) -> Stages:
    """No change."""
    return stages


class StagedPolicy:
    """Order, placement score, backfilling and (later) reclaiming, each exchangeable by itself.

    A kept board must be built with ``distinguishes`` (`Board.of`), or the order cannot read what it goes by.
    """

    def __init__(self, name: str, stages: Stages) -> None:
        self.name = name
        self.stages = stages
        self.distinguishes = stages.distinguishes

    own_keys: ClassVar[tuple[str, ...]] = ()
    """The settings that this kind of policy has beside the planner's numbers (`with_own`)."""

    foreseeable: ClassVar[bool] = True
    """Whether one can look ahead under this policy, with its ``stages`` or its ``planning``."""

    @property
    def planning(self) -> Planning | None:
        """How looking ahead plans under this policy, None where ``stages`` say it all."""
        return None

    def altered(self, name: str, change: Callable[[Stages], Stages] = same) -> StagedPolicy:
        """The same policy under another name and with its stages changed."""
        return StagedPolicy(name, change(self.stages))

    def with_own(self, settings: Mapping[str, str]) -> StagedPolicy:
        """This policy under settings of its own, by ``own_keys``. Raises ValueError with the way out."""
        assert not settings, "nobody reads a setting that the policy does not have"
        return self

    @property
    def has_ideas(self) -> bool:
        """Whether `improve` would have something to do."""
        return False

    def improve(self) -> bool:
        """Think on about the last plan, for as long as it takes, on any thread; whether a new plan would be another one."""
        return False

    def plan(self, snapshot: Snapshot, budget: Budget | None = None) -> Plan:
        """Decide on a snapshot (`tenure.ports.Policy`)."""
        return self.plan_on(Board.of(snapshot, self.distinguishes), snapshot.now_ms, budget)

    def plan_on(self, board: Board, now_ms: int, budget: Budget | None = None, *, decisions_only: bool = False) -> Plan:
        """Decide on a kept board: the same plan as on a snapshot of its content at ``now_ms``. The board is left as it was.

        ``decisions_only`` leaves out why others wait, which costs as much again and which nobody reads in a simulation.
        """
        budget = budget if budget is not None else UnitBudget()
        return plan_on_board(board, now_ms, self.stages, budget, decisions_only=decisions_only)

    def with_successors(self, plan: Plan, board: Board, now_ms: int) -> Plan:
        """The plan that was made on this board just now, with successors behind its starts where that delays nobody. Where jobs take
        turns there are none: who shares its room cannot rest alone."""
        return plan if self.stages.slices else with_successors(plan, board, now_ms, self.stages.order)

    def explain(self, snapshot: Snapshot, job_id: int) -> Explanation:
        """Why a job waits under this policy. Raises KeyError when it does not wait."""
        return explain(snapshot, job_id, self.stages)

    def expected_starts(self, board: Board, now_ms: int, count: int) -> Timeline:
        """When the first ``count`` waiting jobs should start, by time limits. The board is left as it was."""
        return look_ahead(board, now_ms, self.stages, first_in_order(board, now_ms, self.stages, count), planning=self.planning)
