"""Policies by name. Each part of a policy has a module of its own that cites where it comes from."""

from __future__ import annotations

from tenure.core.stages import Stages
from tenure.policies.best_fit import BestFit
from tenure.policies.easy import EASY, GREEDY, SJBF, STRICT
from tenure.policies.fifo import Fifo
from tenure.policies.points import Points
from tenure.policies.staged import StagedPolicy

_BUILT_IN = {
    "default": Stages(order=Points(), score=BestFit(), backfill=EASY),
    "easy": Stages(order=Fifo(), score=BestFit(), backfill=EASY),
    "easy-sjbf": Stages(order=Fifo(), score=BestFit(), backfill=SJBF),
    "fifo": Stages(order=Fifo(), score=BestFit(), backfill=STRICT),
    "greedy": Stages(order=Points(), score=BestFit(), backfill=GREEDY),
}

POLICY_NAMES = tuple(sorted(_BUILT_IN))
"""The built-in policies. Others come by the entry point group ``tenure.policies``, which `tenure.bootstrap` reads."""


def policy_by_name(name: str) -> StagedPolicy:
    """A built-in policy. Raises KeyError with the known names for another one."""
    if name not in _BUILT_IN:
        raise KeyError(f"no policy is called {name!r}; there are {', '.join(POLICY_NAMES)}")
    return StagedPolicy(name, _BUILT_IN[name])


__all__ = ["POLICY_NAMES", "StagedPolicy", "policy_by_name"]
