"""What the control loop tells about itself, for `status`, `doctor` and whoever watches that it does not stand still."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class LoopHealth:
    """What the loop tells about itself; read by other threads, written by the loop alone.

    ``busy_since`` is the monotonic time at which the present turn began, 0 while it sleeps: the watchdog's one input.
    """

    cycles: int = 0
    errors: int = 0
    busy_since: float = 0.0
    last_error: str = ""
    stopped_why: str = ""

    def stuck_for_s(self) -> float:
        """Seconds that the present turn has taken; 0 while the loop sleeps."""
        began = self.busy_since
        return time.monotonic() - began if began else 0.0
