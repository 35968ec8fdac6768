"""Who is at the other end of the unix socket: the kernel says, nobody else is asked.

The pid is that of whoever connected: a lease may be bound to it. Invariant: a connection whose peer is not the daemon's own user is
closed before a byte of it is read, unless users share the daemon.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
from collections import Counter
from functools import lru_cache
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tenure.api.joining import joining
from tenure.model.access import Caller, Role

ABORT = "tenure.abort"
"""Where a request's scope has what cuts its connection, whatever still waits to be sent on it."""
MOST_EACH = 128
_UCRED = struct.Struct("3i")
PEER_PID = "tenure.peer_pid"
"""Where a request's scope has the pid."""


class PeerProtocol(HttpToolsProtocol):
    """HTTP on a unix socket; the ASGI scope's ``client`` becomes (``uid``, uid of the peer)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the peer's credentials from the kernel; refuse strangers."""
        super().connection_made(joining(transport, self.loop))
        self.ws_protocol_class = cast("Any", self._upgraded)
        self.pid, uid = peer_of(transport.get_extra_info("socket"))
        if not self.admits(uid):
            transport.abort()
            return
        self.client = ("uid", uid)

    def admits(self, uid: int) -> bool:
        """Whether a peer is served at all."""
        return uid == os.getuid()

    def gone(self) -> None:
        """Called when the connection has ended, as what it was or as a WebSocket."""

    def on_message_begin(self) -> None:
        """Tell every request which process asks, and how its connection is cut."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope).update({PEER_PID: self.pid, ABORT: self.transport.abort})

    def _upgraded(self, **given: Any) -> asyncio.Protocol:
        """What goes on with this connection as a WebSocket, of the same peer."""
        from tenure.api.upgraded import PeerSocket

        return PeerSocket({"client": self.client, PEER_PID: self.pid}, self.gone, **given)


class SharedPeerProtocol(PeerProtocol):
    """The same for the users of the machine, where they share a daemon: what they may is asked of each call. One user has at most
    `MOST_EACH` connections, so that nobody can take up all that the daemon may have."""

    present: ClassVar[Counter[int]] = Counter()
    counted = -1

    def admits(self, uid: int) -> bool:
        """Count it, unless there are too many."""
        if uid != os.getuid() and self.present[uid] >= MOST_EACH:
            return False
        self.present[uid] += 1
        self.counted = uid
        return True

    def gone(self) -> None:
        """Make room for another one."""
        uid, self.counted = self.counted, -1
        if uid >= 0:
            self.present[uid] -= 1
            if not self.present[uid]:
                del self.present[uid]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self.gone()
        super().connection_lost(exc)


def peer_of(sock: Any) -> tuple[int, int]:
    """The pid (0: it cannot be seen from here) and the uid of the process that connected this unix socket."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _gid = _UCRED.unpack(raw)
    return int(pid), int(uid)


@lru_cache(maxsize=256)
def caller_of(uid: int, role: Role) -> Caller:
    """A uid with its name and a role; a uid without a name is shown as a number."""
    try:
        return Caller(uid, pwd.getpwuid(uid).pw_name, role)
    except KeyError:
        return Caller(uid, str(uid), role)
