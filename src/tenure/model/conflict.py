"""Conflicts: what waiting jobs cannot all have, as a plan found it.

A conflict is a view of the same record that holds, reservations and explanations come from. Its id follows from what it is about, so
that the same conflict has the same id in every plan. Text is made at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConflictKind(StrEnum):
    """What cannot all be had."""

    RESOURCE = "resource_competition"
    """Several jobs wait for the same kind of room."""
    PRIORITY = "priority_conflict"
    """A job waits for what jobs of a lower priority hold."""
    SCHEDULE = "schedule_conflict"
    """A job waits that cannot end by its deadline."""


class Resolution(StrEnum):
    """A way to resolve a conflict."""

    PRIORITY = "priority"
    FAIR = "fair"
    TIME_SLICING = "time-slicing"


@dataclass(frozen=True, slots=True)
class Conflict:
    """``id`` is unique among the conflicts of one plan. ``severity`` is 1 (minor) to 10. ``contenders`` are the waiting jobs it is
    about, ``holders`` running jobs that hold what is contended for, each sorted by id and at most `MOST`. ``room`` is the kind of room,
    empty where that is not the matter."""

    id: str
    kind: ConflictKind
    severity: int
    contenders: tuple[int, ...]
    holders: tuple[int, ...] = ()
    room: str = ""


MOST = 8
"""So many jobs of each side are named."""
