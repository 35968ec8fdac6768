"""The part of the client about who one is to the daemon, and the tokens under which programs work for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.client.link import Link

if TYPE_CHECKING:
    from tenure.wire.people import TokenReply, TokenRequest, WhoAmI


class People:
    """``client.people``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def whoami(self) -> WhoAmI:
        """Who the caller is to the daemon, and what he may."""
        from tenure.wire.people import WhoAmI

        return self._link.call("GET", "/api/v1/whoami", WhoAmI)

    def make_token(self, request: TokenRequest) -> TokenReply:
        """Make a token; its secret is in this answer and nowhere else."""
        from tenure.wire.people import TokenReply

        return self._link.call("POST", "/api/v1/tokens", TokenReply, request)
