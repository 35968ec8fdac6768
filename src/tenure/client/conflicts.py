"""What a client can ask about conflicts: which there are, which there were, and to resolve one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure.client.link import Link
    from tenure.wire.conflict import ConflictsReply, ResolveReply


class Conflicts:
    """``client.conflicts``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def queue(self, *, by: str = "age") -> ConflictsReply:
        """The open conflicts that nobody has resolved: the oldest first, or ``by`` severity."""
        from tenure.wire.conflict import ConflictsReply

        return self._link.whole("/api/v1/conflicts", ConflictsReply, by=by)

    def history(self) -> ConflictsReply:
        """The conflicts of the past and present, the newest first."""
        from tenure.wire.conflict import ConflictsReply

        return self._link.whole("/api/v1/conflicts", ConflictsReply, history=1)

    def resolve(self, conflict: str, by: str, *, favour: str = "") -> ResolveReply:
        """Resolve an open conflict ``by`` priority (of the job ``favour``), fair or time-slicing."""
        from tenure.wire.conflict import ResolveReply, ResolveRequest

        wish = ResolveRequest(key=os.urandom(16).hex(), conflict=conflict, by=by, favour=favour)
        return self._link.call("POST", "/api/v1/conflicts/resolve", ResolveReply, wish)
