"""What a client asks and hears about reservations."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply, Request, Whole, Word


class ReservationRequest(Request):
    """Set nodes (by name; none: all) aside from ``from_ms`` (0: now) to before ``until_ms``, or for ``length_ms`` from then: for jobs
    of ``project`` or of ``user`` (or of either), or, as ``maintenance``, for nobody. Of each node all of it, or so many GPUs with these
    amounts; where 0 is said, the GPUs' share of what the node has. Without a ``name`` it is given one."""

    key: Word = ""
    from_ms: Whole = 0
    until_ms: Whole = 0
    length_ms: Whole = 0
    name: Word = ""
    nodes: list[Word] = msgspec.field(default_factory=list)
    maintenance: bool = False
    project: Word = ""
    user: Word = ""
    gpus: Whole = 0
    cpu_milli: Whole = 0
    memory_bytes: Whole = 0


class RemovalRequest(Request):
    """Take back the ``reservation`` of that name or id."""

    reservation: Word
    key: Word = ""


class PartView(Reply):
    """What is set aside of one node: all of it, or these amounts and GPUs (by index)."""

    node: str
    whole: bool = True
    cpu_milli: int = 0
    memory_bytes: int = 0
    gpus: list[int] = msgspec.field(default_factory=list)


class ReservationView(Reply):
    """One reservation. ``state`` is planned, active, over or removed; ``running`` are the jobs that are not for it and will hold (or
    hold) something of it: they go on. ``notes`` say what one should know of it."""

    id: int
    name: str
    state: str
    from_ms: int
    until_ms: int
    maintenance: bool = False
    project: str = ""
    user: str = ""
    parts: list[PartView] = msgspec.field(default_factory=list)
    made_by: str = ""
    made_ms: int = 0
    removed_by: str = ""
    removed_ms: int = 0
    running: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)


class ReservationsReply(Page):
    """Reservations: those that are not over by their start, or all that are kept, the newest first."""

    reservations: list[ReservationView]
