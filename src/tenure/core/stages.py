"""The parts a staged policy is made of, as protocols: in which order jobs are considered, where a task goes, what waits for the head.

Each part is small, pure and named; `tenure.core.cycle` runs them. Lower scores of a placement are better, higher scores of an order
come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.tables import Judged
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings

Vector = Ints


class Order(Protocol):
    """Who goes first. A job's score is a fixed part and a part that never shrinks with age; ties: older submission, then lower id."""

    name: str

    def fixed(self, columns: Columns, settings: PlanSettings) -> Vector:
        """The fixed part of each group's score."""
        ...

    def ageing(self, ages_ms: Vector, settings: PlanSettings) -> Vector:
        """The part that grows with the time since submission, for each age >= 0."""
        ...

    def ageing_of(self, age_ms: int, settings: PlanSettings) -> int:
        """The same for one age."""
        ...


class Score(Protocol):
    """Which node is best for a task that fits on it."""

    name: str

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """The waste of putting one task there, below `tables.NOWHERE`; lower is better. Called only where the task fits."""
        ...

    def table(self, judged: Judged) -> Ints:
        """The same of P pairs of a shape and a node, [P]."""
        ...


@dataclass(frozen=True, slots=True)
class Backfill:
    """What the first job that does not fit, the head, is promised, and who may go ahead of it.

    ``reserve`` 0: nothing is promised, everybody may go ahead; 1: a start that nobody delays (`tenure.core.backfill`). Then, of the
    jobs behind: ``passing`` false lets none go ahead; ``beside`` false none that would still run at the head's start, not even beside
    it; ``candidates`` is the order in which they are tried, None the order that made the head the head.
    """

    name: str
    reserve: int
    passing: bool = True
    beside: bool = True
    candidates: Order | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """One part per stage. ``reclaim`` (taking capacity back from running jobs) has no part yet."""

    order: Order
    score: Score
    backfill: Backfill
    reclaim: None = None
