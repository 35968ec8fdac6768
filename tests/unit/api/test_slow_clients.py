"""Clients that take less than happens, through the real server: dropped with a reason or cut, and able to catch up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from tenure.api import following
from tenure.wire.dto import EventView
from tests.support.followed import Service, run_with

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

    def happen(self, made: Service, count: int) -> None:
        """So many events more."""
        self.count += count
        made.bus.publish(self.count, ())


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

    stored = Stored()

    async def body(made: Service) -> None:
        client = deaf(made.path, request_bytes)
        await made.until(lambda: made.feed.followers == 1 and made.feed.newest >= 0)
        stored.happen(made, 2000)
        await made.until(lambda: made.feed.followers == 0)
        await made.until(lambda: not made.server.server_state.connections)
        client.close()

    run_with(stored, body)


def test_who_falls_behind_is_told_where_to_resume_and_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_BEHIND", 1000)

    stored = Stored()

    async def body(made: Service) -> None:
        client = await opened(made)
        stored.happen(made, 1)
        heard = [json.loads(await client.recv())["id"]]
        for _ in range(8):  # more than fits between the two, while nobody reads
            stored.happen(made, 500)
            await made.until(lambda: made.feed.newest == stored.count)
        messages = [json.loads(text) async for text in until_closed(client)]
        heard += [message["id"] for message in messages if message["type"] == "job"]
        assert messages[-1]["type"] == "dropped"
        assert (client.close_code, client.close_reason) == (1013, f"too slow; resume after {heard[-1]}")
        again = await opened(made, f"&after={heard[-1]}")
        while heard[-1] < stored.count:
            heard.append(json.loads(await again.recv())["id"])
        assert heard == list(range(11, stored.count + 1))
        await again.close()

    run_with(stored, body)


def test_both_ways_to_follow_count_towards_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_FOLLOWERS", 1)

    stored = Stored()

    async def body(made: Service) -> None:
        client = await opened(made)
        reader, writer = await asyncio.open_unix_connection(made.path)
        writer.write(SSE)
        assert b"503" in await reader.readline()
        assert b"too_many_followers" in await reader.readuntil(b"}")
        writer.close()
        await client.close()
        await made.until(lambda: made.feed.followers == 0)

    run_with(stored, body)
