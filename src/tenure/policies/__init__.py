"""Policies by name. Each part of a policy has a module of its own that cites where it comes from.

A name is that of an order, alone (nobody goes ahead of the head) or with a way to backfill: ``sjf``, ``sjf-easy``, ``hrrn-easy-sjbf``,
``points-greedy``. Then ``-preemptive`` lets jobs of higher levels displace others: ``points-easy-preemptive``, or ``-slicing`` lets
those of equal priority take turns: ``points-easy-slicing``. Behind it may stand where a task goes: ``sjf-easy+fgd``; best fit without
it. A few have short names of their own, and the name of a placement alone is the default policy with it. What operators call a strategy
is a policy by another name (`tenure.policies.strategies`), ``portfolio`` chooses among several in each cycle, ``adaptive`` and
``hybrid`` among strategies of one, and `tenure.policies.words` reads a name with its settings.
Invariant: a name always means the same decisions.
"""

from __future__ import annotations

from dataclasses import replace

from tenure.core.stages import Backfill, Order, Reclaim, Stages
from tenure.policies.adaptive import Adaptive
from tenure.policies.area import Largest, SmallestArea
from tenure.policies.attained import LEAST_ATTAINED, Attained
from tenure.policies.best_fit import BestFit
from tenure.policies.conservative import CONSERVATIVE
from tenure.policies.deadline import EarliestDeadline
from tenure.policies.easy import EASY, GREEDY, SJBF, STRICT
from tenure.policies.f1 import F1
from tenure.policies.fair import Fair
from tenure.policies.fifo import Fifo
from tenure.policies.hybrid import FAIR_BY_POINTS, Hybrid
from tenure.policies.patience import Patience
from tenure.policies.placements import PLACEMENTS, RANDOM
from tenure.policies.points import Points
from tenure.policies.portfolio import Portfolio
from tenure.policies.preemption import PREEMPTION
from tenure.policies.response_ratio import ResponseRatio
from tenure.policies.shortest import Shortest, ShortestPredicted
from tenure.policies.staged import StagedPolicy
from tenure.policies.strategies import STRATEGIES, strategy_of
from tenure.policies.utility import Unicep, Wfp3

ORDERS: dict[str, Order] = {
    "edf": EarliestDeadline(),
    "f1": F1(),
    "fair": Fair(),
    "fifo": Fifo(),
    "hrrn": ResponseRatio(),
    "las": Attained(),
    "ljf": Largest(),
    "patience": Patience(),
    "points": Points(),
    "saf": SmallestArea(),
    "sjf": Shortest(),
    "spf": ShortestPredicted(),
    "unicep": Unicep(),
    "wfp3": Wfp3(),
}
"""Who goes first, by name."""

BACKFILLS: dict[str, Backfill] = {"conservative": CONSERVATIVE, "easy": EASY, "easy-sjbf": SJBF, "greedy": GREEDY}
"""Who may go ahead of the head, by what follows the order's name; nobody without it."""

PREEMPTIVE = "-preemptive"
"""What follows the name of a policy that displaces jobs."""

SLICING = "-slicing"
"""What follows the name of a policy under which jobs take turns (`tenure.core.rotation`)."""

_SHORT = {
    "conservative": "fifo-conservative",
    "default": "points-easy",
    "easy": "fifo-easy",
    "easy-sjbf": "fifo-easy-sjbf",
    "greedy": "points-greedy",
    "tenure": "patience-easy+potential",
}


def _built_in() -> dict[str, Stages]:
    found = {name: Stages(order, BestFit(), STRICT) for name, order in ORDERS.items()}
    for name, order in ORDERS.items():
        found |= {f"{name}-{way}": Stages(order, BestFit(), backfill) for way, backfill in BACKFILLS.items()}
    for short, name in _SHORT.items():
        way, _, placement = name.partition("+")
        found[short] = replace(found[way], score=PLACEMENTS[placement]) if placement else found[way]
    # Who promises a start to everybody has nobody that waits in vain.
    alone = {name: stages for name, stages in found.items() if stages.backfill.reserve <= 1}
    found |= {f"{name}{PREEMPTIVE}": replace(stages, reclaim=_displacing(stages.order)) for name, stages in alone.items()}
    turns = {f"{name}{SLICING}": replace(stages, slices=True) for name, stages in alone.items()}
    return found | turns | {"preemptive": found[f"default{PREEMPTIVE}"]}


def _displacing(order: Order) -> Reclaim:
    """Who may be displaced under an order: those of lower levels, or those that have had more."""
    return LEAST_ATTAINED if isinstance(order, Attained) else PREEMPTION


_BUILT_IN = _built_in()

ADAPTIVE = "adaptive"
HYBRID = "hybrid"
PORTFOLIO = "portfolio"
MEMBERS = (
    "default",
    "tenure",
    "hrrn-easy",
    "saf-easy",
    "easy-sjbf",
    "default+potential",
    "saf-easy+potential",
    "default+frugal",
    "saf-easy+frugal",
    "default+cheapest",
    "saf-easy+cheapest",
)
"""Whose plans the portfolio compares; the first of them is who decides where nothing is to choose."""

_LISTED = [name for name in _BUILT_IN if not name.endswith((PREEMPTIVE, SLICING))]
POLICY_NAMES = tuple(sorted((*_LISTED, *PLACEMENTS, ADAPTIVE, PORTFOLIO, RANDOM, *STRATEGIES)))
"""The built-in policies, without those that name both an order and a placement, or that displace under a long name. Others come by the
entry point group ``tenure.policies``, which `tenure.bootstrap` reads."""


def policy_by_name(name: str) -> StagedPolicy:
    """A built-in policy. Raises KeyError with the known names for another one."""
    if name == ADAPTIVE:
        return Adaptive(name, _BUILT_IN["default"])
    if strategy_of(name) == HYBRID:
        return Hybrid(name, replace(_BUILT_IN["fair-easy"], order=FAIR_BY_POINTS))
    if name == PORTFOLIO:
        return Portfolio(name, {member: policy_by_name(member).stages for member in MEMBERS})
    order, plus, placement = STRATEGIES.get(strategy_of(name), name).partition("+")
    if not plus and (name in PLACEMENTS or name == RANDOM):
        order, placement = "default", name
    if order not in _BUILT_IN or (plus and placement not in PLACEMENTS and placement != RANDOM):
        raise KeyError(f"no policy is called {name!r}; there are {_known()}")
    stages = _BUILT_IN[order]
    if placement == RANDOM:
        stages = replace(stages, score=PLACEMENTS["first-fit"], lots=1)
    elif placement:
        stages = replace(stages, score=PLACEMENTS[placement])
    return StagedPolicy(name, stages)


def _known() -> str:
    """The names, shorter than one by one."""
    orders, ways = ", ".join(ORDERS), ", ".join(f"-{way}" for way in BACKFILLS)
    placements = ", ".join((*PLACEMENTS, RANDOM))
    short = ", ".join(sorted((*_SHORT, "preemptive", ADAPTIVE, PORTFOLIO)))
    return f"{short}, and {orders}, each alone or followed by {ways}, by {PREEMPTIVE} or {SLICING}, and by + with one of {placements}"


__all__ = ["BACKFILLS", "ORDERS", "PLACEMENTS", "POLICY_NAMES", "PREEMPTIVE", "StagedPolicy", "policy_by_name"]
