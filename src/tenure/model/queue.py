"""Queues: lines in which jobs wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """A line in which jobs wait. ``default_limit_ms`` gives a job without a time limit one (0: none), so that it can be reserved for;
    ``max_limit_ms`` bounds it (0: no bound). ``bonus`` is added to the score of its jobs."""

    id: int
    name: str
    paused: bool = False
    default_limit_ms: int = 0
    max_limit_ms: int = 0
    bonus: int = 0
