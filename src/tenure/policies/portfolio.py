"""A portfolio: several policies plan on the same board, and the plan that serves five objectives best is the one that counts.

The idea of a portfolio is that of B. Huberman, R. Lukose and T. Hogg, "An economics approach to hard computational problems", Science
275, 1997; choosing a scheduler by what it would do is K. Deng, J. Song, K. Ren and A. Iosup, "Exploring portfolio scheduling for
long-term execution of scientific workloads in IaaS clouds", SC 2013. Here every member plans one cycle, `tenure.core.objectives` judges
what it would start, the dominated ones leave, and a profile weighs the rest. All members are `tenure.policies.guarded`, so the choice
starves nobody. Invariants: the plan is exactly that of one member; equal plans are one candidate; ties go to the first member, which is
also the one whose head is explained and looked ahead for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.cycle import plan_on_board
from tenure.core.explain import explain
from tenure.core.forward import Planning
from tenure.core.objectives import Judge, Objectives, declares
from tenure.core.pareto import choose, front, weighed
from tenure.core.stages import Stages
from tenure.model.explanation import Explanation
from tenure.model.plan import Decision, Plan, Start
from tenure.model.snapshot import Snapshot
from tenure.policies.guarded import Guarded
from tenure.policies.staged import StagedPolicy, same
from tenure.policies.thrift import CHEAPEST, FRUGAL
from tenure.ports import Budget

BALANCED = "balanced"
PROFILES: dict[str, tuple[int, int, int, int, int]] = {
    BALANCED: (30, 25, 20, 15, 10),
    "fast": (15, 60, 15, 5, 5),
    "fair": (15, 15, 60, 5, 5),
    "green": (15, 15, 10, 50, 10),
    "cheap": (15, 15, 10, 10, 50),
}
"""What the objectives weigh, in the order of `Objectives`."""

MOST_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan that was not rejected for being like an earlier one: whose it is, what it starts, how good that is."""

    name: str
    starts: tuple[Start, ...]
    objectives: Objectives
    weight: int
    on_front: bool
    chosen: bool


class Portfolio(StagedPolicy):
    """The members' stages by name, at least one; ``weights`` as in `PROFILES`. Members that save power or money plan only where
    nodes declare what there is to save."""

    own_keys = ("profile", "weights")

    def __init__(self, name: str, members: Mapping[str, Stages], weights: Sequence[int] = PROFILES[BALANCED]) -> None:
        known = tuple(sorted({"expected_ms", "user", *(each for stages in members.values() for each in stages.distinguishes)}))
        guarded = {each: replace(stages, order=Guarded(stages.order, known)) for each, stages in members.items()}
        super().__init__(name, next(iter(guarded.values())))
        self.weights = tuple(weights)
        self._unguarded = dict(members)
        self._members = guarded

    def altered(self, name: str, change: Callable[[Stages], Stages] = same) -> Portfolio:
        """All members altered (`StagedPolicy.altered`)."""
        return Portfolio(name, {each: change(stages) for each, stages in self._unguarded.items()}, self.weights)

    def with_own(self, settings: Mapping[str, str]) -> Portfolio:
        """The same members under a ``profile`` or ``weights``, five numbers with slashes. Raises ValueError with the way out."""
        return Portfolio(self.name, self._unguarded, weights_by(settings)) if settings else self

    @property
    def planning(self) -> Planning:
        """Choosing among the members at each point in time; none of them displaces anybody."""
        return partial(self.plan_on, decisions_only=True)

    def with_successors(self, plan: Plan, board: Board, now_ms: int) -> Plan:
        """The plan as it is: by which member's order the next one would go is not known yet."""
        return plan

    def plan_on(self, board: Board, now_ms: int, budget: Budget | None = None, *, decisions_only: bool = False) -> Plan:
        """The plan of the member that is chosen on this board (`StagedPolicy.plan_on`)."""
        budget = budget if budget is not None else UnitBudget()
        chosen, plan = self._choose(board, now_ms, budget)
        if decisions_only or plan.truncated_at is not None:
            return plan
        return plan_on_board(board, now_ms, self._members[chosen], budget)

    def explain(self, snapshot: Snapshot, job_id: int) -> Explanation:
        """Why a job waits under the member that is chosen. Raises KeyError when it does not wait."""
        board = Board.of(snapshot, self.distinguishes)
        return explain(snapshot, job_id, self._members[self._choose(board, snapshot.now_ms, UnitBudget())[0]])

    def candidates(self, board: Board, now_ms: int) -> list[Candidate]:
        """Every different plan, in the order of the members. The board is left as it was."""
        plans = dict(self._plans(board, now_ms, UnitBudget()))
        judge = Judge(board)
        points = {name: judge.judge(_starts(plan)) for name, plan in plans.items()}
        found, chosen = list(points.values()), choose(list(points.values()), self.weights)
        efficient = front(found)
        return [
            Candidate(name, _starts(plans[name]), point, weighed(point, self.weights), place in efficient, place == chosen)
            for place, (name, point) in enumerate(points.items())
        ]

    def _choose(self, board: Board, now_ms: int, budget: Budget) -> tuple[str, Plan]:
        """The member that is chosen, and its decisions."""
        plans = dict(self._plans(board, now_ms, budget))
        if len(plans) == 1:
            return next(iter(plans.items()))
        judge = Judge(board)
        chosen = choose([judge.judge(_starts(plan)) for plan in plans.values()], self.weights)
        return list(plans.items())[chosen]

    def _plans(self, board: Board, now_ms: int, budget: Budget) -> Iterator[tuple[str, Plan]]:
        """The members' different plans. Of those that the budget does not last for only the first counts, as far as it got."""
        seen: set[tuple[Decision, ...]] = set()
        for name, stages in self._playing(board):
            plan = plan_on_board(board, now_ms, stages, budget, decisions_only=True)
            if not seen or (plan.truncated_at is None and plan.decisions not in seen):
                yield name, plan
            if plan.truncated_at is not None:
                return
            seen.add(plan.decisions)

    def _playing(self, board: Board) -> Iterator[tuple[str, Stages]]:
        """The members that could make a difference."""
        idle = [score for score, declared in zip((FRUGAL, CHEAPEST), declares(board.rooms), strict=True) if not declared]
        return ((name, stages) for name, stages in self._members.items() if stages.score not in idle)


def _starts(plan: Plan) -> tuple[Start, ...]:
    return tuple(start for decision in plan.decisions for start in decision.starts)


def weights_by(settings: Mapping[str, str]) -> tuple[int, int, int, int, int]:
    """The weights that settings name. Raises ValueError with the way out."""
    if len(settings) > 1:
        raise ValueError(f"a profile is a set of weights, so name one or the other; {_WAY}")
    if "weights" in settings:
        return weights_of(settings["weights"])
    profile = settings["profile"]
    if profile not in PROFILES:
        raise ValueError(f"no profile is called {profile!r}; {_WAY}")
    return PROFILES[profile]


_WAY = (
    f"write profile= with one of {', '.join(PROFILES)}, or weights= with five numbers for utilisation, response, fairness, energy and "
    "cost, such as weights=30/25/20/15/10"
)


def weights_of(text: str) -> tuple[int, int, int, int, int]:
    """Five weights, whole numbers of which one at least is not 0. Raises ValueError with the way out."""
    parts = text.split("/")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8]
    if len(numbers) != len(parts) or len(parts) != len(Objectives._fields) or not 0 < max(numbers) <= MOST_WEIGHT:
        raise ValueError(f"{text!r} is no set of weights; {_WAY}")
    return (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
