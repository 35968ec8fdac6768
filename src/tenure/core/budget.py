"""A budget that counts work and never reads a clock, so that a plan cut short can be replayed exactly."""

from __future__ import annotations

UNLIMITED = 2**62


class UnitBudget:
    """At most ``limit`` units. Setting ``cancelled`` (from a clock, from another thread) refuses every further unit."""

    def __init__(self, limit: int = UNLIMITED) -> None:
        self.limit = limit
        self.cancelled = False
        self._spent = 0

    def spend(self, units: int) -> bool:
        """Spend units; False, and nothing spent, when they are not left."""
        if self.cancelled or self._spent + units > self.limit:
            return False
        self._spent += units
        return True

    @property
    def spent(self) -> int:
        """Units spent so far. A budget of this limit gives the same plan again."""
        return self._spent
