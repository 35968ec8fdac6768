"""The server: one for the socket and, if there is a listener, for TCP; started and stopped together.

Invariant: the two share nothing but the application behind them. What comes over TCP passes the `Gate`, what comes over the socket has
the kernel's word for whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from tenure.api.access_log import AccessLog
from tenure.api.door import Door, TcpProtocol
from tenure.api.front import Front
from tenure.api.gate import Gate, cookie_name
from tenure.api.listener import Listener
from tenure.api.login import Login
from tenure.api.peer import PeerProtocol, SharedPeerProtocol
from tenure.model.amounts import parse_duration_ms

SOCKET_IDLE_S = 3600


_OF_CLIENTS = ("without completing handshake", "Invalid UTF-8 sequence")
"""Errors of the server's that are a client's."""


class _Caused(logging.Filter):
    """Keeps out of the daemon's log what anybody can cause by what he sends, or it would grow with every guess."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR and not any(words in record.getMessage() for words in _OF_CLIENTS)


logging.getLogger("uvicorn.error").addFilter(_Caused())


def server(front: Front, listener: Listener | None = None, log_path: str = "", *, shared: bool = False) -> Server:
    """The server of a daemon, to be given its unix sockets. Calls over TCP are noted in ``log_path``. ``shared``:
    other users of the machine are served too."""
    log = AccessLog(log_path)

    def gated(given: Listener) -> Gate:
        cookie = cookie_name(given.tls is not None, given.address.port)
        return Gate(front, given, log, Login(front.state.context, given, cookie))

    own = config_of(front, http=SharedPeerProtocol if shared else PeerProtocol, timeout_keep_alive=SOCKET_IDLE_S)
    return Server(own, listener, gated, log)


def config_of(app: Any, **more: Any) -> uvicorn.Config:
    """How an application is served, whatever the connections are: nothing of uvicorn's own that would be told to others or logged."""
    fixed = {
        "log_config": None,
        "ws": "none",  # the protocol knows what goes on as a WebSocket
        "ws_max_size": 64 * 1024,
        "ws_per_message_deflate": False,
        "proxy_headers": False,
        "access_log": False,
        "lifespan": "off",
        "timeout_graceful_shutdown": 2,
        "server_header": False,
        "date_header": False,
    }
    return uvicorn.Config(app, **(fixed | more))


class Server(uvicorn.Server):
    """Serves the sockets that it is given, and the listener where there is one: ``gated`` makes the application for that."""

    def __init__(self, config: uvicorn.Config, listener: Listener | None, gated: Callable[[Listener], Gate], log: AccessLog) -> None:
        super().__init__(config)
        self._listener = listener
        self._gated = gated
        self._log = log
        self._accepting: asyncio.Task[None] | None = None
        self.door: Door | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        if self._listener is None:
            return
        settings = self._listener.settings
        config = config_of(
            self._gated(self._listener), http=TcpProtocol, timeout_keep_alive=max(1, parse_duration_ms(settings.idle) // 1000)
        )
        config.load()
        made = functools.partial(
            TcpProtocol,
            config=config,
            server_state=self.server_state,
            app_state={},
            head_within_s=parse_duration_ms(settings.head_within) / 1000,
        )
        self.door = Door(
            self._listener.socket,
            self._listener.tls,
            lambda gone: made(gone=gone),
            settings.connections,
            settings.connections_per_address,
        )
        self._accepting = asyncio.create_task(self.door.serve())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, and let those who are there have their answers."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
            self._listener.socket.close()
        await super().shutdown(sockets)
        self._log.close()
