"""What a browser can be made to do is refused before an endpoint sees it, and answers say that they are nobody's page."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.api.access_log import AccessLog
from tenure.api.context import MAX_BODY_BYTES
from tenure.api.errors import ApiError
from tenure.api.gate import Gate, cookie_name
from tenure.api.identity import CALLER
from tenure.api.limits import FAILURES
from tenure.api.listener import Listener
from tenure.api.problems import error_response
from tenure.api.tls import Certificate
from tenure.config.listen import Address, ListenSettings
from tenure.model.access import Caller
from tenure.wire.dto import ErrorReply
from tests.support.examples import examples

SECRET = "tenure_0123456789abcdef"


class Behind:
    """What stands behind the gate: keeps what reached it, reads the body, and lets in whoever shows the secret."""

    def __init__(self) -> None:
        self.reached: list[dict[bytes, bytes]] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        self.reached.append(headers)
        try:
            if headers.get(b"authorization") != b"Bearer " + SECRET.encode():
                raise ApiError(401, ErrorReply(code="bad_token", message="no"))  # noqa: TRY301
            scope[CALLER] = Caller(7, "ann")
            body, more = b"", scope["type"] == "http"
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            self.bodies.append(body)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b"{}"})


class Rig:
    """A gate, what is behind it, and calls to it."""

    def __init__(self, root: Path, *, tls: bool = False, host: str = "127.0.0.1", settings: ListenSettings | None = None) -> None:
        self.log = root / "log" / "access.log"
        pair = cast("Certificate", _Pair()) if tls else None
        hosts = frozenset((host, "localhost", "gpu1.example.org", "*.lab.example.org"))
        listener = Listener(Address(host, 8080), socket.socket(), settings or ListenSettings(), pair, hosts)
        self.scheme = "https" if tls else "http"
        listener.socket.close()
        self.behind = Behind()
        self._gate = Gate(self.behind, listener, AccessLog(str(self.log)))

    def call(
        self,
        headers: dict[str, str],
        method: str = "GET",
        path: str = "/api/v1/jobs",
        parts: Sequence[bytes] | None = None,
        kind: str = "http",
        address: str = "10.1.1.1",
    ) -> tuple[int, dict[str, str], Any]:
        """One call: status, headers and body of the answer."""
        given = {"host": "localhost:8080", **headers}
        scope = {
            "type": kind,
            "method": method,
            "path": path,
            "query_string": b"token=" + SECRET.encode(),
            "scheme": self.scheme,
            "server": ("192.0.2.7", 8080),
            "client": (address, 4711),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
            "extensions": {"websocket.http.response": {}},
        }
        if parts is not None:
            scope["headers"] += [(b"transfer-encoding", b"chunked")]
        return asyncio.run(self._run(scope, list(parts or [b""])))

    async def _run(self, scope: dict[str, Any], parts: list[bytes]) -> tuple[int, dict[str, str], Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            if not parts:
                await asyncio.Event().wait()
            body = parts.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(parts) or body == b"..."}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._gate(scope, receive, send)
        start = sent[0]
        if start["type"] == "websocket.accept":
            return 101, {}, None
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, msgspec.json.decode(body)


class _Pair:
    context = object()
    names = ("gpu1.example.org",)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


BEARER = {"authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    "host",
    ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "gpu1.example.org", "a.lab.example.org:8080", "192.0.2.7:8080"],
)
def test_it_may_be_called_by_its_names(rig: Rig, host: str) -> None:
    assert rig.call({**BEARER, "host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8080", "", "a.b.lab.example.org", "lab.example.org", "192.0.2.8", "[::1"],
)
def test_a_name_that_was_rebound_to_it_is_none_of_its_own(rig: Rig, host: str) -> None:
    status, _, reply = rig.call({**BEARER, "host": host})
    assert (status, reply["code"], rig.behind.reached) == (421, "wrong_host", [])


ORIGINS = [
    "http://evil.example",
    "null",
    "http://localhost:9999",
    "https://localhost.evil.example",
    "http://",
    "localhost:8080",
    "file://",
]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("method", "kind"), [("GET", "http"), ("POST", "http"), ("GET", "websocket")])
def test_pages_of_others_may_not_call_it_whatever_they_show(rig: Rig, origin: str, method: str, kind: str) -> None:
    for shown in (BEARER, {"cookie": f"{cookie_name(False, 8080)}={SECRET}"}):
        status, _, reply = rig.call({**shown, "origin": origin}, method, kind=kind)
        assert (status, reply["code"], rig.behind.reached) == (403, "wrong_origin", [])


@pytest.mark.parametrize(("method", "kind", "expected"), [("GET", "http", 200), ("POST", "http", 200), ("GET", "websocket", 101)])
def test_its_own_pages_may(rig: Rig, method: str, kind: str, expected: int) -> None:
    shown = {"cookie": f"a=b; {cookie_name(False, 8080)}={SECRET}; c=d", "origin": "http://localhost:8080"}
    assert rig.call(shown, method, kind=kind)[0] == expected


def test_ports_that_go_without_saying(tmp_path: Path) -> None:
    rig = Rig(tmp_path, tls=True)
    assert rig.call({**BEARER, "host": "gpu1.example.org", "origin": "https://gpu1.example.org:443"}, "POST")[0] == 200
    assert rig.call({**BEARER, "host": "gpu1.example.org", "origin": "http://gpu1.example.org"}, "POST")[0] == 403


@pytest.mark.parametrize(("method", "kind"), [("POST", "http"), ("PUT", "http"), ("DELETE", "http"), ("GET", "websocket")])
def test_a_cookie_alone_changes_nothing(rig: Rig, method: str, kind: str) -> None:
    cookie = {"cookie": f"{cookie_name(False, 8080)}={SECRET}"}
    status, _, reply = rig.call(cookie, method, kind=kind)
    assert (status, reply["code"], rig.behind.reached) == (403, "cross_site", [])
    assert rig.call({**cookie, "sec-fetch-site": "cross-site"}, method, kind=kind)[0] == 403
    assert rig.call({**cookie, "sec-fetch-site": "same-origin"}, method, kind=kind)[0] in (200, 101)


def test_a_cookie_stands_behind_a_token_and_another_one_for_nothing(rig: Rig) -> None:
    assert rig.call({"cookie": f"{cookie_name(False, 8080)}={SECRET}", "authorization": "Bearer other"})[0] == 401
    assert rig.call({"cookie": f"other={SECRET}"})[0] == 401
    assert rig.call({"cookie": f"{cookie_name(True, 8080)}={SECRET}"})[0] == 401


def test_every_answer_says_that_it_is_nobodys_page(tmp_path: Path) -> None:
    rig = Rig(tmp_path, tls=True, host="192.0.2.7")
    for headers in (BEARER, {}, {"host": "evil.example"}):
        answered = rig.call(headers)[1]
        assert answered["x-frame-options"] == "DENY"
        assert answered["x-content-type-options"] == "nosniff"
        assert answered["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answered["content-security-policy"]
        assert answered["strict-transport-security"].startswith("max-age=")


def test_no_promise_of_tls_for_a_name_that_all_programs_here_share(tmp_path: Path) -> None:
    assert "strict-transport-security" not in Rig(tmp_path, tls=True).call(BEARER)[1]
    assert "strict-transport-security" not in Rig(tmp_path).call(BEARER)[1]


def test_whoever_guesses_has_to_wait_and_nobody_who_is_at_work(rig: Rig) -> None:
    assert rig.call(BEARER, address="10.1.1.3")[0] == 200
    for _ in range(FAILURES.times):
        assert rig.call({"authorization": "Bearer guess"})[0] == 401
    for headers in ({"authorization": "Bearer another guess"}, {}):
        status, answered, reply = rig.call(headers)
        assert (status, reply["code"]) == (429, "too_many_failures")
        assert 1 <= int(answered["retry-after"]) <= FAILURES.period_ms // 1000
    assert rig.call(BEARER)[0] == 200
    assert rig.call({"authorization": "Bearer guess"}, address="10.1.1.2")[0] == 401


def test_who_comes_after_a_guesser_has_to_wait_with_him(rig: Rig) -> None:
    for _ in range(FAILURES.times):
        assert rig.call({"authorization": "Bearer guess"})[0] == 401
    assert rig.call({**BEARER, "origin": "http://evil.example"})[0] == 403  # that proves nothing
    assert rig.call(BEARER)[0] == 429


def test_a_body_of_unknown_length_is_counted(rig: Rig) -> None:
    piece = bytes(MAX_BODY_BYTES // 4)
    status, headers, reply = rig.call(BEARER, "POST", parts=[piece] * 5)
    assert (status, reply["code"], rig.behind.bodies) == (413, "too_large", [])
    assert headers["connection"] == "close"
    assert rig.call(BEARER, "POST", parts=[piece, piece])[0] == 200
    assert len(rig.behind.bodies[0]) == 2 * len(piece)


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=ListenSettings(body_within="10ms"))
    status, headers, reply = rig.call(BEARER, "POST", parts=[b"..."])
    assert (status, reply["code"], headers["connection"]) == (408, "too_slow", "close")


def test_the_log_names_callers_and_no_secrets(rig: Rig) -> None:
    rig.call(BEARER, path="/api/v1/jobs/7")
    rig.call({"cookie": f"{cookie_name(False, 8080)}={SECRET}"}, path="/api/v1/a b\n\x1b[31m")
    rig.call({"host": "evil.example"}, path="/\N{SNOWMAN}")
    text = rig.log.read_text()
    assert SECRET not in text
    assert text.isascii()
    assert "\x1b" not in text
    assert [line.split()[1:-1] for line in text.splitlines()] == [
        ["10.1.1.1", "ann", "GET", "/api/v1/jobs/7", "200"],
        ["10.1.1.1", "ann", "GET", "'/api/v1/a\\x20b\\n\\x1b[31m'", "200"],
        ["10.1.1.1", "-", "GET", "'/\\u2603'", "421"],
    ]
    assert rig.log.stat().st_mode & 0o777 == 0o600


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["host", "origin", "cookie", "authorization", "sec-fetch-site"]), st.binary(max_size=40)), max_size=6
    ),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["http", "websocket"]),
)
def test_whatever_is_sent_has_an_answer(rig: Rig, headers: list[tuple[str, bytes]], method: str, kind: str) -> None:
    """No header makes the gate fail, and none but a name of the daemon's, without a foreign origin, leads past it."""
    rig.behind.reached.clear()
    given = {"host": "", **{name: value.decode("latin-1") for name, value in headers}}
    status = rig.call(given, method, kind=kind)[0]
    assert status in (200, 101, 401, 403, 421, 429)
    assert not rig.behind.reached
