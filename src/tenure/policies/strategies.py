"""The strategies that people name instead of a policy: each is a policy by another name.

Why: who operates a cluster chooses between "by priority" and "share fairly", not between orders and placements. Invariant: a strategy
is exactly the policy it stands for.
"""

from __future__ import annotations

STRATEGIES: dict[str, str] = {
    "fair_sharing": "fair-easy",
    "hybrid": "hybrid",
    "load_balancing": "points-easy+least-loaded",
    "priority_based": "points-easy",
    "resource_pooling": "points-easy+gpu-memory",
    "time_slicing": "points-easy-slicing",
}
"""The policy that each stands for."""

NAMED: dict[str, str] = {
    "adaptive": "default, in a strategy by how full and busy the cluster is: it may wait for a better place where one is preferred",
    "annealed": "tenure, unless a search finds an order of the first jobs that is fitter; exact, genetic and swarm search otherwise",
    "default": "by priority, and longer waits and fewer GPUs count; others go ahead where they do not delay the first; tightest fit",
    "easy": "first come, first served; others go ahead where they do not delay the first",
    "easy-sjbf": "easy, and of those that may go ahead the shortest first",
    "fair_sharing": "who has used least of its share goes first",
    "fifo": "first come, first served, and nobody goes ahead",
    "greedy": "by priority; whatever fits starts, so that large jobs may wait for ever",
    "hybrid": "fair shares between projects, by priority within them; spread while the cluster has room, packed when it is full",
    "load_balancing": "default, but on the node whose scarcest resource is the least used",
    "portfolio": "of the plans of several policies the one that serves five objectives best, by a profile or weights",
    "priority_based": "default, by another name",
    "resource_pooling": "default, but in the pools of nodes on the least GPU memory that will do, then where the load is least",
    "sjf-easy": "the shortest by its limit goes first; others go ahead where they do not delay it",
    "tenure": "the shortest by forecast goes first until somebody's patience is over; for batch queues with many short jobs",
    "time_slicing": "default, and jobs of equal priority take turns on the cpus that all of them want, each for a slice",
}
"""What the policies do that have names of their own, in a few words."""


def strategy_of(name: str) -> str:
    """A strategy's name as it is written here: hyphens are taken for underscores."""
    underscored = name.replace("-", "_")
    return underscored if underscored in STRATEGIES else name
