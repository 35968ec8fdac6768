"""Who calls, and whether he may: asked once for each call, before anything else is done for it.

The transport vouches for an identity, nothing else does: the kernel for the peer of a unix socket, a secret for whoever shows one
(``Authorization: Bearer``; the gate of a TCP listener makes one of a session's cookie). Who shows a secret is whom it names, also on
the unix socket, so that a token's limits hold wherever it is used. The daemon's own user on the unix socket is known without a look
into the store. Invariant: a call without an identity has no caller, and whatever asks for one fails; what was read of people and
tokens is forgotten when any of it changes.
"""

from __future__ import annotations

import hmac
import os
import pwd
import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any, Protocol

from starlette.requests import HTTPConnection

from tenure.api.errors import ApiError
from tenure.api.peer import caller_of
from tenure.model.access import LOWEST, Caller, Permission, Role
from tenure.model.people import SESSION, TOKEN
from tenure.store.people import Person, TokenRow
from tenure.wire.dto import ErrorReply
from tenure.wire.secrets import bearer_of, digest_of

CALLER = "tenure.caller"
"""Where a call's scope has its caller."""
KEPT = 1024


class People(Protocol):
    """Where users and tokens are kept."""

    def person(self, uid: int) -> Person | None:
        """The user of a uid, None for one that was never seen."""
        ...

    def token(self, digest: str) -> tuple[TokenRow, Person] | None:
        """The token of a digest, and whom it names."""
        ...


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Identity:
    """Says who calls one daemon. ``owner`` is the uid that the daemon runs under: its person may do everything, and needs no set-up.
    With ``shared`` other accounts of the machine are let in by the unix socket as well, as users unless they have another role.
    Everything is called in the event loop."""

    def __init__(
        self, people: People | None = None, owner: int | None = None, *, shared: bool = False, now_ms: Callable[[], int] = _now_ms
    ) -> None:
        self._people = people
        self._owner = os.getuid() if owner is None else owner
        self._now_ms = now_ms
        self.shared = shared
        self._tokens: dict[str, tuple[TokenRow, Person]] = {}
        self._peers: dict[int, Caller] = {}

    def is_owner(self, name: str) -> bool:
        """Whether somebody of this name may do everything whatever is said of him."""
        return name == caller_of(self._owner, Role.ADMIN).user

    def identify(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Caller:
        """The caller. Raises ApiError (401: nobody, or a secret that is not valid; 403: somebody who is not let in)."""
        shown = headers.get(b"authorization")
        if shown is not None:
            return self.holder(bearer_of(shown), (TOKEN, SESSION))
        client = scope.get("client")
        if client and client[0] == "uid":
            uid: int = client[1]
            return caller_of(uid, Role.ADMIN) if uid == self._owner else self._peer(uid)
        raise _unidentified("unidentified", "the connection does not say whose it is")

    def holder(self, secret: str, kinds: Collection[str]) -> Caller:
        """Whom a secret of one of these kinds names. Raises ApiError."""
        digest = digest_of(secret)
        found = self._tokens.get(digest)
        if found is None and secret and self._people is not None:
            found = self._people.token(digest)
            if found is not None:
                _keep(self._tokens, digest, found)
        row, person = found or (None, None)
        if row is None or person is None or not hmac.compare_digest(row.digest, digest):
            raise _unidentified("bad_token", "this token is not valid")
        if row.kind not in kinds or not row.is_valid(self._now_ms()):
            raise _unidentified("bad_token", "this token is not valid any more")
        return row.scope.narrow(self._caller(person), row.id, row.kind)

    def forget(self) -> None:
        """Users or tokens have changed: read them afresh."""
        self._tokens.clear()
        self._peers.clear()

    def _peer(self, uid: int) -> Caller:
        """Another account of this machine. Raises ApiError where those are not let in."""
        if not self.shared:
            reply = ErrorReply(code="forbidden", message="this daemon is another user's", remedy="start your own: tenure up")
            raise ApiError(403, reply)
        known = self._peers.get(uid)
        if known is None:
            person = self._people.person(uid) if self._people is not None else None
            known = self._caller(person) if person is not None else Caller(uid, _account(uid))
            _keep(self._peers, uid, known)
        return known

    def _caller(self, person: Person) -> Caller:
        """A user without the limits of any token. An account of the machine that was never given a role is a user."""
        return Caller(person.uid, person.name, self.role_of(person), person.projects)

    def role_of(self, person: Person) -> Role:
        """The role that a user has in effect."""
        if person.disabled:
            return Role.NOBODY
        return Role.ADMIN if person.uid == self._owner else person.role or (Role.USER if person.has_account else Role.NOBODY)


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= KEPT:
        cache.clear()
    cache[key] = value


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
