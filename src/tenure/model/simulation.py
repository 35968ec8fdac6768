"""Simulations in the background, as they are kept: asked for, under way, over.

They decide nothing: whatever becomes of them, no job is concerned. Invariant: one that is over never runs again.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.access import Caller

RUNNING, SUCCEEDED, FAILED, CANCELLED = "running", "succeeded", "failed", "cancelled"
MOST_AT_ONCE, MOST_OF_ONE = 2, 1
"""So many run at a time, and so many of one person."""
MOST_BEGUN = 3
"""So often daemons begin one: that may be what ends them."""


@dataclass(frozen=True, slots=True)
class BeginSimulation:
    """Keep a simulation that is to run; ``request`` is what its process is told. Answers with its number as the note."""

    key: str
    caller: Caller
    policies: tuple[str, ...]
    request: bytes


@dataclass(frozen=True, slots=True)
class SimulationNote:
    """How a simulation that runs stands, or with another ``state`` how it ended. ``again``: another daemon has begun it anew."""

    number: int
    state: str = RUNNING
    policy: str = ""
    done: int = 0
    total: int = 0
    code: str = ""
    text: str = ""
    result: bytes = b""
    again: bool = False
