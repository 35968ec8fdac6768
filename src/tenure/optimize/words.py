"""A policy in one word, those that search among them: `tenure.policies.words` with ``annealed``, ``genetic``, ``swarm`` and ``exact``.

They are named like any policy and take ``base`` (the incumbent, `INCUMBENT` without it), ``units`` and ``window``. Why a reader of its
own: policies are pure and know nothing of searches. Invariant: a word that this reader does not know means what the other one says.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from tenure.model.settings import PlanSettings
from tenure.optimize.annealing import anneal
from tenure.optimize.evolving import genetic, swarm
from tenure.optimize.exact import exact
from tenure.optimize.planned import Planned, Search
from tenure.policies.staged import StagedPolicy
from tenure.policies.words import BadPolicy
from tenure.policies.words import read_policy as read_rule

INCUMBENT = "tenure"

SEARCHES: dict[str, Search] = {"annealed": anneal, "exact": exact, "genetic": genetic, "swarm": swarm}
"""The ways to search, by name."""

NEEDS = {"exact": ("ortools", "opt"), "genetic": ("pymoo", "moo"), "swarm": ("pymoo", "moo")}
"""The library that a search needs, and the extra that brings it."""


def read_policy(word: str, base: PlanSettings, *, inline: bool = True) -> tuple[StagedPolicy, PlanSettings]:
    """The policy of a word and the settings it plans with (`tenure.policies.words.read_policy`). Raises BadPolicy.

    ``inline`` false: a search waits until it is told to go on (`Planned.improve`).
    """
    name, _, text = word.partition(":")
    if name not in SEARCHES:
        return read_rule(word, base)
    library, extra = NEEDS.get(name, ("", ""))
    if library and find_spec(library) is None:
        raise BadPolicy(f"the policy {name} needs {library}; install it with: pip install 'tenure[{extra}]'")
    told = [pair.partition("=") for pair in text.split(",")] if text else []
    own = {key: value for key, _, value in told if key in Planned.own_keys}
    rule = own.get("base", INCUMBENT)
    rest = ",".join("".join(pair) for pair in told if pair[0] not in own)
    incumbent, settings = read_rule(f"{rule}:{rest}" if rest else rule, base)
    try:
        found = Planned(word, incumbent, SEARCHES[name], inline=inline).with_own(own)
    except ValueError as error:
        raise BadPolicy(str(error)) from None
    return found, replace(settings, policy=word)


def policy_of(settings: PlanSettings) -> StagedPolicy:
    """The policy that settings name, as a daemon plans with it: searches wait until nobody else does. Raises BadPolicy."""
    return read_policy(settings.policy, settings, inline=False)[0]
