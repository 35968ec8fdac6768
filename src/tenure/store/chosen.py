"""Which policy plans, read from its rows: the last choice counts, and all of them say which policy decided what.

Invariant: what is read can be planned with. A choice that this version does not understand any more (after an upgrade, say) falls
back to what the settings name, and the view says that it did.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from tenure.model.settings import PlanSettings
from tenure.optimize.words import read_policy
from tenure.policies.words import BadPolicy
from tenure.store.plan_schema import policy_choice
from tenure.store.sql import Link, Statement

_COLUMNS = ("id", "policy", "by_person", "user_name", "uid", "at_ms", "first_attempt", "rejected", "reasons", "strategy")
LAST_ID = select(func.max(policy_choice.c.id)).scalar_subquery()
LAST = Statement(select(*(policy_choice.c[name] for name in _COLUMNS)).where(policy_choice.c.id == LAST_ID))
ALL = Statement(select(*(policy_choice.c[name] for name in _COLUMNS)).order_by(policy_choice.c.id))


class Choice(NamedTuple):
    """One choice: ``by_person`` is false where the settings named the policy. It decided the attempts from ``first_attempt`` to that
    of the next choice; ``rejected`` of its decisions were not committed; ``reasons`` for waiting were new."""

    id: int
    policy: str
    by_person: int
    user: str
    uid: int
    at_ms: int
    first_attempt: int
    rejected: int
    reasons: int
    strategy: str


def last_choice(link: Link) -> Choice | None:
    """The present choice, None before the first."""
    row = link.row(LAST)
    return None if row is None else Choice(*row)


def choices(link: Link) -> list[Choice]:
    """All choices that are kept, the oldest first."""
    return [Choice(*row) for row in link.rows(ALL)]


def plan_settings(link: Link, own: PlanSettings) -> PlanSettings:
    """What to plan with: the settings' own numbers, changed as the chosen policy says."""
    choice = last_choice(link)
    if choice is None:
        return own
    try:
        return read_policy(choice.policy, own)[1]
    except BadPolicy:
        return own
