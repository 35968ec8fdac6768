"""Another order, but with a limit to patience: who has waited longer than that goes first, whoever that order prefers.

Policies that choose among orders need it: each order's head has a reservation, but a head that changes with the order from cycle to
cycle is promised nothing. With this guard all of them agree on who is overdue. Patience is that of `tenure.policies.patience`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tenure.core.stages import Order, Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings
from tenure.policies.patience import OVERDUE, overdue


@dataclass
class Guarded:
    """The overdue by when they became so, then the others in their own order.

    ``distinguishes``: what the board tells apart for all orders that are chosen among; so they all know the same of a job, wherever
    one of them is run alone.
    """

    order: Order
    distinguishes: tuple[str, ...]
    name: str = field(init=False)
    weighs_backlog: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.order.name} with patience"

    def scores(self, columns: Columns, ages_ms: Vector, settings: PlanSettings) -> Scores:
        """Those of the order, below those of the overdue."""
        own = np.minimum(self.order.scores(columns, ages_ms, settings), OVERDUE / 2)
        late, scores = overdue(columns, ages_ms, settings)
        found: Scores = np.where(late, scores, own)
        return found
