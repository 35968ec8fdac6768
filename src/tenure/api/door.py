"""Where connections come in over TCP: how many, from whom, and how long each may take to say what it wants.

Connections are accepted one by one instead of by the event loop, so that one too many is closed before it costs a handshake, and what
still shakes hands counts. Invariants: at most ``most`` connections are there at a time, and at most ``most_each`` of one address; one
whose head does not come in time, is too long or makes no sense is closed, whatever it sends meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.events import TimerHandle
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tenure.api.joining import joining
from tenure.api.peer import ABORT

MOST_HEAD_BYTES = 32 * 1024
MOST_HEADERS = 100
HANDSHAKE_S = 10.0
UNSENT_MS = 60_000
"""A peer that acknowledges nothing for so long is gone, or wants us to think so."""
_AGAIN_S = 0.2


class TcpProtocol(HttpToolsProtocol):
    """HTTP on a TCP connection whose requests have small heads that arrive in time."""

    def __init__(self, *args: Any, head_within_s: float, gone: Callable[[], None], **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_within_s = head_within_s
        self._gone = gone
        self._head_timer: TimerHandle | None = None
        self._is_in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count the time."""
        super().connection_made(joining(transport, self.loop))
        self.ws_protocol_class = cast("Any", self._upgraded)
        self._head_timer = self.loop.call_later(self._head_within_s, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another one."""
        self._stop_timer()
        self._gone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came; a head that goes on gets no more time for it."""
        super().data_received(data)
        if self._is_in_head and self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._head_within_s, self._too_late)

    def on_message_begin(self) -> None:
        """Another request begins."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[ABORT] = self.transport.abort
        self._is_in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """Count what was sent of it. Raises ValueError, which the parser makes a refusal, when that is too much."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it likewise."""
        self._count(len(name) + len(value))
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:
        """The head came in time."""
        self._stop_timer()
        self._is_in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, which gets its time from its first byte on: even if that is none of a request."""
        self._is_in_head = self._is_in_head or not self.pipeline
        super().on_response_complete()

    def _upgraded(self, **given: Any) -> asyncio.Protocol:
        """What goes on with this connection as a WebSocket."""
        from tenure.api.upgraded import PeerSocket

        return PeerSocket({"client": self.client}, self._gone, **given)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MOST_HEAD_BYTES:
            raise ValueError("too long a head")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self.transport.abort()


class Door:
    """Accepts connections on one socket and has them served. ``made`` makes the protocol for one, given what to call at its end."""

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        made: Callable[[Callable[[], None]], asyncio.Protocol],
        most: int,
        most_each: int,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._made = made
        self._most = most
        self._most_each = most_each
        self._by_address: Counter[str] = Counter()
        self._greeting: set[asyncio.Task[None]] = set()
        self.refused = 0

    @property
    def connections(self) -> int:
        """How many are there, those that still shake hands among them."""
        return self._by_address.total()

    async def serve(self) -> None:
        """Accept until cancelled. An accept that fails, as for want of descriptors, is tried again a little later."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            host = address[0]
            if self.connections >= self._most or self._by_address[host] >= self._most_each:
                self.refused += 1
                connection.close()
                continue
            self._by_address[host] += 1
            task = asyncio.create_task(self._greet(connection, host))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket, host: str) -> None:
        left = self._leaver(host)
        try:
            _settle(connection)
            patience = HANDSHAKE_S if self._tls is not None else None
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._made(left), connection, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except BaseException as error:
            left()
            connection.close()
            if not isinstance(error, OSError | TimeoutError):
                raise

    def _leaver(self, host: str) -> Callable[[], None]:
        """What takes one connection of a host off the count, once."""
        is_counted = True

        def left() -> None:
            nonlocal is_counted
            if is_counted:
                is_counted = False
                self._by_address[host] -= 1
                if not self._by_address[host]:
                    del self._by_address[host]

        return left


def _settle(connection: socket.socket) -> None:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # where the kernel has it
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)
