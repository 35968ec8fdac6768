"""A policy with its settings in one word, ``NAME[:KEY=VALUE,...]``: what is typed, kept in the store, simulated and supposed.

One reader for all of them, so that a word means the same everywhere and a mistake is told at the door, with the nearest name. The
keys are the numbers of `tenure.model.settings.PlanSettings`; one in milliseconds is also known without its ending and then takes a
duration (``patience=2d``). A policy may have keys of its own (`StagedPolicy.own_keys`). Invariant: reading the word of the settings it
gave gives the same policy and the same settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace

from tenure.core.strategy import NAMES
from tenure.model.amounts import parse_duration_ms
from tenure.model.settings import LEAST_SLICE_MS, PlanSettings
from tenure.policies import PLACEMENTS, POLICY_NAMES, policy_by_name
from tenure.policies.adaptive import MISSING
from tenure.policies.staged import StagedPolicy

NUMBERS = tuple(field.name for field in fields(PlanSettings) if field.type == "int")
_SPELT = tuple(name.removesuffix("_ms") for name in NUMBERS)
DURATIONS = {name.removesuffix("_ms"): name for name in NUMBERS if name.endswith("_ms")}
LEAST = {
    "backfill_depth": 1,
    "wait_full_ms": 0,
    "patience_ms": 0,
    "half_life_ms": 0,
    "las_queue_ms": 1,
    "preempt_gap": 1,
    "slice_ms": LEAST_SLICE_MS,
} | dict.fromkeys(
    [name for name in NUMBERS if name.startswith("preempt_") and name != "preempt_gap"]
    + ["checkpoint_every_ms", "promises", "guard_ms"],
    0,
)
_NUMBER = re.compile(r"-?\d{1,15}")


class BadPolicy(ValueError):
    """A policy that does not exist or a setting it does not have. The text is one sentence with the way out."""


def read_policy(word: str, base: PlanSettings) -> tuple[StagedPolicy, PlanSettings]:
    """The policy of a word and the settings it plans with: ``base``, changed as the word says. Raises BadPolicy."""
    name, colon, pairs = word.partition(":")
    if colon and not pairs:
        raise BadPolicy(f"{word!r} names no setting behind the colon; write {name}:KEY=VALUE, or leave the colon out")
    try:
        policy = policy_by_name(name)
    except KeyError:
        raise BadPolicy(_unknown(name)) from None
    told = [pair.partition("=") for pair in pairs.split(",")] if pairs else []
    keys = [DURATIONS.get(key, key) for key, _, _ in told]
    if twice := next((key for place, key in enumerate(keys) if key in keys[:place]), ""):
        raise BadPolicy(f"{word!r} says {twice} twice; leave one of them out")
    own = {key: value for key, _, value in told if key in policy.own_keys}
    try:
        policy = policy.with_own(own)
    except ValueError as error:
        raise BadPolicy(str(error)) from None
    changes = dict(_pair("".join(pair)) for pair in told if pair[0] not in own)
    return policy.altered(word), replace(base, policy=word, **changes)


def policy_of(settings: PlanSettings) -> StagedPolicy:
    """The policy that settings name. Raises BadPolicy."""
    return read_policy(settings.policy, settings)[0]


def _unknown(name: str) -> str:
    """Why a name means nothing, with the nearest one that does."""
    if name in NAMES:
        way = (
            f"is not available yet: {MISSING[name]}; name adaptive itself"
            if name in MISSING
            else f"is written adaptive:strategy={name}"
        )
        return f"{name} is a strategy of the policy adaptive, and {way}"
    order, plus, placement = name.partition("+")
    near = _near(placement, PLACEMENTS) if plus and order in POLICY_NAMES else _near(name, POLICY_NAMES)
    guess = f"did you mean {order + '+' if plus and order in POLICY_NAMES and near else ''}{near}? " if near else ""
    return f"no policy is called {name!r}; {guess}tenure policy list has all of them"


def _near(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like this one, empty when none does."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.lower(), known, 1)), "")


def _pair(text: str) -> tuple[str, int]:
    key, equals, value = text.partition("=")
    number = DURATIONS.get(key, key)
    if number not in NUMBERS:
        near = _near(key, (*NUMBERS, *DURATIONS))
        guess = f"did you mean {near}? " if near else ""
        raise BadPolicy(f"a policy has no setting {key!r}; {guess}there are {', '.join(_SPELT)}")
    try:
        found = int(value) if _NUMBER.fullmatch(value) and key in NUMBERS else parse_duration_ms(value) if key in DURATIONS else None
    except ValueError:
        found = None
    if found is None or not equals:
        kind = "a duration such as 90s or 2h" if key in DURATIONS else "a whole number"
        raise BadPolicy(f"{text!r} is no setting; write {key}=VALUE with {kind}")
    if found < LEAST.get(number, found):
        raise BadPolicy(f"{text!r} means nothing; {key} is at least {LEAST[number]}")
    return number, found
