"""The part of the client for whoever thinks ahead, a person or a program: how things stand, what would help, what
was held; and guidance back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tenure.client.link import Link, path_of, quote

if TYPE_CHECKING:
    from tenure.wire.guidance import GuidanceRequest, GuidancesReply, GuidanceView
    from tenure.wire.reports import ReportReply
    from tenure.wire.thinking import RecommendationsReply, StatusReport

PATIENCE_S = 120.0
"""Working out what would help looks ahead several times."""


class Thinking:
    """``client.thinking``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def status(self, *, advise: bool = True) -> StatusReport:
        """How things stand, and what would help; without ``advise`` the recommendations are those that were worked out last."""
        from tenure.wire.thinking import StatusReport

        return self._link.call("GET", path_of("/api/v1/report/status", advise=int(advise)), StatusReport, timeout_s=PATIENCE_S)

    def recommendations(self) -> RecommendationsReply:
        """Changes that would let somebody start sooner, each tried out, with the command that makes it."""
        from tenure.wire.thinking import RecommendationsReply

        return self._link.call("GET", "/api/v1/recommendations", RecommendationsReply, timeout_s=PATIENCE_S)

    def report(self, kind: str, *, since_ms: int = 0, until_ms: int = 0, by: str = "user") -> ReportReply:
        """What was held (``usage``), what it cost (``cost``), what of it was in vain (``waste``), from a moment (seven days ago unless
        told) to another (now), by user, project, queue or day."""
        from tenure.wire.reports import ReportReply

        path = path_of(f"/api/v1/report/{quote(kind)}", since_ms=since_ms or None, until_ms=until_ms or None, by=by)
        return self._link.call("GET", path, ReportReply, timeout_s=PATIENCE_S)

    def guidance(self, *, history: bool = False) -> GuidancesReply:
        """What guidance stands; with ``history`` all that is kept, the newest first."""
        from tenure.wire.guidance import GuidancesReply

        return self._link.whole("/api/v1/guidance", GuidancesReply, history=history)

    def guide(self, request: GuidanceRequest) -> GuidanceView:
        """Raise or lower a class of work, or let another policy decide, for a while."""
        from tenure.wire.guidance import GuidanceView

        request.key = request.key or os.urandom(16).hex()
        return self._link.call("POST", "/api/v1/guidance", GuidanceView, request)

    def end_guidance(self, number: int) -> GuidanceView:
        """Take guidance back."""
        from tenure.wire.guidance import EndRequest, GuidanceView

        return self._link.call("POST", "/api/v1/guidance/end", GuidanceView, EndRequest(key=os.urandom(16).hex(), guidance=number))
