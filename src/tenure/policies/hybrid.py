"""Hybrid: projects by their shares, within a project by priority, spread while there is room and packed when there is not.

One rule for each question. *Between projects and users* who has had least of its share goes first (`tenure.policies.fair`). *Among the
jobs of one user* the points decide (`tenure.policies.points`): priority, waiting, GPUs. *Where to*: below ``spread_below`` per cent in
use on the least loaded node, so that nothing runs hot for want of balance; from ``pack_above`` on where it fits tightest, so that large
jobs still find room; between the two as before. Invariant: the order is the same under both rules of placement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tenure.core.stages import Scores, Stages, Vector
from tenure.core.strategy import PACKED, SPREAD, Tide
from tenure.core.waiting import Columns
from tenure.model.amounts import is_whole
from tenure.model.settings import PlanSettings
from tenure.policies.best_fit import BestFit
from tenure.policies.fair import Fair
from tenure.policies.least_loaded import LeastLoaded
from tenure.policies.points import Points
from tenure.policies.staged import StagedPolicy, same

SPREAD_BELOW, PACK_ABOVE = 50, 70
_KEYS = ("spread_below", "pack_above", "strategy")
_POINTS = Points()
_LEAST_LOADED, _BEST_FIT = LeastLoaded(), BestFit()


class FairByPoints(Fair):
    """The standing decides; of one user's jobs the points do."""

    name = "fair_by_points"

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """The points."""
        return _POINTS.scores(columns, ages_ms, settings)


FAIR_BY_POINTS = FairByPoints()


class Hybrid(StagedPolicy):
    """The order and backfilling of ``plain``, with a placement by load; ``strategy`` pins one."""

    own_keys = _KEYS

    def __init__(self, name: str, plain: Stages, low: int = SPREAD_BELOW, high: int = PACK_ABOVE, pinned: str = "") -> None:
        ways = {SPREAD: replace(plain, score=_LEAST_LOADED), PACKED: replace(plain, score=_BEST_FIT)}
        super().__init__(name, replace(plain, chooser=Tide(ways, 10 * low, 10 * high, pinned)))
        self._plain, self._low, self._high, self._pinned = plain, low, high, pinned

    def altered(self, name: str, change: Callable[[Stages], Stages] = same) -> Hybrid:
        """Both rules altered (`StagedPolicy.altered`)."""
        return Hybrid(name, change(self._plain), self._low, self._high, self._pinned)

    def with_own(self, settings: Mapping[str, str]) -> Hybrid:
        """The same with other bounds, or a ``strategy`` pinned. Raises ValueError with the way out."""
        low, high = _percent(settings, "spread_below", self._low), _percent(settings, "pack_above", self._high)
        if low > high:
            raise ValueError(f"spread_below={low} is above pack_above={high}; write them the other way round")
        pinned = settings.get("strategy", self._pinned)
        if pinned not in ("", SPREAD, PACKED):
            raise ValueError(f"{pinned!r} is no strategy; pin {SPREAD} or {PACKED}, or leave it out, and the load decides")
        return Hybrid(self.name, self._plain, low, high, pinned)


def _percent(settings: Mapping[str, str], key: str, default: int) -> int:
    text = settings.get(key, str(default))
    if not (is_whole(text) and int(text) <= 100):
        raise ValueError(f"{key}={text} means nothing; write per cent, as in {key}={default}")
    return int(text)
