"""Routes about strategies, which are policies by the names that operators choose among, and about a portfolio's profiles.

`documented` are the same at the paths by which others know them, with the conflicts of the queue. Invariant: a strategy that was set is
the policy that it stands for, whoever asks.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api import conflicts
from tenure.api.context import answer, body_of, caller_from, context_of
from tenure.api.jobs import done
from tenure.api.parameters import Cursor, Limit, Name
from tenure.api.policy import current
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.core.objectives import Objectives
from tenure.model.access import Permission
from tenure.model.commands import SetPolicy
from tenure.model.settings import PlanSettings
from tenure.optimize.words import read_policy
from tenure.policies.portfolio import PROFILES
from tenure.policies.strategies import NAMED, STRATEGIES, strategy_of
from tenure.policies.words import BadPolicy
from tenure.wire import ROOT
from tenure.wire.conflict import ConflictsReply, ResolveReply, ResolveRequest
from tenure.wire.resources import (
    ProfilesReply,
    ProfileView,
    StrategiesReply,
    StrategyName,
    StrategyRequest,
    StrategyUsesReply,
    StrategyView,
)

routes = Routes(ROOT)
documented = Routes("/api/resource-scheduler")
Truth = Literal["true", "false"]
DEFAULT = "default"


@routes.get("/strategies", StrategiesReply, needs=Permission.CLUSTER_READ)
async def strategies(_request: Request) -> Response:
    """The strategies, each with the policy that it is."""
    return answer(StrategiesReply(strategies=[_named(name) for name in sorted(STRATEGIES)]))


@routes.get("/strategies/{name}", StrategyName, needs=Permission.CLUSTER_READ)
async def one(_request: Request, name: Name) -> Response:
    """One strategy: the policy that it is, and what it does."""
    if name not in STRATEGIES:
        raise failure("not_found", f"there is no strategy {name}", f"there are {', '.join(sorted(STRATEGIES))}")
    return answer(_named(name))


def _named(name: str) -> StrategyName:
    return StrategyName(name=name, policy=STRATEGIES[name], summary=NAMED[name])


@routes.get("/strategy", StrategyView, needs=Permission.CLUSTER_READ)
@documented.get("/strategy", StrategyView, needs=Permission.CLUSTER_READ)
async def strategy(request: Request) -> Response:
    """The strategy that plans; none where another policy does."""
    return answer(await _present(request))


@routes.put("/strategy", StrategyRequest, StrategyView, errors=("unknown_policy",), needs=Permission.POLICY_WRITE)
@documented.post("/strategy", StrategyRequest, StrategyView, errors=("unknown_policy",), needs=Permission.POLICY_WRITE)
@documented.post("/strategy/set", StrategyRequest, StrategyView, errors=("unknown_policy",), needs=Permission.POLICY_WRITE)
async def set_strategy(request: Request) -> Response:
    """Let a strategy plan from now on, with settings of it; nothing that runs is concerned."""
    wish = await body_of(request, StrategyRequest)
    name = strategy_of(wish.strategy)
    if name not in STRATEGIES:
        there_are = f"strategies are {', '.join(sorted(STRATEGIES))}"
        raise failure("unknown_policy", f"there is no strategy {wish.strategy!r}", there_are)
    config = ",".join(f"{key}={value}" for key, value in sorted(wish.config.items()))
    word = f"{name}:{config}" if config else name
    try:
        read_policy(word, PlanSettings())
    except BadPolicy as error:
        raise failure("unknown_policy", str(error)) from None
    await done(context_of(request), SetPolicy(wish.key, caller_from(request), word))
    return answer(await _present(request))


async def _present(request: Request) -> StrategyView:
    view = await current(context_of(request))
    name, _ = _strategy(view.policy)
    return StrategyView(
        strategy=name if name in STRATEGIES else "",
        policy=view.policy,
        config={key: view.settings[key] for key in view.changed},
        by=view.by,
        at_ms=view.at_ms,
        available=sorted(STRATEGIES),
    )


def _strategy(policy: str) -> tuple[str, str]:
    """The name that operators know a policy by, its own where it is no strategy; and its settings, colon included."""
    named, colon, config = policy.partition(":")
    return "priority_based" if named == DEFAULT else strategy_of(named), colon + config


@routes.get("/strategy/performance", StrategyUsesReply, needs=Permission.CLUSTER_READ)
@documented.get("/strategy/performance", StrategyUsesReply, needs=Permission.CLUSTER_READ)
async def performance(request: Request) -> Response:
    """What each strategy has done: allocations tried, succeeded, failed, their share, and how long jobs waited."""
    uses = await asyncio.to_thread(context_of(request).queries.policy_uses)
    found = []
    for use in uses:
        name, config = _strategy(use.policy)
        if name in STRATEGIES:
            found.append(msgspec.structs.replace(use, policy=name + config))
    return answer(StrategyUsesReply(strategies=found))


@routes.get("/profiles", ProfilesReply, needs=Permission.CLUSTER_READ)
async def profiles(_request: Request) -> Response:
    """The profiles by which a portfolio weighs its objectives."""
    return answer(ProfilesReply(profiles=[_profile(name) for name in sorted(PROFILES)]))


@routes.get("/profiles/{name}", ProfileView, needs=Permission.CLUSTER_READ)
async def profile(_request: Request, name: Name) -> Response:
    """One profile."""
    if name not in PROFILES:
        raise failure("not_found", f"there is no profile {name}", f"there are {', '.join(sorted(PROFILES))}")
    return answer(_profile(name))


def _profile(name: str) -> ProfileView:
    weights = PROFILES[name]
    total = sum(weights)
    return ProfileView(name=name, weights={each: weight / total for each, weight in zip(Objectives._fields, weights, strict=True)})


@documented.get("/conflicts/queue", ConflictsReply, needs=Permission.JOBS_READ)
async def queue(request: Request, use_priority: Truth = "false", limit: Limit = 1000, cursor: Cursor = "") -> Response:
    """A page of the open conflicts: first come, first listed, or with ``use_priority=true`` the most severe first."""
    return await conflicts.conflicts(request, "severity" if use_priority == "true" else "age", limit=limit, cursor=cursor)


@documented.post("/conflicts/resolve", ResolveRequest, ResolveReply, errors=conflicts.REFUSALS, needs=Permission.JOBS_WRITE)
async def resolve(request: Request) -> Response:
    """Resolve an open conflict in the chosen way."""
    return await conflicts.resolve(request)
