"""Users, tokens, who one is, and the audit log, as they are sent."""

from __future__ import annotations

from typing import Any

import msgspec

from tenure.wire.base import Page, Reply, Request


class UserRequest(Request):
    """Make a user or change one; an absent field is left alone. ``projects`` are roles by project, ``none`` ends a membership.
    ``account`` binds a new user to the account of that name on the machine; without it one is bound if there is one."""

    name: str
    key: str
    role: str | None = None
    disabled: bool | None = None
    projects: dict[str, str] = msgspec.field(default_factory=dict)
    account: bool | None = None


class RemoveUserRequest(Request):
    """Disable a user for good."""

    name: str
    key: str


class UserView(Reply):
    """A user. ``uid`` is absent for one without an account on the machine."""

    name: str
    role: str
    uid: int | None = None
    disabled: bool = False
    projects: dict[str, str] = msgspec.field(default_factory=dict)
    tokens: int = 0


class UsersReply(Page):
    """All users, by name."""

    users: list[UserView]


class TokenRequest(Request):
    """Make a token. ``user`` is the caller's own if empty. ``role`` is the most that it may, ``projects`` (none: all) and ``may``
    (none: all permissions) narrow it further, ``read_only`` to what changes nothing. ``ttl_ms`` 0 is for ever. Caps of 0 are none;
    ``gpu_hours`` is of GPU time, ``lease_ms`` of one lease."""

    key: str
    user: str = ""
    label: str = ""
    role: str = "user"
    projects: list[str] = msgspec.field(default_factory=list)
    may: list[str] = msgspec.field(default_factory=list)
    read_only: bool = False
    ttl_ms: int = 0
    gpu_hours: float = 0.0
    jobs: int = 0
    lease_ms: int = 0


class TokenView(Reply):
    """A token without its secret; ``id`` is how people name it. Empty lists narrow nothing."""

    id: str
    user: str
    role: str
    kind: str = "token"
    label: str = ""
    projects: list[str] = msgspec.field(default_factory=list)
    may: list[str] = msgspec.field(default_factory=list)
    gpu_hours: float = 0.0
    jobs: int = 0
    lease_ms: int = 0
    made_ms: int = 0
    made_by: str = ""
    expires_ms: int = 0
    revoked_ms: int = 0
    valid: bool = True


class TokenReply(Reply):
    """A token that was made. ``secret`` is shown this once."""

    secret: str
    token: TokenView


class TokensReply(Page):
    """Tokens, the newest first."""

    tokens: list[TokenView]


class RevokeRequest(Request):
    """Let a token (by its id) mean nobody."""

    token: str
    key: str


class WhoAmI(Reply):
    """The caller as the daemon knows him, and what he may. ``only`` are the projects to which his token narrows him, if it does."""

    user: str
    uid: int
    role: str
    via: str
    may: list[str]
    projects: dict[str, str] = msgspec.field(default_factory=dict)
    only: list[str] | None = None
    token: TokenView | None = None


class AuditView(Reply):
    """One row of the audit log. ``count`` calls of one kind are one row; ``hash`` covers the row and the hash before it."""

    seq: int
    at_ms: int
    user: str
    uid: int
    via: str
    what: str
    outcome: str
    token: int = 0
    count: int = 1
    target: str = ""
    detail: dict[str, Any] = msgspec.field(default_factory=dict)
    hash: str = ""


class AuditMark(msgspec.Struct, frozen=True):
    """A row's number and hash; 0 and nothing stand before the first one."""

    seq: int = 0
    hash: str = ""


class AuditReply(Page):
    """Rows of the audit log. With ``after`` also the last row that was removed for its age (``floor``), and the last one of all."""

    entries: list[AuditView]
    floor: AuditMark = AuditMark()
    last: AuditMark = AuditMark()
