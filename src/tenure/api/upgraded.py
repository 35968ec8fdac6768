"""A connection that began as HTTP and goes on as a WebSocket. Loaded by the first, so that who uses none does not pay for the package.

Invariant: who is at the other end was established before the upgrade, by the protocol that took the connection; nothing said since
changes it. What an application has finished with is cut in the end, read or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from tenure.api.peer import ABORT

CUT_S = 10.0


class PeerSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose ASGI scope has ``known``, what is known of the peer, and the way to cut it. ``gone`` is called at its end."""

    def __init__(self, known: dict[str, Any], gone: Callable[[], None] = lambda: None, **given: Any) -> None:
        super().__init__(**given)
        self._known = known
        self._gone = gone

    def data_received(self, data: bytes) -> None:
        """Take in what came. A message that is no text and a close frame behind it, read at once, are too much for the protocol, which
        would close what is closing."""
        try:
            super().data_received(data)
        except InvalidState:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever counts."""
        self._gone()
        super().connection_lost(exc)

    def handle_connect(self, event: Any) -> None:
        """Tell the application whose connection it is; it has not run yet."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            cast("dict[str, Any]", self.scope).update(self._known, **{ABORT: self.transport.abort})

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """See to it that nothing is kept for a client that does not read."""
        super().on_task_complete(task)
        self.loop.call_later(CUT_S, self.transport.abort)
