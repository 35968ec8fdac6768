"""Conflicts on the wire: what waiting jobs cannot all have, and how it was resolved."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Line, Page, Reply, Request, Word


class ConflictChoice(Request):
    """How a conflict is resolved: ``by`` priority (``favour``: the job that goes first), fair or time-slicing."""

    by: Word
    key: Word = ""
    favour: Word = ""


class ResolveRequest(ConflictChoice, kw_only=True):
    """Resolve the open conflict ``conflict`` so."""

    conflict: Line


class ConflictView(Reply):
    """One conflict: its ``kind`` (resource_competition, priority_conflict, schedule_conflict), its ``severity`` 1 to 10, a sentence.

    ``contenders`` are waiting jobs, ``holders`` running ones, at most eight each, as people name them. ``closed_ms`` and
    ``resolved_ms`` are 0 while it is open, and not resolved; ``resolution`` is what was done, by ``resolved_by``.
    """

    id: str
    kind: str
    severity: int
    text: str
    contenders: list[str]
    holders: list[str] = msgspec.field(default_factory=list)
    room: str = ""
    opened_ms: int = 0
    updated_ms: int = 0
    closed_ms: int = 0
    resolution: str = ""
    resolved_by: str = ""
    resolved_ms: int = 0


class ConflictsReply(Page):
    """Conflicts in the order that was asked for."""

    conflicts: list[ConflictView]


class ResolveReply(Reply):
    """What resolving a conflict changed, in a sentence."""

    conflict: str
    text: str
