"""Who calls, and whether he may: asked once for each call, before anything else is done for it.

The transport vouches for an identity, nothing else does: the kernel for the peer of a unix socket, a secret for whoever shows one
(``Authorization: Bearer``, or a session's cookie). Who shows a secret is whom it names, also on the unix socket, so that a token's
limits hold wherever it is used. Invariant: a call without an identity has no caller, and whatever asks for one fails.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.requests import HTTPConnection

from tenure.api.errors import ApiError
from tenure.api.peer import caller_of
from tenure.model.access import LOWEST, Caller, Permission, Role
from tenure.wire.dto import ErrorReply

CALLER = "tenure.caller"
"""Where a call's scope has its caller."""


class Identity:
    """Says who calls one daemon. ``owner`` is the uid that the daemon runs under: its person may do everything, and needs no set-up."""

    def __init__(self, owner: int | None = None) -> None:
        self._owner = os.getuid() if owner is None else owner

    def identify(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Caller:
        """The caller. Raises ApiError (401: nobody, or a secret that is not valid; 403: somebody who is not let in)."""
        if b"authorization" in headers:
            raise _unidentified("bad_token", "this token is not valid")
        client = scope.get("client")
        if not client or client[0] != "uid":
            raise _unidentified("unidentified", "the connection does not say whose it is")
        return caller_of(client[1], Role.ADMIN if client[1] == self._owner else Role.NOBODY)


def _unidentified(code: str, message: str) -> ApiError:
    return ApiError(401, ErrorReply(code=code, message=message, remedy="show a token that is valid: tenure token create makes one"))


def allow(caller: Caller, needs: Permission) -> None:
    """Raise ApiError unless the caller may make calls that need this."""
    if caller.may(needs):
        return
    if caller.role >= LOWEST[needs]:
        message, remedy = f"the token does not cover {needs}", "use one that does; tenure whoami says what this one covers"
    else:
        message = f"{caller.user} may not do this: it takes the role {LOWEST[needs].word}, not {caller.role.word}"
        remedy = "ask an administrator; tenure whoami says what you may do"
    raise ApiError(403, ErrorReply(code="forbidden", message=message, remedy=remedy))


def let_in(identity: Identity, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes], needs: Permission) -> None:
    """Let a call in: find out who calls, keep it in the scope, and see whether he may. Raises ApiError."""
    if needs is Permission.PUBLIC:
        return
    caller = scope[CALLER] = identity.identify(scope, headers)
    allow(caller, needs)


def caller_from(request: HTTPConnection) -> Caller:
    """Who makes this call."""
    return caller_from_scope(request.scope)


def caller_from_scope(scope: Mapping[str, Any]) -> Caller:
    """The same, from an ASGI scope. Raises ApiError for a call that nobody was let in for."""
    caller: Caller | None = scope.get(CALLER)
    if caller is None:
        raise _unidentified("unidentified", "the connection does not say whose it is")
    return caller
