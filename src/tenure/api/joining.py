"""A transport that sends the head of an answer together with the beginning of its body.

The server writes them one after the other. Sent apart they are two system calls here, and two wake-ups and reads for whoever waits: a
seventh of what a read of one job costs both. Invariant: bytes leave in the order in which they were written, and a head to which
nothing is added in the same round of the event loop leaves with the next.
"""

from __future__ import annotations

import asyncio
from typing import Any

_HEAD, _END = b"HTTP/1.1 ", b"\r\n\r\n"


class JoiningTransport:
    """Stands in for the transport of a connection; what it does not do itself, that one does."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._flushing: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Send, or keep a head for a moment. What only looks like a head comes to no harm by that."""
        if self._flushing is not None:
            self._transport.write(self._taken() + data)
        elif data.startswith(_HEAD) and data.endswith(_END):
            self._head, self._flushing = data, self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head that is kept, if there is one."""
        if self._flushing is not None:
            self._transport.write(self._taken())

    def close(self) -> None:
        """Close the connection, once all that was written is sent."""
        self.flush()
        self._transport.close()

    def _taken(self) -> bytes:
        head, self._head = self._head, b""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        return head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def joining(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> Any:
    """The transport, so that heads leave with their bodies; ``Any``, since it is used in the place of a transport."""
    return JoiningTransport(transport, loop)
