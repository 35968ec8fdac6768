"""Routes about the policy: which one plans, another one from now on, which there are, which plans one
has to choose among, and what each has done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import done
from tenure.api.routes import Routes
from tenure.control.loop import ControlLoop
from tenure.core.board import Board
from tenure.core.objectives import WHOLE, Objectives
from tenure.core.strategy import Pressure, Tide, rule
from tenure.model.access import Permission
from tenure.model.commands import SetPolicy
from tenure.model.settings import PlanSettings
from tenure.model.snapshot import Snapshot
from tenure.optimize.words import read_policy
from tenure.policies import BACKFILLS, ORDERS, PLACEMENTS, PORTFOLIO
from tenure.policies.adaptive import MISSING
from tenure.policies.portfolio import Portfolio
from tenure.policies.strategies import NAMED
from tenure.policies.words import NUMBERS, BadPolicy
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply
from tenure.wire.policy import (
    FrontReply,
    FrontRequest,
    PlanCandidate,
    PoliciesReply,
    PolicyName,
    PolicyRequest,
    PolicyUsesReply,
    PolicyView,
)

routes = Routes(ROOT)

GRAMMAR = "ORDER[-WAY][+PLACEMENT][:KEY=VALUE,...]"
"""How a policy is put together that has no name of its own."""


@routes.get("/policy", PolicyView, needs=Permission.CLUSTER_READ)
async def policy(request: Request) -> Response:
    """The policy that plans."""
    return answer(await current(context_of(request)))


@routes.post("/policy", PolicyRequest, PolicyView, errors=("unknown_policy",), needs=Permission.POLICY_WRITE)
async def set_policy(request: Request) -> Response:
    """Let another policy plan from now on; nothing that runs is concerned."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, PolicyRequest)
    if wish.policy:
        try:
            read_policy(wish.policy, PlanSettings())
        except BadPolicy as error:
            raise ApiError(422, ErrorReply(code="unknown_policy", message=str(error))) from None
    await done(context, SetPolicy(wish.key, caller, wish.policy))
    return answer(await current(context))


@routes.post("/policy/front", FrontRequest, FrontReply, errors=("unknown_policy",), needs=Permission.CLUSTER_READ)
async def front(request: Request) -> Response:
    """The plans that a portfolio has to choose among now, by five objectives; nothing is started."""
    context = context_of(request)
    wish = await body_of(request, FrontRequest)
    present = context.loop.ports.policy
    try:
        wanted = read_policy(wish.policy, PlanSettings())[0] if wish.policy else present
    except BadPolicy as error:
        raise ApiError(422, ErrorReply(code="unknown_policy", message=str(error))) from None
    if not wish.policy and not isinstance(wanted, Portfolio):
        wanted = read_policy(PORTFOLIO, PlanSettings())[0]
    if not isinstance(wanted, Portfolio):
        raise ApiError(422, ErrorReply(code="unknown_policy", message=f"{wish.policy} makes one plan only; name a portfolio"))
    portfolio = wanted
    snapshot = await context.on_control(lambda: context.loop.ports.store.snapshot(context.loop.clock.now_ms()))
    return answer(await asyncio.to_thread(front_of, portfolio, snapshot))


def front_of(portfolio: Portfolio, snapshot: Snapshot) -> FrontReply:
    """The candidates on a snapshot."""
    total, names = sum(portfolio.weights), Objectives._fields
    candidates = portfolio.candidates(Board.of(snapshot, portfolio.distinguishes), snapshot.now_ms)
    return FrontReply(
        policy=portfolio.name,
        weights={name: weight / total for name, weight in zip(names, portfolio.weights, strict=True)},
        candidates=[
            PlanCandidate(
                name=each.name,
                starts=len(each.starts),
                objectives={name: value / WHOLE for name, value in zip(names, each.objectives, strict=True)},
                value=each.weight / total / WHOLE,
                on_front=each.on_front,
                chosen=each.chosen,
            )
            for each in candidates
        ],
    )


@routes.get("/policies", PoliciesReply, needs=Permission.CLUSTER_READ)
async def policies(_request: Request) -> Response:
    """The policies that have names, and what others are made of."""
    named = [PolicyName(name=name, summary=summary) for name, summary in sorted(NAMED.items())]
    return answer(PoliciesReply(policies=named, grammar=GRAMMAR, orders=[*ORDERS], ways=[*BACKFILLS], placements=[*PLACEMENTS]))


@routes.get("/policy/performance", PolicyUsesReply, needs=Permission.CLUSTER_READ)
async def performance(request: Request) -> Response:
    """What each policy has done."""
    context = context_of(request)
    return answer(PolicyUsesReply(policies=await asyncio.to_thread(context.queries.policy_uses)))


async def current(context: Context) -> PolicyView:
    """The policy as the planner follows it, and who chose it."""
    loop = context.loop
    planned, strategy = await context.on_control(lambda: _planned(loop))
    choice = await asyncio.to_thread(context.queries.policy_choice)
    own = context.own_plan
    view = PolicyView(
        policy=planned.policy,
        settings={name: getattr(planned, name) for name in NUMBERS},
        changed=[name for name in NUMBERS if getattr(planned, name) != getattr(own, name)],
    )
    if choice is not None:
        view.by_person, view.by, view.at_ms = bool(choice.by_person), choice.user, choice.at_ms
        if choice.policy != planned.policy:
            view.note = f"{choice.policy}, which was chosen, means nothing to this version; choose again with tenure policy set"
    if strategy is not None:
        view.strategy, pressure, view.note = strategy.name, strategy.pressure, view.note or strategy.note
        view.utilisation_pct, view.pending, view.critical = pressure.utilisation_milli / 10, pressure.pending, pressure.critical
    return view


@dataclass(frozen=True, slots=True)
class _Strategy:
    """What an adaptive policy follows and by which numbers; ``note`` says what it would follow if it could."""

    name: str
    pressure: Pressure
    note: str


def _planned(loop: ControlLoop) -> tuple[PlanSettings, _Strategy | None]:
    """What the planner plans with. On the control thread."""
    board = loop.planner.follow(loop.ports, loop.clock.now_ms())
    chooser = loop.ports.policy.stages.chooser
    if chooser is None:
        return board.settings, None
    pressure = Pressure.of(board)
    if isinstance(chooser, Tide):
        return board.settings, _Strategy(chooser.choose(board)[0], pressure, "")
    wanted = rule(pressure)
    missing = "" if chooser.pinned else MISSING.get(wanted, "")
    note = f"the rule calls for {wanted}, which is not available yet: {missing}" if missing else ""
    return board.settings, _Strategy(chooser.choose(board)[0], pressure, note)
