"""Commands about people: users, members of projects, tokens; and the record of a call that changes nothing in the store.

A secret never stands in a command: only its digest does. A user with an account on the machine has its uid, any other a number from
`NO_ACCOUNT` on, which no kernel ever vouches for.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.access import Caller, Role, Scope

NO_ACCOUNT = 2**32
TOKEN, SESSION, LOGIN = "token", "session", "login"
TOKEN_KINDS = (TOKEN, SESSION, LOGIN)
"""What a secret is for: calls of programs, calls of a browser, and one visit that begins a session."""


@dataclass(frozen=True, slots=True)
class SetUser:
    """Make a user, who must be given a role, or change one; None leaves a field alone. ``uid`` binds a new one to an account of the
    machine. One who is disabled may do nothing, under any token."""

    key: str
    caller: Caller
    name: str
    uid: int | None = None
    role: Role | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Disable a user for good: all tokens are revoked, all memberships end. The name stays with what was done under it."""

    key: str
    caller: Caller
    name: str


@dataclass(frozen=True, slots=True)
class SetMember:
    """Give a user a role in a project (which need not have had a job), up to operator; ``NOBODY`` ends the membership."""

    key: str
    caller: Caller
    user: str
    project: str
    role: Role


@dataclass(frozen=True, slots=True)
class CreateToken:
    """Let whoever shows the secret of this digest be ``user`` (empty: the caller himself) within the scope. ``prefix`` is how the token
    is shown, ``expires_ms`` 0 is never. Nobody gives more than he has."""

    key: str
    caller: Caller
    digest: str
    prefix: str
    scope: Scope
    kind: str = TOKEN
    user: str = ""
    label: str = ""
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Let a token mean nobody from now on; it is named by its number or its prefix. A second time is refused, so that of two who use
    up one login only one succeeds."""

    key: str
    caller: Caller
    token: str


@dataclass(frozen=True, slots=True)
class Note:
    """Keep in the audit log that something was done, or was not allowed (``outcome``), that changes no row."""

    key: str
    caller: Caller
    what: str
    target: str = ""
    outcome: str = "ok"


PeopleCommand = SetUser | RemoveUser | SetMember | CreateToken | RevokeToken | Note
