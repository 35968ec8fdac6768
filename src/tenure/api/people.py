"""Routes about who may do what: users, their projects, tokens, who one is oneself, and the record of what was done.

Invariant: whatever changes users or tokens is forgotten by the identities of this daemon before it is answered, so that a revoked token
is not let in once more. A secret is answered once, when it is made, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import pwd
from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import done
from tenure.api.paging import cut, number_of, page_of
from tenure.api.parameters import After, Count, Cursor, Limit, Named, Switch
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.model.access import READING, Caller, Caps, Permission, Role, Scope
from tenure.model.commands import Applied, Command
from tenure.model.people import SESSION, TOKEN, CreateToken, RemoveUser, RevokeToken, SetMember, SetUser
from tenure.store.audit import Record
from tenure.store.people import Person, TokenRow
from tenure.store.people import people as read_people
from tenure.store.people import tokens as read_tokens
from tenure.wire import ROOT
from tenure.wire.people import (
    AuditMark,
    AuditReply,
    AuditView,
    RemoveUserRequest,
    RevokeRequest,
    TokenReply,
    TokenRequest,
    TokensReply,
    TokenView,
    UserRequest,
    UsersReply,
    UserView,
    WhoAmI,
)
from tenure.wire.secrets import Made, make

routes = Routes(ROOT)
GPU_HOUR = 3_600_000_000
"""Thousandths of a GPU times milliseconds."""
_NAMED = ("not_found", "ambiguous", "key_reused")
NONE = "none"
RoleWord = Literal["", "nobody", "viewer", "user", "operator", "admin"]


@routes.get("/whoami", WhoAmI, needs=Permission.SELF_READ)
async def whoami(request: Request) -> Response:
    """Who calls, and what he may do."""
    context, caller = context_of(request), caller_from(request)
    found = await asyncio.to_thread(context.queries.tokens) if caller.token else []
    row = next((row for row in found if row.id == caller.token), None)
    view = WhoAmI(
        user=caller.user,
        uid=caller.uid,
        role=caller.role.word,
        via=caller.via,
        may=[need.value for need in Permission if caller.may(need) and need is not Permission.PUBLIC],
        projects={name: role.word for name, role in caller.projects},
        only=None if caller.only is None else list(caller.only),
        token=token_view(row, caller.user, context.loop.clock.now_ms()) if row is not None else None,
    )
    return answer(view)


@routes.get("/users", UsersReply, needs=Permission.USERS_WRITE)
async def users(request: Request, role: RoleWord = "", project: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of users by name: of one role, or who are members of one project."""
    found = (await _users(context_of(request))).items()
    wanted = [(number, one) for number, one in found if role in ("", one.role) and (not project or project in one.projects)]
    page, more = page_of("users", wanted, lambda pair: (pair[1].name, pair[0]), limit, cursor)
    return answer(UsersReply(users=[one for _, one in page], next=more))


@routes.post(
    "/users",
    UserRequest,
    UserView,
    errors=("bad_request", "not_found", "name_taken", "ambiguous", "key_reused"),
    needs=Permission.USERS_WRITE,
)
async def set_user(request: Request) -> Response:
    """Make or change a user."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, UserRequest)
    with_roles = {name: _role(word) for name, word in wish.projects.items()}
    role = None if wish.role is None else _role(wish.role)
    if role not in (None, Role.ADMIN) or wish.disabled:
        _spare_owner(context, wish.name)
    first = SetUser(wish.key, caller, wish.name, _uid_of(wish), role, wish.disabled)
    await changed(context, first)
    for name, given in sorted(with_roles.items()):
        await changed(context, SetMember(f"{wish.key}:{name}", caller, wish.name, name, given))
    return answer(next(view for view in (await _users(context)).values() if view.name == wish.name))


@routes.post("/users/remove", RemoveUserRequest, UserView, errors=("bad_request", *_NAMED), needs=Permission.USERS_WRITE)
async def remove_user(request: Request) -> Response:
    """Disable a user for good: tokens are revoked, memberships end."""
    context = context_of(request)
    wish = await body_of(request, RemoveUserRequest)
    _spare_owner(context, wish.name)
    await changed(context, RemoveUser(wish.key, caller_from(request), wish.name))
    return answer(next(view for view in (await _users(context)).values() if view.name == wish.name))


@routes.get("/tokens", TokensReply, needs=Permission.SELF_READ)
async def tokens(request: Request, user: Named = "", valid: Switch = 0, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of the caller's tokens and sessions, the newest first; an administrator's answer has everybody's. With ``valid=1`` only
    those that let somebody in."""
    context, caller = context_of(request), caller_from(request)
    rows, owners = await asyncio.to_thread(context.queries.read, lambda link: (read_tokens(link), read_people(link)))
    by_id = {person.id: person for person in owners}
    all_of_them, now_ms = caller.may(Permission.USERS_WRITE), context.loop.clock.now_ms()
    own = [
        row
        for row in rows
        if row.kind in (TOKEN, SESSION)
        and (all_of_them or by_id[row.user_id].uid == caller.uid)
        and (user in ("", by_id[row.user_id].name) and (not valid or row.is_valid(now_ms)))
    ]
    page, more = page_of("tokens", own, lambda row: (-row.id,), limit, cursor)
    return answer(TokensReply(tokens=[token_view(row, by_id[row.user_id].name, now_ms) for row in page], next=more))


@routes.post("/tokens", TokenRequest, TokenReply, statuses=(201,), errors=_NAMED, needs=Permission.TOKENS_WRITE)
async def create_token(request: Request) -> Response:
    """Make a token; its secret is in this answer and nowhere else."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, TokenRequest)
    expires_ms = context.loop.clock.now_ms() + wish.ttl_ms if wish.ttl_ms else 0
    made = await mint(context, caller, TOKEN, _scope(wish), expires_ms, wish.user, wish.label, wish.key)
    row = next(row for row in await asyncio.to_thread(context.queries.tokens) if row.digest == made.digest)
    return answer(TokenReply(secret=made.secret, token=token_view(row, wish.user or caller.user, row.made_ms)), 201)


@routes.post("/tokens/revoke", RevokeRequest, errors=("not_found", "revoked", "key_reused"), needs=Permission.TOKENS_WRITE)
async def revoke_token(request: Request) -> Response:
    """Let a token mean nobody, from this answer on."""
    context = context_of(request)
    wish = await body_of(request, RevokeRequest)
    await changed(context, RevokeToken(wish.key, caller_from(request), wish.token))
    return answer({})


@routes.get("/audit", AuditReply, needs=Permission.AUDIT_READ)
async def audit(request: Request, after: After = -1, before: Count = 0, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of what was done: rows after a number in order, or the last ones (before a number), the newest first."""
    context = context_of(request)
    if after >= 0:
        rows, ends = await asyncio.to_thread(context.queries.audit_page, number_of("audit-up", cursor) or after, limit + 1)
        floor, last = AuditMark(seq=ends.floor, hash=ends.floor_hash), AuditMark(seq=ends.last, hash=ends.last_hash)
        page, more = cut("audit-up", rows, lambda row: row.seq, limit)
        return answer(AuditReply(entries=_entries(page), floor=floor, last=last, next=more))
    first = number_of("audit-down", cursor) or before or 2**62
    found = await asyncio.to_thread(context.queries.audit, 0, first, limit + 1)
    page, more = cut("audit-down", found, lambda row: row.seq, limit)
    return answer(AuditReply(entries=_entries(page), next=more))


async def mint(
    context: Context, caller: Caller, kind: str, scope: Scope, expires_ms: int, user: str = "", label: str = "", key: str = ""
) -> Made:
    """Make a secret of a kind for a user (the caller himself, if none is named). Raises ApiError."""
    made = make()
    given = await changed(context, CreateToken(key, caller, made.digest, made.prefix, scope, kind, user, label, expires_ms))
    if given.replayed:
        remedy = f"revoke {given.note} and make another one"
        raise failure("key_reused", "this token was made before, and is shown once", remedy)
    return made


async def changed(context: Context, command: Command) -> Applied:
    """Have a command about people carried out, and forget what was known of them. Raises ApiError."""
    try:
        return await done(context, command)
    finally:
        context.identity.forget()


def _spare_owner(context: Context, name: str) -> None:
    """Raise ApiError where what is wished would take something from him from whom nothing can be taken."""
    if context.identity.is_owner(name):
        raise failure(
            "bad_request", f"the daemon runs as {name}, who may do everything", "a token may do less: tenure token create --role viewer"
        )


def _role(word: str) -> Role:
    if word == NONE:
        return Role.NOBODY
    try:
        return Role.of(word)
    except ValueError as error:
        raise _bad(str(error)) from None


def _uid_of(wish: UserRequest) -> int | None:
    """The uid to which a user is bound. Raises ApiError where there must be one."""
    try:
        return None if wish.account is False else pwd.getpwnam(wish.name).pw_uid
    except (KeyError, ValueError):
        if wish.account:
            raise _bad(f"there is no account {wish.name!r} on this machine") from None
        return None


def _scope(wish: TokenRequest) -> Scope:
    """To what a token is to be narrowed. Raises ApiError."""
    if min(wish.gpu_hours, wish.jobs, wish.lease_ms, wish.ttl_ms) < 0 or wish.gpu_hours > 1e9 or max(wish.jobs, wish.lease_ms) > 2**53:
        raise _bad("a cap and a time to live are not negative, and not beyond all bounds")
    known: dict[str, Permission] = {need.value: need for need in Permission if need is not Permission.PUBLIC}
    if (odd := next((word for word in wish.may if word not in known), None)) is not None:
        raise failure("bad_request", f"there is no permission {odd[:40]!r}", f"choose from {', '.join(known)}")
    verbs: frozenset[Permission] | None = frozenset(known[word] for word in wish.may) or None
    if wish.read_only:
        verbs = READING if verbs is None else verbs & READING
    caps = Caps(round(wish.gpu_hours * GPU_HOUR), wish.jobs, wish.lease_ms)
    return Scope(_role(wish.role), tuple(sorted(set(wish.projects))) or None, verbs, caps)


def _bad(message: str) -> ApiError:
    return failure("bad_request", message)


async def _users(context: Context) -> dict[int, UserView]:
    """All users by number."""
    found, rows = await asyncio.gather(asyncio.to_thread(context.queries.people), asyncio.to_thread(context.queries.tokens))
    now_ms = context.loop.clock.now_ms()
    valid = [row.user_id for row in rows if row.kind == TOKEN and row.is_valid(now_ms)]
    return {person.id: _user(context, person, valid) for person in found}


def _user(context: Context, person: Person, valid: Sequence[int]) -> UserView:
    return UserView(
        name=person.name,
        role=context.identity.role_of(person).word,
        uid=person.uid if person.has_account else None,
        disabled=person.disabled,
        projects={name: role.word for name, role in person.projects},
        tokens=valid.count(person.id),
    )


def token_view(row: TokenRow, user: str, now_ms: int) -> TokenView:
    """A token as the wire shows it."""
    scope = row.scope
    return TokenView(
        id=row.prefix,
        user=user,
        role=scope.role.word,
        kind=row.kind,
        label=row.label,
        projects=list(scope.only or ()),
        may=sorted(scope.verbs or ()),
        gpu_hours=scope.caps.gpu_milli_ms / GPU_HOUR,
        jobs=scope.caps.jobs,
        lease_ms=scope.caps.lease_ms,
        made_ms=row.made_ms,
        made_by=row.made_by,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms or 0,
        valid=row.is_valid(now_ms),
    )


def _entries(found: Sequence[Record]) -> list[AuditView]:
    return [_entry(record) for record in found]


def _entry(record: Record) -> AuditView:
    return AuditView(
        seq=record.seq,
        at_ms=record.at_ms,
        user=record.user,
        uid=record.uid,
        via=record.via,
        what=record.what,
        outcome=record.outcome,
        token=record.token,
        count=record.calls,
        target=record.target,
        detail=msgspec.json.decode(record.detail),
        hash=record.hash,
    )
