"""The strategies that people name instead of a policy: each is a policy by another name, or says why it is not there yet.

Why: who operates a cluster chooses between "by priority" and "share fairly", not between orders and placements. Invariant: a strategy
is exactly the policy it stands for; one that has no policy answers with a sentence, never with something like it.
"""

from __future__ import annotations

STRATEGIES: dict[str, str] = {
    "load_balancing": "points-easy+least-loaded",
    "priority_based": "points-easy",
}
"""The policy that each stands for."""

NOT_YET: dict[str, str] = {
    "fair_sharing": "it needs an order by who has used how much",
    "hybrid": "it needs pools of nodes",
    "resource_pooling": "it needs pools of nodes",
    "time_slicing": "it needs running jobs to be suspended in turn",
}
"""What each of the others waits for."""


def strategy_of(name: str) -> str:
    """A strategy's name as it is written here: hyphens are taken for underscores."""
    underscored = name.replace("-", "_")
    return underscored if underscored in STRATEGIES or underscored in NOT_YET else name
