"""What a client can ask about people: who it is itself, users and their projects, tokens, and what was done by whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tenure.client.link import PAGE, path_of

if TYPE_CHECKING:
    from tenure.client.link import Link
    from tenure.wire.people import AuditReply, TokenReply, TokenRequest, TokensReply, UsersReply, UserView, WhoAmI


def _key() -> str:
    return os.urandom(16).hex()


class People:
    """``client.people``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def whoami(self) -> WhoAmI:
        """Who calls, and what he may do."""
        from tenure.wire.people import WhoAmI

        return self._link.call("GET", "/api/v1/whoami", WhoAmI)

    def users(self) -> UsersReply:
        """All users."""
        from tenure.wire.people import UsersReply

        return self._link.whole("/api/v1/users", UsersReply)

    def set_user(self, name: str, **changes: Any) -> UserView:
        """Make a user or change one; fields as in `tenure.wire.people.UserRequest`."""
        from tenure.wire.people import UserRequest, UserView

        return self._link.call("POST", "/api/v1/users", UserView, UserRequest(name=name, key=_key(), **changes))

    def remove_user(self, name: str) -> UserView:
        """Disable a user for good, with all tokens and memberships."""
        from tenure.wire.people import RemoveUserRequest, UserView

        return self._link.call("POST", "/api/v1/users/remove", UserView, RemoveUserRequest(name=name, key=_key()))

    def tokens(self) -> TokensReply:
        """The caller's tokens; everybody's for an administrator."""
        from tenure.wire.people import TokensReply

        return self._link.whole("/api/v1/tokens", TokensReply)

    def make_token(self, request: TokenRequest) -> TokenReply:
        """Make a token; its secret is in this answer and nowhere else."""
        from tenure.wire.people import TokenReply

        return self._link.call("POST", "/api/v1/tokens", TokenReply, request, repeat=False)

    def revoke_token(self, token: str) -> None:
        """Let a token, named by its id, mean nobody."""
        from tenure.wire.people import RevokeRequest

        self._link.call("POST", "/api/v1/tokens/revoke", dict[str, Any], RevokeRequest(token=token, key=_key()))

    def audit(self, limit: int = 100) -> AuditReply:
        """What was done last, the newest first."""
        from tenure.wire.people import AuditReply

        return self._link.call("GET", path_of("/api/v1/audit", limit=limit), AuditReply)

    def audit_after(self, after: int, limit: int = PAGE) -> AuditReply:
        """What was done after a row, in order, a page of it; and where the log begins and ends."""
        from tenure.wire.people import AuditReply

        return self._link.call("GET", path_of("/api/v1/audit", after=after, limit=limit), AuditReply)
