"""A policy that searches thinks on about its last plan, on a thread that gives way to the control loop's.

Invariant: one thread at a time; what it finds takes effect in a turn of the loop and never here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tenure.policies.staged import StagedPolicy


@dataclass(slots=True)
class Thinking:
    """Starts the thread; used by the control thread alone."""

    _thread: threading.Thread | None = None

    def think(self, policy: StagedPolicy, replan: Callable[[], object], log: Callable[[str], None]) -> None:
        """Let it think on, if it has ideas and is not at it; ``replan`` is called, by that thread, if it found something better."""
        if policy.has_ideas and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(target=_improve, args=(policy, replan, log), name="thinking", daemon=True)
            self._thread.start()


def _improve(policy: StagedPolicy, replan: Callable[[], object], log: Callable[[str], None]) -> None:
    try:
        if policy.improve():
            replan()
    except Exception as error:
        log(f"the policy {policy.name} could not think on: {type(error).__name__}: {error}")
