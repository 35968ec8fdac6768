"""When something is to be foretold of new jobs: soon after they came, and apart from the turn that took them in.

Planning never waits for it, and a job that is over within `AFTER_MS` needs no forecast. Invariant: where nothing was submitted since
the last look, there is no next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenure.model.commands import Command, SubmitJob
from tenure.ports import Store

AFTER_MS = 1_000
NEVER_MS = 2**62


@dataclass(slots=True)
class ForecastWatch:
    """The moment of the next look; 0 means now."""

    next_ms: int = 0

    def note(self, commands: Sequence[Command], now_ms: int) -> None:
        """Take these into account."""
        if self.next_ms == NEVER_MS and any(isinstance(command, SubmitJob) for command in commands):
            self.next_ms = now_ms + AFTER_MS

    def look(self, store: Store, now_ms: int) -> None:
        """Do what is due."""
        if now_ms >= self.next_ms:
            self.next_ms = now_ms + AFTER_MS if store.foretell(now_ms) else NEVER_MS
