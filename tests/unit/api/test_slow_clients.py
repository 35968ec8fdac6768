"""Clients that take less than happens, through the real server: dropped with a reason or cut, and able to catch up."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from tenure.api import following
from tenure.api.bus import Bus
from tenure.api.feed import Feed
from tenure.api.front import Front
from tenure.api.identity import Identity
from tenure.api.limits import Limits
from tenure.api.serving import server
from tenure.process import listen
from tenure.wire.dto import EventView

FILLING = {"filling": "x" * 2000}
SSE = b"GET /api/v1/events?topics=job HTTP/1.1\r\nHost: tenure\r\n\r\n"


class Stored:
    """A store with so many events, each of some size."""

    def __init__(self) -> None:
        self.count = 10

    def events(self, after: int, limit: int) -> tuple[list[EventView], bool]:
        last = min(self.count, after + limit)
        return [EventView(cursor=at, kind="job.ended", at_ms=at, data=FILLING) for at in range(after + 1, last + 1)], False

    def last_cursor(self) -> int:
        return self.count


class Service:
    """A server of nothing but the feed, in this process."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.stored = Stored()
        self.bus = Bus(asyncio.get_running_loop())
        self.feed = Feed(self.bus, self.stored)
        self.server = server(Front(cast("Any", SimpleNamespace(identity=Identity(), limits=Limits(), feed=self.feed))))

    def happen(self, count: int) -> None:
        """So many events more."""
        self.stored.count += count
        self.bus.publish(self.stored.count, ())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory(prefix="tn") as folder:
        made = Service(Path(folder) / "s")
        listening = listen(Path(made.path))
        running = asyncio.create_task(made.server.serve(sockets=[listening]))
        try:
            await made.until(lambda: made.server.started)
            yield made
        finally:
            made.server.should_exit = True
            await running


def run_with(body: Callable[[Service], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with service() as made:
            await body(made)

    asyncio.run(whole())


def deaf(path: str, request: bytes) -> socket.socket:
    """A connection whose owner asks and reads the beginning of the answer alone."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.connect(path)
    found.sendall(request)
    return found


async def opened(made: Service, query: str = "") -> ClientConnection:
    found = await unix_connect(made.path, f"ws://tenure/api/v1/events/ws?topics=job{query}", max_queue=1)
    assert json.loads(await found.recv())["type"] == "hello"
    return found


async def until_closed(client: ClientConnection) -> AsyncIterator[str | bytes]:
    """What comes until the server closes, for whatever reason."""
    with suppress(ConnectionClosed):
        while True:
            yield await client.recv()


UPGRADE = (
    b"GET /api/v1/events/ws?topics=job HTTP/1.1\r\nHost: tenure\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("request_bytes", [SSE, UPGRADE], ids=["sse", "websocket"])
def test_a_connection_that_takes_nothing_is_cut_and_nothing_is_kept_for_it(
    request_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STALL_S", 0.2)

    async def body(made: Service) -> None:
        client = deaf(made.path, request_bytes)
        await made.until(lambda: made.feed.followers == 1 and made.feed.newest >= 0)
        made.happen(2000)
        await made.until(lambda: made.feed.followers == 0)
        await made.until(lambda: not made.server.server_state.connections)
        client.close()

    run_with(body)


def test_who_falls_behind_is_told_where_to_resume_and_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_BEHIND", 1000)

    async def body(made: Service) -> None:
        client = await opened(made)
        made.happen(1)
        heard = [json.loads(await client.recv())["id"]]
        for _ in range(8):  # more than fits between the two, while nobody reads
            made.happen(500)
            await made.until(lambda: made.feed.newest == made.stored.count)
        messages = [json.loads(text) async for text in until_closed(client)]
        heard += [message["id"] for message in messages if message["type"] == "job"]
        assert messages[-1]["type"] == "dropped"
        assert (client.close_code, client.close_reason) == (1013, f"too slow; resume after {heard[-1]}")
        again = await opened(made, f"&after={heard[-1]}")
        while heard[-1] < made.stored.count:
            heard.append(json.loads(await again.recv())["id"])
        assert heard == list(range(11, made.stored.count + 1))
        await again.close()

    run_with(body)


def test_both_ways_to_follow_count_towards_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_FOLLOWERS", 1)

    async def body(made: Service) -> None:
        client = await opened(made)
        reader, writer = await asyncio.open_unix_connection(made.path)
        writer.write(SSE)
        assert b"503" in await reader.readline()
        assert b"too_many_followers" in await reader.readuntil(b"}")
        writer.close()
        await client.close()
        await made.until(lambda: made.feed.followers == 0)

    run_with(body)
