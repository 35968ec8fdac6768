"""Adaptive: the default policy, in the strategy that the rule of `tenure.core.strategy` picks for each plan, or in one that is pinned.

*Immediate* places everything that fits now. *Delayed* holds back, within its patience, who wishes for a better place (and nobody else:
waiting must not cost work). *Preemptive* displaces jobs of lower levels (`tenure.policies.preemption`). *Predictive* needs a part that
this module says is missing; the rule passes it over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tenure.core.stages import Stages
from tenure.core.strategy import DELAYED, IMMEDIATE, NAMES, PREDICTIVE, PREEMPTIVE, Chooser
from tenure.policies.preemption import PREEMPTION
from tenure.policies.staged import StagedPolicy, same

MISSING: dict[str, str] = {
    PREDICTIVE: "it needs a forecast of demand",
}
"""What the strategies wait for that cannot be followed yet."""


class Adaptive(StagedPolicy):
    """A policy whose strategy follows the state of the cluster; ``strategy`` pins one."""

    own_keys = ("strategy",)

    def __init__(self, name: str, plain: Stages, pinned: str = "") -> None:
        strategies = {DELAYED: replace(plain, delays=True), IMMEDIATE: plain, PREEMPTIVE: replace(plain, reclaim=PREEMPTION)}
        super().__init__(name, replace(plain, chooser=Chooser(strategies, pinned)))
        self._plain, self._pinned = plain, pinned

    def altered(self, name: str, change: Callable[[Stages], Stages] = same) -> Adaptive:
        """All strategies altered (`StagedPolicy.altered`)."""
        return Adaptive(name, change(self._plain), self._pinned)

    def with_own(self, settings: Mapping[str, str]) -> Adaptive:
        """The same with a ``strategy`` pinned. Raises ValueError with the way out."""
        pinned = settings.get("strategy", self._pinned)
        if pinned in MISSING:
            raise ValueError(f"the strategy {pinned} is not available yet: {MISSING[pinned]}; leave it out, and the rule picks one")
        if pinned and pinned not in NAMES:
            known = ", ".join(name for name in NAMES if name not in MISSING)
            raise ValueError(f"{pinned!r} is no strategy; pin one of {known}, or leave it out, and the rule picks one")
        return Adaptive(self.name, self._plain, pinned)
