"""Who calls: peers, tokens and sessions; what was read of them is forgotten when it changes."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.api.denials import MOST, WITHIN_S, Denials
from tenure.api.errors import ApiError
from tenure.api.identity import CALLER, KEPT, Identity, allow, caller_from_scope, let_in
from tenure.model.access import Caller, Permission, Role, Scope
from tenure.model.people import LOGIN, NO_ACCOUNT, SESSION, TOKEN
from tenure.store.people import Person, TokenRow
from tenure.wire.secrets import Made, make

OWNER, OTHER = 500, 501
WIDE = Scope()


class People:
    """Users and tokens, and how often they were asked for."""

    def __init__(self) -> None:
        self.persons = {
            OTHER: Person(1, OTHER, "ann", Role.NOBODY, False, (("vision", Role.OPERATOR),)),
            NO_ACCOUNT + 2: Person(2, NO_ACCOUNT + 2, "bot", Role.NOBODY, False, ()),
            OWNER: Person(3, OWNER, "own", Role.NOBODY, False, ()),
        }
        self.rows: dict[str, TokenRow] = {}
        self.reads = 0

    def add(self, made: Made, uid: int, kind: str = TOKEN, scope: Scope = WIDE, ends: int = 0, revoked: int | None = None) -> None:
        row = TokenRow(7, made.digest, made.prefix, kind, self.persons[uid].id, "", scope, 0, "", ends, revoked)
        self.rows[made.digest] = row

    def person(self, uid: int) -> Person | None:
        self.reads += 1
        return self.persons.get(uid)

    def token(self, digest: str) -> tuple[TokenRow, Person] | None:
        self.reads += 1
        row = self.rows.get(digest)
        return (row, next(one for one in self.persons.values() if one.id == row.user_id)) if row is not None else None


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def identity(people: People) -> Identity:
    return Identity(people, OWNER, now_ms=lambda: 1000)


def peer(uid: int) -> dict[str, Any]:
    return {"client": ("uid", uid)}


def bearer(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


def refused(identity: Identity, scope: dict[str, Any], headers: dict[bytes, bytes]) -> tuple[int, str]:
    with pytest.raises(ApiError) as error:
        identity.identify(scope, headers)
    return error.value.status, error.value.reply.code


def test_the_owner_is_an_administrator_without_a_look_into_the_store(identity: Identity, people: People) -> None:
    caller = identity.identify(peer(OWNER), {})
    assert (caller.role, caller.via, people.reads) == (Role.ADMIN, "unix", 0)
    assert refused(identity, peer(OTHER), {}) == (403, "forbidden")


def test_other_accounts_are_users_of_a_shared_daemon(identity: Identity, people: People) -> None:
    identity.shared = True
    for _ in range(3):
        caller = identity.identify(peer(OTHER), {})
    assert (caller.user, caller.role, caller.projects, people.reads) == ("ann", Role.USER, (("vision", Role.OPERATOR),), 1)
    people.persons[OTHER] = people.persons[OTHER]._replace(disabled=True)
    identity.forget()
    assert identity.identify(peer(OTHER), {}).role is Role.NOBODY
    assert identity.identify(peer(999_999), {}) == Caller(999_999, "999999", Role.USER)


def test_a_token_names_its_user_wherever_it_is_shown(identity: Identity, people: People) -> None:
    made = make()
    people.add(made, OWNER, scope=Scope(Role.USER, ("vision",)))
    for scope in (peer(OWNER), {"client": ("10.0.0.1", 5)}):
        caller = identity.identify(scope, bearer(made.secret))
        assert (caller.user, caller.role, caller.only, caller.token, caller.via) == ("own", Role.USER, ("vision",), 7, "token")
    assert people.reads == 1


def test_a_token_is_forgotten_when_it_is_revoked_and_ends_in_time(people: People) -> None:
    now_ms = [1000]
    identity = Identity(people, OWNER, now_ms=lambda: now_ms[0])
    made, short = make(), make()
    people.add(made, OTHER)
    people.add(short, OTHER, ends=2000)
    assert identity.identify({}, bearer(made.secret)).user == identity.identify({}, bearer(short.secret)).user == "ann"
    now_ms[0] = 2000
    assert refused(identity, {}, bearer(short.secret)) == (401, "bad_token")
    people.add(made, OTHER, revoked=1500)
    identity.forget()
    assert refused(identity, {}, bearer(made.secret)) == (401, "bad_token")


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer x", b"Basic eA==", b"Bearer \xff", make().secret.encode()], ids=range(6))
def test_what_is_no_token_names_nobody_also_on_the_owners_socket(identity: Identity, people: People, header: bytes) -> None:
    assert refused(identity, peer(OWNER), {b"authorization": header}) == (401, "bad_token")
    assert people.reads == 0


def test_a_login_is_no_token_and_a_session_is(identity: Identity, people: People) -> None:
    login, session = make(), make()
    people.add(login, OTHER, LOGIN)
    people.add(session, OTHER, SESSION)
    assert refused(identity, {}, bearer(login.secret)) == (401, "bad_token")
    assert identity.identify({}, bearer(session.secret)).via == "session"


def test_who_has_no_account_and_no_role_may_nothing(identity: Identity, people: People) -> None:
    made = make()
    people.add(made, NO_ACCOUNT + 2)
    assert identity.identify({}, bearer(made.secret)).role is Role.NOBODY


def test_what_is_kept_is_bounded(identity: Identity, people: People) -> None:
    for _ in range(KEPT + 10):
        made = make()
        people.add(made, OTHER)
        identity.identify({}, bearer(made.secret))
    assert len(identity._tokens) <= KEPT
    for _ in range(50):
        refused(identity, {}, bearer(make().secret))
    assert len(identity._tokens) <= KEPT


def test_a_call_that_nobody_was_let_in_for_has_no_caller(identity: Identity) -> None:
    with pytest.raises(ApiError):
        caller_from_scope({})
    scope: dict[str, Any] = peer(OWNER)
    let_in(identity, scope, {}, Permission.PUBLIC)
    assert CALLER not in scope
    let_in(identity, scope, {}, Permission.DAEMON_WRITE)
    assert caller_from_scope(scope).uid == OWNER


def test_a_refusal_says_whether_the_role_or_the_token_is_too_small() -> None:
    with pytest.raises(ApiError, match="it takes the role admin, not user"):
        allow(Caller(1, "ann"), Permission.USERS_WRITE)
    with pytest.raises(ApiError, match=r"the token does not cover jobs\.write"):
        allow(Caller(1, "ann", verbs=frozenset({Permission.JOBS_READ})), Permission.JOBS_WRITE)


def test_denials_are_noted_once_in_a_while_and_never_many() -> None:
    noted: list[Any] = []
    clock = [0.0]
    context: Any = type("Context", (), {"loop": type("Loop", (), {"submit": lambda _self, commands: noted.extend(commands)})()})
    denials = Denials(context, lambda: clock[0])
    scope: dict[str, Any] = {CALLER: Caller(1, "ann"), "method": "POST", "path": "/api/v1/nodes"}
    for _ in range(5):
        denials.note(scope, "forbidden")
    denials.note({**scope, "method": "GET"}, "forbidden")
    denials.note({"method": "POST", "path": "/x"}, "forbidden")
    assert [(note.what, note.outcome) for note in noted] == [("POST /api/v1/nodes", "forbidden")]
    for number in range(3 * MOST):
        denials.note({**scope, "path": f"/{number}"}, "forbidden")
    assert len(noted) == MOST
    clock[0] = WITHIN_S
    denials.note(scope, "forbidden")
    assert len(noted) == MOST + 1
