"""The parts a staged policy is made of, as protocols: in which order jobs are considered, where a task goes, what waits for the head.

Each part is small, pure and named; `tenure.core.cycle` runs them. Lower scores of a placement are better, higher scores of an order
come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from tenure.core.columns import Floats, Ints
from tenure.core.feasibility import Ask, NodeRoom
from tenure.core.strategy import Chooser, Tide
from tenure.core.tables import Judged
from tenure.core.waiting import Columns
from tenure.model.job import PendingJob, RunningJob
from tenure.model.project import Bundle
from tenure.model.settings import PlanSettings

if TYPE_CHECKING:
    from tenure.core.board import Board
    from tenure.core.quotas import Quotas

Vector = Ints

Scores = Ints | Floats
"""Exact integers, or floats; never NaN."""


class Order(Protocol):
    """Who goes first: the higher score; ties: older submission, then lower id.

    ``distinguishes`` names the fields of a job (`tenure.core.waiting.DISTINGUISHABLE`) that are read beside the columns that every
    group has: jobs that differ in them are in different groups. Of two jobs of one group the older must never have the lower score,
    so that a group's own order is right whatever the time.
    """

    name: str
    distinguishes: tuple[str, ...]

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The scores of jobs, each from its own column and its age >= 0 alone."""
        ...


class Standing(Protocol):
    """How projects and the users in them stand in one cycle; lower goes first. A start may only make those it is told of stand higher,
    so nobody else's turn changes by it."""

    def of_project(self, project: int) -> int:
        """Compared first."""
        ...

    def of_user(self, project: int, user: int) -> int:
        """Compared among the users of a project."""
        ...

    def started(self, project: int, user: int, bundle: Bundle) -> None:
        """A user has been given so much more for a project."""
        ...


class Sharing(Protocol):
    """An order whose jobs stand by their project and user first, and by its scores only then; it distinguishes both fields."""

    def standing(self, board: Board, now_ms: int) -> Standing:
        """The standing at the beginning of a cycle, which the cycle tells of its starts."""
        ...


def as_sharing(order: Order) -> Sharing | None:
    """The order as one by which people stand, None if it is not. Asked in every cycle: `isinstance` of a
    protocol costs fifty times as much."""
    return cast("Sharing", order) if hasattr(order, "standing") else None


class Score(Protocol):
    """Which node is best for a task that fits on it.

    A score may know more than the node: `on` gives it what the board tells. Up to ``singly`` judgements cost less one by one than in
    one `table`.
    """

    name: str
    singly: int = 32

    def on(self, board: Board) -> Score:
        """The score for a board as it is now: the same object as long as the board says the same, or this one if it needs to know
        nothing."""
        return self

    def score(self, ask: Ask, node: NodeRoom) -> int:
        """The waste of putting one task there, below `tables.NOWHERE`; lower is better. Called only where the task fits."""
        ...

    def table(self, judged: Judged) -> Ints:
        """The same of P pairs of a shape and a node, [P]."""
        ...


class Reclaim(Protocol):
    """Who may be displaced for whom, and what that costs (`tenure.core.reclaim` finds the cheapest)."""

    name: str

    def on(self, board: Board, quotas: Quotas | None) -> Reclaim:
        """The part for a cycle on this board, with the bounds and holdings of its projects: this one if it needs to know nothing."""
        ...

    def outranks(self, job: PendingJob, victim: RunningJob, settings: PlanSettings) -> bool:
        """Whether the running job may ever be displaced for this one. Must be a strict order of priorities, or jobs displace each
        other in turn."""
        ...

    def together(self, job: PendingJob, victims: Sequence[RunningJob], settings: PlanSettings) -> list[RunningJob]:
        """Of those that may each be displaced for this job the ones that may go together, and any part of them; the first have
        precedence."""
        ...

    def cost(self, job: PendingJob, victim: RunningJob, size_milli: int, now_ms: int, settings: PlanSettings) -> int:
        """What it costs to displace it, above 0. ``size_milli`` is what it holds, in thousandths of a GPU or of what goes with one."""
        ...


@dataclass(frozen=True, slots=True)
class Backfill:
    """What the first job that does not fit, the head, is promised, and who may go ahead of it.

    ``reserve`` 0: nothing is promised, everybody may go ahead; 1: a start that nobody delays (`tenure.core.backfill`). Then, of the
    jobs behind: ``passing`` false lets none go ahead; ``beside`` false none that would still run at the head's start, not even beside
    it; ``candidates`` is the order in which they are tried, None the order that made the head the head. ``reserve`` above 1: so many
    jobs, the first in the order, are promised a start, and the others go ahead where they delay none (`tenure.core.promises`), bounded
    by `PlanSettings.promises` as well; the rest is not asked for then.
    """

    name: str
    reserve: int
    passing: bool = True
    beside: bool = True
    candidates: Order | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """One part per stage. ``reclaim`` takes room back from running jobs for the first one that waits in vain; None displaces nobody.

    ``lots`` says which of equally good nodes a job of one task gets: 0 the first by id, another number one that looks drawn, so that
    a study sees what a score owes to the order of the nodes. It follows from the number, the board's revision and the plan so far.
    ``delays``: who wishes for a better place may be held back for it (`tenure.core.wishes`). ``chooser`` leaves the strategy open: each
    plan is made with the stages it chooses, whose order and placement are these. ``slices``: jobs of equal standing take turns
    (`tenure.core.rotation`).
    """

    order: Order
    score: Score
    backfill: Backfill
    reclaim: Reclaim | None = None
    lots: int = 0
    delays: bool = False
    chooser: Chooser | Tide | None = None
    slices: bool = False

    @property
    def distinguishes(self) -> tuple[str, ...]:
        """What the board's groups must be distinguished by, sorted."""
        behind = self.backfill.candidates
        return tuple(sorted({*self.order.distinguishes, *(behind.distinguishes if behind is not None else ())}))
