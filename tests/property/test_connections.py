"""Whatever bytes a connection brings, in whatever pieces: HTTP and WebSockets take them, refuse them or close, and nothing is raised.

The protocols are the real ones, with an application that notes what reaches it; the other end of the connection is a list of bytes.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from uvicorn.server import ServerState

from tenure.api.door import MOST_HEAD_BYTES, MOST_HEADERS, TcpProtocol
from tenure.api.serving import config_of
from tests.support.fuzzing import Test, fuzzed, longer

MOST_MESSAGE_BYTES = 64 * 1024
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Wire(asyncio.Transport):
    """The server's end of a connection whose other end only listens."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent = bytearray()
        self.protocol: Any = None
        self.closed = False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0


class Seen:
    """What reached the application, and what went wrong."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.wrong: list[Any] = []
        self.sent = b""
        self.closed = False

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        """Take everything and answer."""
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                self.messages.append(message)
            return
        while (message := await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


async def _served(pieces: list[bytes]) -> Seen:
    seen, wire = Seen(), Wire()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.wrong.append(context))
    config = config_of(seen, http=TcpProtocol)
    config.load()
    gone: list[bool] = []
    wire.protocol = TcpProtocol(
        config=config, server_state=ServerState(), app_state={}, head_within_s=60, gone=lambda: gone.append(True)
    )
    wire.protocol.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            wire.protocol.data_received(piece)
        for _ in range(4):
            await asyncio.sleep(0)
    seen.closed = wire.closed
    wire.closed = True
    wire.protocol.connection_lost(None)
    for _ in range(4):
        await asyncio.sleep(0)
    seen.sent = bytes(wire.sent)
    assert gone == [True]
    return seen


def served(pieces: list[bytes]) -> Seen:
    """What became of the bytes of a connection, piece by piece."""
    logged = Logged()
    logging.getLogger("uvicorn.error").addHandler(logged)
    try:
        found = asyncio.run(_served(pieces))
    finally:
        logging.getLogger("uvicorn.error").removeHandler(logged)
    assert not found.wrong
    assert not logged.errors
    return found


class Logged(logging.Handler):
    """What the server would write into the daemon's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    """The bytes in a few pieces."""
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


LINES = st.sampled_from(
    (
        *(
            b"GET / HTTP/1.1",
            b"POST /a?b HTTP/1.1",
            b"GET http://x/ HTTP/1.1",
            b"GET /\xff HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"GET / HTTP/9.9",
        ),
        *(
            b"Host: x",
            b"Host: x",
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Transfer-Encoding: chunked",
        ),
        *(
            b"Transfer-Encoding: chunked, identity",
            b"Connection: close",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Upgrade: h2c",
        ),
        *(b"Expect: 100-continue", b" folded", b"X", b"X: \x00", b": x", b"", b"5", b"hello", b"0", b"ffffffffffffffff", b"-1"),
    )
)
REQUESTS = st.lists(LINES | st.binary(max_size=8), max_size=9).map(b"\r\n".join).map(lambda text: text + b"\r\n\r\n")


@fuzzed(150, st.data(), st.binary(max_size=60) | REQUESTS)
def test_any_bytes_are_answered_or_closed(data: st.DataObject, sent: bytes) -> None:
    found = served(cut(sent, data) if sent else [])
    _heads(found)
    head, end, _ = sent.lstrip(b"\r\n").partition(b"\r\n\r\n")
    is_whole = end and not head.startswith(b"PRI ")  # that is only the first half of how HTTP/2 begins: it is cut when its time is over
    assert found.scopes or found.sent or found.closed or not is_whole


def _heads(found: Seen) -> None:
    """What reached the application had a small head, and what came back is HTTP."""
    for scope in found.scopes:
        headers = scope["headers"]
        assert len(headers) <= MOST_HEADERS
        assert sum(len(name) + len(value) for name, value in headers) <= MOST_HEAD_BYTES
        assert isinstance(scope["path"], str)
    assert not found.sent or found.sent.startswith(b"HTTP/1.1 ")


@fuzzed(20, st.integers(0, 300), st.integers(0, 40_000))
def test_a_large_head_reaches_nobody(count: int, length: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(count))
    found = served([head + b"Y: " + b"z" * length + b"\r\n\r\n"])
    _heads(found)
    if count > MOST_HEADERS or length > MOST_HEAD_BYTES:
        assert (found.scopes, found.sent[:12]) == ([], b"HTTP/1.1 400")


def frame(
    opcode: int, payload: bytes, *, final: bool = True, masked: bool = True, length: int | None = None, reserved: int = 0
) -> bytes:
    """One frame of a client; ``length`` is what it claims."""
    size = len(payload) if length is None else length
    first = (0x80 if final else 0) | (reserved << 4) | opcode
    flag = 0x80 if masked else 0
    head = struct.pack("!BB", first, flag | size) if size < 126 else struct.pack("!BBH", first, flag | 126, size & 0xFFFF)
    if size > 0xFFFF:
        head = struct.pack("!BBQ", first, flag | 127, size)
    key = b"\x01\x02\x03\x04"
    return head + (key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if masked else payload)


FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 1, 2, 8, 9, 10, 3, 11, 15]),
    st.binary(max_size=12) | st.sampled_from([b'{"type":"ping"}', b"\xff\xfe", b"\x03\xe8bye", b"x" * 130]),
    final=st.booleans(),
    masked=st.sampled_from([True, True, True, False]),
    length=st.sampled_from([None, None, None, 5, 200, 70_000, 2**40, 2**63]),
    reserved=st.sampled_from([0, 0, 0, 1, 4, 7]),
)


@fuzzed(150, st.data(), st.lists(FRAMES | st.binary(max_size=20), max_size=6).map(b"".join))
def test_any_frames_are_messages_or_close_the_connection(data: st.DataObject, sent: bytes) -> None:
    found = served([UPGRADE, *(cut(sent, data) if sent else [])])
    assert found.sent.startswith(b"HTTP/1.1 101 ")
    for message in found.messages:
        content = message.get("text") if message.get("text") is not None else message.get("bytes")
        assert isinstance(content, str | bytes)
        assert len(content) <= MOST_MESSAGE_BYTES


def test_a_message_comes_through_whole_and_one_too_large_closes() -> None:
    parts = frame(1, b"he", final=False) + frame(9, b"?") + frame(0, b"llo")
    assert [message.get("text") for message in served([UPGRADE, parts]).messages] == ["hello"]
    assert b"\x03\xef" in served([UPGRADE, frame(1, b"\xff")]).sent, "what is no text closes it, and leaves no trace in the log"
    assert served([UPGRADE, frame(1, b"\xff") + frame(8, b"\x03\xe8")]).closed
    found = served([UPGRADE, frame(1, b"x" * (MOST_MESSAGE_BYTES + 1))])
    assert (found.messages, found.closed or b"\x03\xf1" in found.sent) == ([], True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("test", longer(globals()), ids=lambda test: test.__name__)
def test_for_long(test: Test) -> None:
    test()
