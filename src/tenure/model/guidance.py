"""Guidance: what a person or a program who thinks ahead asks of the planner for a while, within bounds.

It changes how much a class of work counts, or which policy decides; never what fits, who may hold how much, or what was promised.
Invariant: nothing that is raised becomes critical by it, whoever asks and however often.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

HOUR_MS = 3_600_000
USUAL_MS, LONGEST_MS = HOUR_MS, 24 * HOUR_MS
MOST_STEPS = 3
"""So many steps of priority a class of work is raised or lowered, at most, by all guidance together."""
HIGHEST = 7
"""Nothing is raised above this: what lies beyond is critical, which a job asks for itself."""
MOST_OPEN = 50
"""So much guidance stands at a time."""


@dataclass(frozen=True, slots=True)
class ClassGuidance:
    """Jobs of a project, a queue, a user (0: of any) and of a name (a pattern; empty: any) count as ``steps`` more or less urgent."""

    id: int
    steps: int
    project: int = 0
    queue: int = 0
    user: int = 0
    name: str = ""

    def concerns(self, project: int, queue: int, user: int, name: str) -> bool:
        """Whether a job is of that class."""
        return (
            self.project in (0, project)
            and self.queue in (0, queue)
            and self.user in (0, user)
            and (not self.name or fnmatchcase(name, self.name))
        )


def guided(priority: int, steps: Iterable[int]) -> int:
    """The priority that counts, after all guidance that concerns a job."""
    change = max(-MOST_STEPS, min(MOST_STEPS, sum(steps)))
    if change > 0:
        return max(priority, min(HIGHEST, priority + change))
    return max(1, priority + change)
