"""Policies on the wire: which one plans, which there are, and what each has done."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Line, Reply, Request, Word


class PolicyRequest(Request):
    """Let this policy plan from now on: ``NAME[:KEY=VALUE,...]``; empty: the one that the settings name."""

    key: Word = ""
    policy: Line = ""


class PolicyView(Reply):
    """The policy that plans. ``by`` chose it at ``at_ms`` (``by_person`` false: it is the settings' own).

    ``settings`` are all numbers it plans with, ``changed`` the names of those that differ from the settings' own. ``note`` says what
    is to be known beside that, such as that a choice of an older version means nothing any more. ``strategy`` is the one that an
    adaptive policy follows now, and the three numbers are those it goes by (None without such a policy).
    """

    policy: str
    by_person: bool = False
    by: str = ""
    at_ms: int = 0
    settings: dict[str, int] = msgspec.field(default_factory=dict)
    changed: list[str] = msgspec.field(default_factory=list)
    note: str = ""
    strategy: str = ""
    utilisation_pct: float | None = None
    pending: int = 0
    critical: int = 0


class PolicyName(Reply):
    """A policy that has a name of its own."""

    name: str
    summary: str = ""


class PoliciesReply(Reply):
    """All names, sorted, and how other policies are put together: ``grammar`` with the parts by kind."""

    policies: list[PolicyName]
    grammar: str = ""
    orders: list[str] = msgspec.field(default_factory=list)
    ways: list[str] = msgspec.field(default_factory=list)
    placements: list[str] = msgspec.field(default_factory=list)


class FrontRequest(Request):
    """Compare the plans of a portfolio on the queue as it is: ``portfolio[:profile=..]``; empty: the present policy if it is one."""

    policy: Line = ""


class PlanCandidate(Reply):
    """One plan: whose it is, how many jobs it starts, how good it is by each objective (0 to 1) and by the weighted sum. Nobody beats
    one ``on_front`` in everything."""

    name: str
    starts: int
    objectives: dict[str, float]
    value: float
    on_front: bool = False
    chosen: bool = False


class FrontReply(Reply):
    """Every different plan, in the order of the portfolio's members, and what the objectives weigh."""

    policy: str
    weights: dict[str, float]
    candidates: list[PlanCandidate]


class PolicyUse(Reply):
    """What a policy has done, as far as runs are kept. ``chosen`` times it was chosen, first at ``since_ms``.

    ``tried`` allocations: those that began to run (``succeeded``), those that could not (``failed``, of them ``rejected`` when they
    were to be committed) and those that are about to. ``success_rate`` is over the first two, None without any. ``reasons``: so often a
    reason for waiting was new. Waits are those of jobs for their first start, None when none was started.
    """

    policy: str
    active: bool = False
    chosen: int = 0
    since_ms: int = 0
    tried: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    success_rate: float | None = None
    reasons: int = 0
    mean_wait_ms: int | None = None
    p95_wait_ms: int | None = None
    max_wait_ms: int | None = None


class PolicyUsesReply(Reply):
    """The present policy first, then by when each was chosen last."""

    policies: list[PolicyUse]
