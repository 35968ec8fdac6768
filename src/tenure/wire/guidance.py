"""Guidance on the wire: what somebody who thinks ahead asks for, for a while."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Number, Page, Reply, Request, Whole, Word


class GuidanceRequest(Request):
    """Either ``steps`` of priority more (or less) for the jobs of a project, queue, user and name (a pattern), or another ``policy``,
    such as ``portfolio:profile=fast``. It stands for ``length_ms`` (0: an hour), a day at most."""

    key: Word = ""
    steps: Number = 0
    project: Word = ""
    queue: Word = ""
    user: Word = ""
    name: Word = ""
    policy: Word = ""
    length_ms: Whole = 0
    note: Word = ""


class EndRequest(Request):
    """Take guidance back."""

    guidance: Whole
    key: Word = ""


class GuidanceView(Reply):
    """One piece of guidance: what it asks for in words and in fields, who gave it, and until when it stands."""

    id: int
    text: str
    steps: int = 0
    project: str = ""
    queue: str = ""
    user: str = ""
    name: str = ""
    policy: str = ""
    before: str = ""
    note: str = ""
    made_by: str = ""
    made_ms: int = 0
    until_ms: int = 0
    ended_ms: int = 0
    ended_by: str = ""


class GuidancesReply(Page):
    """What stands, or what is kept, the newest first."""

    guidance: list[GuidanceView] = msgspec.field(default_factory=list)
