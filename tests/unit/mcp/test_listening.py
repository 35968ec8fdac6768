"""Where the server for agents may listen, and whom it lets in over HTTP: nobody without a token that the daemon knows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tenure.api.errors import ApiError
from tenure.api.identity import CALLER
from tenure.client.errors import TenureError
from tenure.mcp import __main__ as program
from tenure.mcp.serving import Guard
from tenure.wire import secrets
from tenure.wire.people import TokensReply, TokenView, WhoAmI

ME = WhoAmI(user="amy", uid=5, role="user", via="token", may=[])


class FakeClient:
    """A connection of somebody."""

    def __init__(self, me: WhoAmI = ME, tokens: tuple[TokenView, ...] = ()) -> None:
        self.place = SimpleNamespace(token="")
        self.people = SimpleNamespace(whoami=lambda: me, tokens=lambda: TokensReply(tokens=list(tokens)))

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gets as far as being served was not refused."""
    monkeypatch.setattr("tenure.mcp.serving.serve_http", lambda *_given: pytest.fail("it would be served"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--http", "0.0.0.0:8080"), "takes a certificate (tenure cert create, then --tls-cert FILE --tls-key FILE) and somebody who"),
        (("--http", "0.0.0.0:8080", "--insecure-i-know"), "which takes somebody who may come in (tenure token create)"),
        (("--http", "0.0.0.0:8080", "--tls-cert", "none"), "are given together"),
        (("--http", "127.0.0.1:0", "--tls-cert", "none", "--tls-key", "none"), "cannot be read"),
        (("--http", "here"), "'here' is no address to listen on"),
        (("--http", "127.0.0.1:0", "--max-concurrent", "1"), "has its own caps"),
        (("--tls-cert", "none", "--tls-key", "none"), "means nothing over stdio"),
        (("--max-gpu-hours", "-1"), "a cap is not negative"),
    ],
)
def test_it_refuses_to_listen_and_says_what_is_missing(
    words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        program, "connect", lambda **_place: FakeClient(tokens=(TokenView(id="a", user="amy", role="user", valid=False),))
    )
    assert program.main(words) in (1, 2)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("me", "tokens"),
    [
        (ME, (TokenView(id="a", user="amy", role="user", valid=True, kind="token"),)),
        (WhoAmI(user="amy", uid=5, role="user", via="token", may=[], token=TokenView(id="a", user="amy", role="user")), ()),
    ],
)
def test_somebody_has_a_token_who_has_one_or_came_by_one(
    me: WhoAmI, tokens: tuple[TokenView, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "connect", lambda **_place: FakeClient(me, tokens))
    assert program.main(("--http", "0.0.0.0:8080")) == 1
    assert "somebody who may come in" not in capsys.readouterr().err


def guarded(kind: str, authorization: bytes, connect: Any) -> dict[str, Any] | ApiError:
    """What reaches the protocol of a request, or why nothing does."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.update(scope)

    async def nothing(*_message: Any) -> Any:
        pytest.fail("nothing is to be read or sent")

    scope = {"type": kind, "headers": [(b"authorization", authorization)]}
    try:
        asyncio.run(Guard(app, connect)(scope, nothing, nothing))
    except ApiError as error:
        return error
    return seen


def test_who_shows_no_token_reaches_nothing() -> None:
    secret = secrets.make().secret
    asked: list[str] = []

    def connect(shown: str) -> FakeClient:
        asked.append(shown)
        if shown != secret:
            raise TenureError("bad_token", "this token is not valid")
        return FakeClient()

    through = guarded("http", f"Bearer {secret}".encode(), connect)
    assert isinstance(through, dict)
    assert (through[CALLER].user, asked) == ("amy", [secret])
    other = secrets.make().secret
    for shown in (b"", b"Bearer", b"Bearer x", b"Basic eDp5", b"\xff", f"Bearer {other}".encode(), f"Bearer {secret} x".encode()):
        refused = guarded("http", shown, connect)
        assert isinstance(refused, ApiError)
        assert refused.status == 401, shown
    assert asked == [secret, other], "what is no secret is asked of nobody"
    socket = guarded("websocket", f"Bearer {secret}".encode(), connect)
    assert isinstance(socket, ApiError)
    assert socket.status == 404


def test_a_daemon_that_is_away_is_no_refusal() -> None:
    def connect(_shown: str) -> Any:
        raise TenureError("unreachable", "no daemon answers")

    refused = guarded("http", f"Bearer {secrets.make().secret}".encode(), connect)
    assert isinstance(refused, ApiError)
    assert refused.status == 503
