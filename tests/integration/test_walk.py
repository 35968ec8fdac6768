"""Everything that can be called, by everybody who might: nobody, people with other roles, tokens of other projects.

One person's jobs carry a mark in all that is theirs: names, arguments, environment, output, what a lease is for. It may come in no
answer to anybody who may not see these jobs, whatever is asked and however it ends, and comes in many answers to those who may. The
walk goes over the table of routes itself, so a new route is walked without being written down here. Who adds a stream adds it to
`STREAMS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import websockets

from tenure.api.front import TABLE
from tenure.api.routes import WEBSOCKET, Route
from tenure.client import http, paths
from tenure.model.access import LOWEST, Permission, Role
from tests.support.living import Installation, installation, until

CONFIG = """
[node]
cpus = "4"
memory = "8G"
[monitor]
every = "1s"
"""
MARK = "Zq7mark"
PREFIX = "/api/v1"
ENDS_THE_DAEMON = {f"{PREFIX}/down", f"{PREFIX}/backup"}


@dataclass(slots=True)
class World:
    """A daemon, the marked jobs in it, and the secrets of everybody."""

    living: Installation
    secrets: dict[str, str] = field(default_factory=dict)
    waiting: str = ""
    running: str = ""
    ended: str = ""
    lease: int = 0
    keys: int = 0

    @property
    def path(self) -> str:
        """The daemon's socket."""
        return paths.daemon_socket(str(self.living.home))

    def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """One call as somebody (empty: the daemon's own user): status and body."""
        message = http.request(method, path, b"" if body is None else json.dumps(body).encode(), self.lines(who))
        connection = http.Connection(self.path)
        try:
            head, answer = connection.exchange(message, 40)
        finally:
            connection.close()
        return head.status, answer.decode("utf-8", "replace")

    def lines(self, who: str) -> str:
        """The headers that say who calls."""
        return "Host: tenure\r\n" + (f"Authorization: Bearer {self.secrets[who]}\r\n" if who else "")

    def made(self, who: str, method: str, path: str, body: Any) -> Any:
        """The answer to a call that must succeed."""
        status, text = self.ask(who, method, f"{PREFIX}{path}", body)
        assert status < 300, text
        return json.loads(text)

    def key(self) -> str:
        """A fresh idempotency key."""
        self.keys += 1
        return f"key-{self.keys}"

    def user(self, name: str, role: str, token: dict[str, Any] | None = None, **projects: str) -> None:
        """A user with a token."""
        wish = {"name": name, "role": role, "account": False, "projects": projects, "key": self.key()}
        self.made("", "POST", "/users", wish)
        self.token(name, name, role=role, **(token or {}))

    def token(self, called: str, user: str, **wish: Any) -> str:
        """A token of a user; its id."""
        made = self.made("", "POST", "/tokens", {"user": user, "key": self.key(), **wish})
        self.secrets[called] = made["secret"]
        found: str = made["token"]["id"]
        return found

    def job(self, who: str, *argv: str, **more: Any) -> str:
        """A job of somebody."""
        wish = {"argv": list(argv), "cwd": "/", "key": self.key(), **more}
        found: str = self.made(who, "POST", "/jobs", wish)["id"]
        return found


def marked(world: World, who: str = "tess", project: str = "alpha") -> None:
    """Jobs of one person that wait, run and have ended, and a lease, all of them marked."""
    common: dict[str, Any] = {"project": project, "env": {f"{MARK}_NAME": f"{MARK}-value"}, "group": f"{MARK}-group"}
    more = {**common, "name": f"{MARK}-job", "limit_ms": 600_000, "labels": []}
    world.ended = world.job(who, "sh", "-c", f"echo {MARK}-output", **more)
    until(lambda: state(world, world.ended) == "succeeded", "the end of the first job")
    world.running = world.job(who, "sh", "-c", f"echo {MARK}-output; exec sleep 600", cpu_milli=2000, **more)
    until(lambda: state(world, world.running) == "running", "the start of the second job")
    lease = {"key": world.key(), "token": "t" * 40, "name": f"{MARK}-lease", "purpose": [f"{MARK}-purpose"], "project": project}
    made = world.made(who, "POST", "/leases", {**lease, "cpu_milli": 1000, "ttl_ms": 600_000, "wait_ms": 5000, "bound": False})
    world.lease = made["number"]
    world.waiting = world.job(who, "sh", "-c", MARK, cpu_milli=4000, **more)


def state(world: World, job: str) -> str:
    """The state of a job."""
    found: str = world.made("", "GET", f"/jobs/{job}", None)["job"]["state"]
    return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The daemon of all tests here, which change nothing of what others of them look at."""
    with installation(CONFIG) as living:
        living.up()
        made = World(living)
        made.user("tess", "user", alpha="user")
        made.user("bob", "user", beta="user")
        made.user("vera", "viewer", beta="viewer")
        made.user("pat", "user", alpha="viewer")
        made.user("prefix", "user", alph="operator", alphas="operator")
        made.user("olga", "operator")
        made.user("ada", "admin")
        made.token("tess elsewhere", "tess", projects=["beta"], role="user")
        made.token("olga elsewhere", "olga", projects=["beta"], role="operator")
        made.token("ada elsewhere", "ada", projects=["beta"], role="admin")
        made.token("tess reads", "tess", read_only=True)
        made.token("tess submits", "tess", may=["jobs.write"])
        marked(made)
        yield made


FOREIGN = ("bob", "vera", "prefix", "tess elsewhere", "olga elsewhere", "ada elsewhere")
"""Those who may not see the marked jobs."""
ALLOWED = ("tess", "pat", "olga", "ada", "tess reads", "")


def bodies(world: World, route: Route) -> list[Any]:
    """What is sent with a call: what would do something to the marked jobs, where anything would."""
    ids = [world.running, world.waiting, world.ended]
    job = {"argv": ["true"], "cwd": "/", "key": world.key(), "project": "alpha", "after": [{"job": world.waiting}]}
    select = {"select": {"ids": ids}, "key": world.key()}
    by_path: dict[str, list[Any]] = {
        "/jobs": [job],
        "/jobs/batch": [{"jobs": [job]}],
        "/plan": [job, {**job, "after": [], "project": "default", "cpu_milli": 4000}],
        "/what-if": [{"cancel": ids}, {"priorities": [{"job": world.waiting, "priority": 9}]}, {"add_jobs": [], "limit": 100}],
        "/jobs/query": [
            {},
            {"name": f"{MARK}*", "states": ["all"]},
            {"project": "alpha"},
            {"user": "tess", "states": ["all"]},
            {"ids": ids},
        ],
        "/jobs/act": [{**select, "action": "hold"}],
        "/jobs/update": [{**select, "name": "mine"}],
        "/jobs/wait": [{"select": {"ids": ids}, "timeout_ms": 1}, {"select": {"project": "alpha"}, "timeout_ms": 1}],
        "/leases/{number}/renew": [{"token": "x" * 40, "ttl_ms": 60_000}],
        "/leases/{number}/release": [{"token": "x" * 40}],
    }
    if route.method in ("GET", "DELETE"):
        return [None]
    return by_path.get(route.path.removeprefix(PREFIX), [{}])


def path_of(world: World, route: Route) -> str:
    """A path that names what is marked."""
    given = {"ref": world.running, "number": str(world.lease), "code": "not_found", "kind": "usage", "name": "alpha"}
    path = route.path
    for name, value in given.items():
        path = path.replace("{" + name + "}", value)
    return path


def calls(world: World, who: str, *, safe: bool = False) -> Iterator[tuple[Route, int, str]]:
    """Every call of the table as somebody, with what it answered; ``safe`` leaves out those that end the daemon, and streams."""
    for route in TABLE:
        ends = safe and (route.path in ENDS_THE_DAEMON or route.media == "text/event-stream")
        if route.method != WEBSOCKET and not ends:
            for body in bodies(world, route):
                status, text = world.ask(who, route.method, path_of(world, route), body)
                yield route, status, text


@pytest.mark.parametrize("broken", ["none", "unknown", "expired", "revoked", "disabled", "no bearer", "two words"])
def test_nobody_is_let_in_anywhere(world: World, broken: str) -> None:
    unknown = "tenure_aaaaaaaa_" + "A" * 43
    if broken == "expired":
        world.token("gone", "tess", ttl_ms=300)
        until(lambda: world.ask("gone", "GET", f"{PREFIX}/whoami")[0] == 401, "the end of the token")
    elif broken == "revoked":
        prefix = world.token("gone", "tess")
        assert world.ask("gone", "GET", f"{PREFIX}/whoami")[0] == 200
        world.made("", "POST", "/tokens/revoke", {"token": prefix, "key": world.key()})
    elif broken == "disabled":
        world.user("gone", "operator")
        world.made("", "POST", "/users", {"name": "gone", "disabled": True, "key": world.key()})
    else:
        world.secrets["gone"] = {"none": "", "unknown": unknown, "no bearer": "x", "two words": f"{unknown} x"}[broken]
    refused = 403 if broken == "disabled" else 401
    for route, status, text in calls(world, "gone"):
        assert route.needs is Permission.PUBLIC or status == refused, (route.path, status, text)
        assert MARK not in text


@pytest.mark.parametrize("who", ["vera", "bob", "olga", "tess reads", "tess submits", "ada elsewhere"])
def test_what_a_role_or_a_token_does_not_cover_is_refused_before_anything_else(world: World, who: str) -> None:
    told = world.made(who, "GET", "/whoami", None)
    refused = 0
    for route in TABLE:
        if route.method != WEBSOCKET and route.needs not in (*told["may"], Permission.PUBLIC):
            for body in (*bodies(world, route), {"no": "sense"}):
                status, text = world.ask(who, route.method, path_of(world, route), body)
                assert (status, json.loads(text)["code"]) == (403, "forbidden"), route.path
            refused += 1
    assert refused


@pytest.mark.parametrize("who", FOREIGN)
def test_no_answer_to_a_foreigner_has_anything_of_the_marked_jobs(world: World, who: str) -> None:
    for route, status, text in calls(world, who, safe=True):
        assert MARK not in text, (route.method, route.path, status, text[:2000])
        if "{ref}" in route.path or "{number}" in route.path:
            assert status in (403, 404), (route.path, status, text)
        assert f'"{world.lease}"' not in text or route.path.endswith("/what-if"), (route.path, text[:2000])
    assert state(world, world.waiting) == "pending"


@pytest.mark.parametrize("who", ALLOWED)
def test_those_who_may_see_the_marked_jobs_do(world: World, who: str) -> None:
    seen = {
        route.path.removeprefix(PREFIX) for route, _, text in calls(world, who, safe=True) if MARK in text and route.method == "GET"
    }
    assert seen >= {"/jobs/{ref}", "/jobs/{ref}/log", "/leases", "/leases/{number}"}
    if who == "pat":
        assert f"{MARK}-value" not in world.ask(who, "GET", f"{PREFIX}/jobs/{world.running}")[1]


def test_members_look_and_operators_act(world: World) -> None:
    for who, code in (("pat", "not_yours"), ("bob", None)):
        job = world.job("tess", "true", project="alpha", hold=True)
        status, text = world.ask(who, "POST", f"{PREFIX}/jobs/act", {"action": "cancel", "select": {"ids": [job]}, "key": world.key()})
        assert status == 404 if code is None else json.loads(text)["results"][0]["code"] == code
    act = {"action": "cancel", "select": {"ids": [job]}, "key": world.key()}
    assert world.made("olga", "POST", "/jobs/act", act)["results"][0]["ok"]


def test_a_submission_is_for_a_project_of_the_caller(world: World) -> None:
    for who, project, status in (("bob", "alpha", 403), ("bob", "beta", 201), ("bob", "default", 201), ("prefix", "alpha", 403)):
        wish = {"argv": ["true"], "cwd": "/", "key": world.key(), "project": project, "hold": True}
        assert world.ask(who, "POST", f"{PREFIX}/jobs", wish)[0] == status, (who, project)
    wish = {"argv": ["true"], "cwd": "/", "key": world.key(), "hold": True}
    assert world.ask("tess elsewhere", "POST", f"{PREFIX}/jobs", wish)[0] == 403


# --- streams: what a foreigner hears until an event of his own comes


def by_sse(world: World, who: str, last: str) -> str:
    return _until(world, who, f"{PREFIX}/events?after=0", last)


def by_lines(world: World, who: str, last: str) -> str:
    return _until(world, who, f"{PREFIX}/events/lines?after=0&follow=1", last)


def _until(world: World, who: str, path: str, last: str) -> str:
    connection = http.Connection(world.path)
    with contextlib.closing(connection):
        _, pieces = connection.stream(http.request("GET", path, lines=world.lines(who)), 30)
        heard = ""
        for piece in pieces:
            heard += piece.decode()
            if last in heard:
                return heard
    return heard


def by_websocket(world: World, who: str, last: str) -> str:
    async def follow() -> str:
        heard = ""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(world.path)
        headers = {"Authorization": f"Bearer {world.secrets[who]}"} if who else {}
        url = f"ws://tenure{PREFIX}/events/ws?after=0"
        async with asyncio.timeout(30), websockets.connect(url, sock=sock, additional_headers=headers) as connection:
            async for message in connection:
                heard += str(message)
                if last in heard:
                    return heard
        return heard

    return asyncio.run(follow())


STREAMS: dict[str, Callable[[World, str, str], str]] = {"sse": by_sse, "lines": by_lines, "websocket": by_websocket}
"""Every way to follow what happens: a function that follows as somebody until a text comes, and gives all that came."""


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("who", ["bob", ""])
def test_who_follows_hears_of_what_he_may_see(world: World, stream: str, who: str) -> None:
    own = world.job("bob", "true", project="beta", name="own", hold=True)
    heard = STREAMS[stream](world, who, f'"job":"{own}"')
    assert (f'"job":"{world.running}"' in heard) is (who == "")
    assert (MARK in heard) is False


@pytest.mark.parametrize("stream", STREAMS)
def test_who_is_revoked_hears_no_more(world: World, stream: str) -> None:
    prefix = world.token("leaving", "bob")
    own = world.job("leaving", "true", project="beta", hold=True)
    assert own in STREAMS[stream](world, "leaving", f'"job":"{own}"')
    world.made("", "POST", "/tokens/revoke", {"token": prefix, "key": world.key()})
    with pytest.raises((AssertionError, websockets.InvalidStatus)):
        assert own in STREAMS[stream](world, "leaving", f'"job":"{own}"')


def test_a_websocket_without_a_valid_token_is_refused(world: World) -> None:
    world.secrets["wrong"] = "tenure_bbbbbbbb_" + "B" * 43
    with pytest.raises(websockets.InvalidStatus) as refused:
        by_websocket(world, "wrong", "never")
    assert refused.value.response.status_code == 401


def test_every_route_says_what_it_needs() -> None:
    assert all(route.needs in LOWEST for route in TABLE)
    public = {route.path.removeprefix(PREFIX) for route in TABLE if LOWEST[route.needs] is Role.NOBODY}
    assert public <= {"/health", "/ready", "/problems", "/problems/{code}"}


def test_nothing_is_taken_from_whom_the_daemon_runs_as(world: World) -> None:
    owner = world.living.json("whoami")["user"]
    users, removal = f"{PREFIX}/users", f"{PREFIX}/users/remove"
    taken = [(users, {"role": "viewer"}), (users, {"disabled": True}), (removal, {})]
    for who in ("", "ada"):
        for path, wish in taken:
            status, reply = world.ask(who, "POST", path, {"key": world.key(), "name": owner, **wish})
            assert (status, json.loads(reply)["code"]) == (422, "bad_request"), "it would have no effect"
    world.made("", "POST", "/users", {"key": world.key(), "name": owner, "role": "admin"})
