"""When somebody must look at guidance: it ends by itself.

Invariant: `next_ms` is never later than the first end of guidance that stands; a daemon that starts anew looks at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenure.model.commands import Command, Guide
from tenure.ports import Store


@dataclass(slots=True)
class GuidanceWatch:
    """The moment of the next look; 0 means now."""

    next_ms: int = 0

    def note(self, commands: Sequence[Command]) -> None:
        """Take these into account."""
        if any(isinstance(command, Guide) for command in commands):
            self.next_ms = 0

    def look(self, store: Store, now_ms: int) -> bool:
        """Do what is due; whether anything ended, after which a plan may be another one."""
        if now_ms < self.next_ms:
            return False
        self.next_ms, ended = store.expire_guidance(now_ms)
        return ended > 0
