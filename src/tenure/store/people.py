"""Users, their roles in projects, and tokens: what identities are made of, and the commands that change them.

What a row says of somebody is what he had when it was read; whoever keeps it must drop it when a command of these was carried out.
Invariants: nobody is given more than whoever gives it has; a token is as good as its user is now, whatever he was when it was made;
the name of a user without an account on the machine is nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select

from tenure.model.access import Caller, Caps, Permission, Role, Scope
from tenure.model.commands import Answer, Applied, Refused
from tenure.model.people import NO_ACCOUNT, TOKEN_KINDS, CreateToken, Note, RemoveUser, RevokeToken, SetMember, SetUser
from tenure.store.intern import next_id
from tenure.store.people_schema import member, token
from tenure.store.schema import project, user
from tenure.store.sql import Link, Statement, insert, param
from tenure.store.tx import Transaction, to_json

_USER = (user.c.id, user.c.uid, user.c.name, user.c.role, user.c.disabled)
USERS = Statement(select(*_USER).order_by(user.c.id))
USER_OF_ID = Statement(select(*_USER).where(user.c.id == param("id")), "id")
USER_OF_UID = Statement(select(*_USER).where(user.c.uid == param("uid")), "uid")
USERS_OF_NAME = Statement(select(*_USER).where(user.c.name == param("name")).order_by(user.c.id), "name")
ADD_USER = insert(user, "id", "uid", "name", "role", "disabled")
WRITE_USER = Statement(
    user.update().ordered_values((user.c.role, param("role")), (user.c.disabled, param("disabled"))).where(user.c.id == param("id")),
    "role",
    "disabled",
    "id",
)
_MEMBERS = select(member.c.user_id, project.c.name, member.c.role).join(project, project.c.id == member.c.project_id)
MEMBERS = Statement(_MEMBERS.order_by(member.c.user_id, project.c.name))
MEMBERS_OF = Statement(_MEMBERS.where(member.c.user_id == param("user")).order_by(project.c.name), "user")
DROP_MEMBER = Statement(
    member.delete().where(member.c.user_id == param("user"), member.c.project_id == param("project")), "user", "project"
)
DROP_MEMBERS = Statement(member.delete().where(member.c.user_id == param("user")), "user")
ADD_MEMBER = insert(member, "user_id", "project_id", "role")
_TOKEN_NAMES = (
    *("id", "digest", "prefix", "kind", "user_id", "label", "role", "only", "verbs"),
    *("gpu_milli_ms", "jobs", "lease_ms", "made_ms", "made_by", "expires_ms", "revoked_ms"),
)
_TOKEN = tuple(token.c[name] for name in _TOKEN_NAMES)
TOKENS = Statement(select(*_TOKEN).order_by(token.c.id))
TOKEN_OF_DIGEST = Statement(select(*_TOKEN).where(token.c.digest == param("digest")), "digest")
TOKENS_OF_PREFIX = Statement(select(*_TOKEN).where(token.c.prefix == param("prefix")).order_by(token.c.id), "prefix")
ADD_TOKEN = insert(token, *_TOKEN_NAMES[:-1])
REVOKE = Statement(
    token.update().values(revoked_ms=param("now")).where(token.c.id == param("id"), token.c.revoked_ms.is_(None)), "now", "id"
)
REVOKE_OF = Statement(
    token.update().values(revoked_ms=param("now")).where(token.c.user_id == param("user"), token.c.revoked_ms.is_(None)), "now", "user"
)
MAX_NAME = 100


class Person(NamedTuple):
    """A user: the role over everything (``NOBODY``: none was given), and those in projects by name."""

    id: int
    uid: int
    name: str
    role: Role
    disabled: bool
    projects: tuple[tuple[str, Role], ...]

    @property
    def has_account(self) -> bool:
        """Whether it is an account of the machine."""
        return self.uid < NO_ACCOUNT


class TokenRow(NamedTuple):
    """A token, without its secret."""

    id: int
    digest: str
    prefix: str
    kind: str
    user_id: int
    label: str
    scope: Scope
    made_ms: int
    made_by: str
    expires_ms: int
    revoked_ms: int | None

    def is_valid(self, now_ms: int) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_ms is None and (not self.expires_ms or now_ms < self.expires_ms)


def _person(row: Sequence[Any], projects: Sequence[tuple[str, Role]]) -> Person:
    return Person(row[0], row[1], row[2], Role(row[3]), bool(row[4]), tuple(projects))


def _one(link: Link, row: Sequence[Any] | None) -> Person | None:
    return _person(row, [(name, Role(role)) for _, name, role in link.rows(MEMBERS_OF, row[0])]) if row is not None else None


def people(link: Link) -> list[Person]:
    """All users, by number."""
    projects: dict[int, list[tuple[str, Role]]] = {}
    for user_id, name, role in link.rows(MEMBERS):
        projects.setdefault(user_id, []).append((name, Role(role)))
    return [_person(row, projects.get(row[0], ())) for row in link.rows(USERS)]


def person_of_uid(link: Link, uid: int) -> Person | None:
    """The user of a uid; None for one that was never seen."""
    return _one(link, link.row(USER_OF_UID, uid))


def person_of_id(link: Link, number: int) -> Person | None:
    """The user of a number."""
    return _one(link, link.row(USER_OF_ID, number))


def person_of_name(link: Link, name: str) -> Person | Refused:
    """The one user of a name."""
    rows = link.rows(USERS_OF_NAME, name)
    if len(rows) > 1:
        return Refused("ambiguous", f"{len(rows)} users are called {name!r}; one of their accounts must be renamed")
    found = _one(link, rows[0] if rows else None)
    return found if found is not None else Refused("not_found", f"there is no user {name!r}; tenure user add {name} makes one")


def _token(row: Sequence[Any]) -> TokenRow:
    only, verbs = (msgspec.json.decode(text) if text else None for text in row[7:9])
    narrowed = None if verbs is None else frozenset(Permission(verb) for verb in verbs)
    scope = Scope(Role(row[6]), None if only is None else tuple(only), narrowed, Caps(*row[9:12]))
    number, digest, prefix, kind, user_id, label = row[:6]
    return TokenRow(number, digest, prefix, kind, user_id, label, scope, *row[12:16])


def tokens(link: Link) -> list[TokenRow]:
    """All tokens, by number."""
    return [_token(row) for row in link.rows(TOKENS)]


def token_of(link: Link, digest: str) -> TokenRow | None:
    """The token whose secret has this digest."""
    row = link.row(TOKEN_OF_DIGEST, digest)
    return _token(row) if row is not None else None


# --- commands


def set_user(tx: Transaction, command: SetUser) -> Answer:
    """Make or change a user."""
    if not 0 < len(command.name) <= MAX_NAME or not command.name.isprintable():
        return Refused("malformed", f"a user has a name of at most {MAX_NAME} printable characters")
    if command.role is not None and command.role > command.caller.role:
        return Refused("forbidden", f"you cannot give the role {command.role.word}, which you do not have")
    named = person_of_name(tx.link, command.name)
    known = named if command.uid is None else person_of_uid(tx.link, command.uid)
    if known is None or isinstance(known, Refused):
        if isinstance(named, Refused) and named.code == "not_found" and command.role is not None:
            return _add_user(tx, command, command.role)
        return named if isinstance(named, Refused) else Refused("name_taken", f"there is another user {command.name!r}; choose a name")
    if known.role > command.caller.role:
        return Refused("forbidden", f"{known.name} has a greater role than you")
    tx.before = {"role": known.role.word, "disabled": known.disabled}
    role = known.role if command.role is None else command.role
    disabled = known.disabled if command.disabled is None else command.disabled
    tx.link.write(WRITE_USER, int(role), int(disabled), known.id)
    return _told(tx, "user.changed", user=known.name)


def _add_user(tx: Transaction, command: SetUser, role: Role) -> Answer:
    number = next_id(tx.link, user)
    uid = NO_ACCOUNT + number if command.uid is None else command.uid
    tx.link.write(ADD_USER, number, uid, command.name, int(role), int(bool(command.disabled)))
    return _told(tx, "user.changed", user=command.name)


def remove_user(tx: Transaction, command: RemoveUser) -> Answer:
    """Disable a user, revoke all that lets him in, end all memberships."""
    known = person_of_name(tx.link, command.name)
    if isinstance(known, Refused):
        return known
    if known.uid == command.caller.uid:
        return Refused("malformed", "you cannot remove yourself; ask another administrator")
    tx.before = {"role": known.role.word, "projects": {name: role.word for name, role in known.projects}}
    tx.link.write(DROP_MEMBERS, known.id)
    tx.link.write(REVOKE_OF, tx.now_ms, known.id)
    tx.link.write(WRITE_USER, int(Role.NOBODY), 1, known.id)
    return _told(tx, "user.changed", user=known.name)


def set_member(tx: Transaction, command: SetMember) -> Answer:
    """Begin, change or end a membership."""
    known = person_of_name(tx.link, command.user)
    if isinstance(known, Refused):
        return known
    if command.role > Role.OPERATOR or not command.project:
        return Refused("malformed", "in a project one is viewer, user or operator")
    tx.before = {"role": dict(known.projects).get(command.project, Role.NOBODY).word}
    number = tx.names.project_id(tx.link, command.project)
    tx.link.write(DROP_MEMBER, known.id, number)
    if command.role:
        tx.link.write(ADD_MEMBER, known.id, number, int(command.role))
    return _told(tx, "user.changed", user=known.name, project=command.project)


def create_token(tx: Transaction, command: CreateToken) -> Answer:
    """Keep the digest of a secret with what it lets one do."""
    caller, scope = command.caller, command.scope
    if command.kind not in TOKEN_KINDS or not command.digest or (command.expires_ms and command.expires_ms <= tx.now_ms):
        return Refused("malformed", f"a token is one of {', '.join(TOKEN_KINDS)} and expires later than now")
    number, name = 0, command.user or caller.user
    if name == caller.user:
        number = tx.names.user_id(tx.link, caller)
    elif not caller.may(Permission.USERS_WRITE):
        return Refused("forbidden", "only an administrator makes tokens for others; leave --user out")
    else:
        known = person_of_name(tx.link, name)
        if isinstance(known, Refused):
            return known
        if known.disabled:
            return Refused("forbidden", f"user {name} is disabled, so a token would let nobody in; tenure user set {name} --enable")
        number = known.id
    refusal = _too_much(tx, caller, scope, command.expires_ms)
    if refusal is not None:
        return refusal
    token_id = next_id(tx.link, token)
    only = "" if scope.only is None else to_json(sorted(set(scope.only)))
    verbs = "" if scope.verbs is None else to_json(sorted(scope.verbs | {Permission.SELF_READ}))
    who = (command.digest, command.prefix, command.kind, number, command.label[:MAX_NAME], int(scope.role), only, verbs)
    caps = scope.caps
    made = (caps.gpu_milli_ms, caps.jobs, caps.lease_ms, tx.now_ms, caller.user, command.expires_ms)
    tx.link.write(ADD_TOKEN, token_id, *who, *made)
    return Applied(0, tx.event_seq, note=command.prefix)


def _too_much(tx: Transaction, caller: Caller, scope: Scope, expires_ms: int) -> Refused | None:
    """Why a caller cannot give this: it is more than he has himself."""
    everything = frozenset(Permission)
    if not (everything if scope.verbs is None else scope.verbs) <= (everything if caller.verbs is None else caller.verbs):
        return Refused("forbidden", "a token cannot make one that may do more than itself; name less with --may, or --read-only")
    if caller.only is not None and (scope.only is None or not set(scope.only) <= set(caller.only)):
        return Refused("forbidden", f"this token is for {', '.join(caller.only)} only; name projects of these with --project")
    if caller.token:
        row = next((found for found in tokens(tx.link) if found.id == caller.token), None)
        if row is not None and row.expires_ms and not 0 < expires_ms <= row.expires_ms:
            return Refused("forbidden", "a token cannot make one that outlives it; name an earlier end with --expires")
        bounds = zip((caller.caps.gpu_milli_ms, caller.caps.jobs, caller.caps.lease_ms), _caps_of(scope), strict=True)
        if any(most and not 0 < asked <= most for most, asked in bounds):
            return Refused("forbidden", "a token cannot make one with wider caps than its own")
    if scope.role > caller.role and caller.token:
        return Refused("forbidden", f"this token has the role {caller.role.word}; name that or a smaller one with --role")
    return None


def _caps_of(scope: Scope) -> tuple[int, int, int]:
    return scope.caps.gpu_milli_ms, scope.caps.jobs, scope.caps.lease_ms


def revoke_token(tx: Transaction, command: RevokeToken) -> Answer:
    """Let a token mean nobody."""
    known = _named_token(tx, command)
    if isinstance(known, Refused):
        return known
    if not tx.link.write(REVOKE, tx.now_ms, known.id):
        return Refused("revoked", f"token {known.prefix} was revoked already")
    return Applied(0, tx.event_seq, note=known.prefix)


def _named_token(tx: Transaction, command: RevokeToken) -> TokenRow | Refused:
    """The one token of a prefix or number, which is the caller's or he is an administrator. Others' are not told from none at all."""
    rows = [_token(row) for row in tx.link.rows(TOKENS_OF_PREFIX, command.token)]
    if not rows and command.token.isascii() and command.token.isdigit():
        rows = [row for row in tokens(tx.link) if row.id == int(command.token)]
    if not command.caller.may(Permission.USERS_WRITE):
        own = tx.names.user_id(tx.link, command.caller)
        rows = [row for row in rows if row.user_id == own]
    return rows[0] if rows else Refused("not_found", f"there is no token {command.token!r}; tenure token list shows yours")


def note(tx: Transaction, command: Note) -> Answer:
    """Nothing but its row in the audit log."""
    if command.outcome != "ok":
        return Refused(command.outcome, command.target)
    return Applied(0, tx.event_seq)


def _told(tx: Transaction, kind: str, **data: str) -> Answer:
    return Applied(0, tx.emit(kind, data=to_json(data)))


SETTERS: dict[type[Any], Callable[[Transaction, Any], Answer]] = {
    SetUser: set_user,
    RemoveUser: remove_user,
    SetMember: set_member,
    CreateToken: create_token,
    RevokeToken: revoke_token,
    Note: note,
}
