"""The part of the client for whoever thinks ahead, a person or a program: how things stand, what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.client.link import Link, path_of

if TYPE_CHECKING:
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
