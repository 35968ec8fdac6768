"""The time of a simulation: it stands still until somebody moves it."""

from __future__ import annotations


class VirtualClock:
    """A `tenure.ports.Clock` that goes from event to event. Invariant: it never goes back."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since the workload's beginning."""
        return self._now_ms

    def move_to(self, at_ms: int) -> None:
        """Let time pass. Raises ValueError for a moment that is over."""
        if at_ms < self._now_ms:
            raise ValueError(f"it is {self._now_ms} ms already, {at_ms} ms is over")
        self._now_ms = at_ms
