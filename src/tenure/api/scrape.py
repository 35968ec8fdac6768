"""A port for Prometheus, which speaks no unix sockets: one loopback address that answers ``GET /metrics`` and nothing else.

Apart from the daemon's own server on purpose: whoever reaches a port is nobody in particular, so behind this one there is nothing but
figures that name nobody. Invariant: a connection is answered once within `PATIENCE_S` and closed, and `MOST_AT_ONCE` are open at most.
"""

from __future__ import annotations

import asyncio
import contextlib

from tenure.api.context import Context
from tenure.api.exporter import scraped
from tenure.api.exposition import CONTENT_TYPE

PATIENCE_S = 5.0
MOST_AT_ONCE = 8
MOST_HEAD_BYTES = 8192


class Scrapes:
    """Answers who connects."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the request to the end."""
        self._open += 1
        try:
            if self._open <= MOST_AT_ONCE:
                async with asyncio.timeout(PATIENCE_S):
                    writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever cannot ask properly is not answered
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or words[0] != b"GET" or words[1].partition(b"?")[0] != b"/metrics":
            return _response("404 Not Found", "text/plain; charset=utf-8", b"this port has /metrics and nothing else\n")
        try:
            return _response("200 OK", CONTENT_TYPE, await scraped(self._context))
        except Exception as error:  # of the store, mostly; the scraper shall see it, and the port stays
            return _response("503 Service Unavailable", "text/plain; charset=utf-8", f"{type(error).__name__}: {error}\n".encode())


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + body


async def open_port(context: Context, host: str, port: int) -> asyncio.Server:
    """Answer at a loopback address. Raises OSError when it is taken."""
    return await asyncio.start_server(Scrapes(context), host, port, limit=MOST_HEAD_BYTES, backlog=MOST_AT_ONCE)
