"""Connections: lines in, lines out, never waiting for anybody.

Several clients at once. An observer that reads too slowly stops being pushed to and catches up from the journal at its own
pace; a client that asks without ever reading the answers is dropped.
Invariants: only processes of our own user are served; per connection at most `OUT_BYTES` wait to be sent.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP

from . import records
from .journal import Journal
from .loop import READ, WRITE, Loop
from .protocol import LARGEST_REQUEST_BYTES, Template

OUT_BYTES = 4 << 20
_READ_BYTES = 1 << 18


class Client:
    """One connection and what it has told and asked."""

    def __init__(self, connection: socket.socket, loop: Loop, serve: Callable[[Client, bytes], None]) -> None:
        self.templates: dict[str, Template] = {}
        self.since: int | None = None  #: seq of the last record told; None: does not observe
        self.offset: int | None = None  #: where in the journal it catches up; None: it is pushed to
        self.open = True
        self.on_close: Callable[[Client], None] = lambda _: None
        self._connection = connection
        self._loop = loop
        self._serve = serve
        self._in = bytearray()
        self._out = bytearray()
        self._waits_to_send = False
        loop.watch(connection.fileno(), self._ready)

    def reply(self, line: bytes) -> None:
        """Answer; a client that lets answers pile up is dropped."""
        self._out += line
        if len(self._out) > OUT_BYTES:
            self.close()

    def push(self, lines: bytes, last: int) -> None:
        """Tell an observer records up to seq `last`, now or later."""
        if self.since is None or self.offset is not None or last <= self.since:
            return
        if records.seq_of(lines[: lines.index(b"\n") + 1]) <= self.since:  # read from the journal while they waited for company
            lines = b"".join(line for line in lines.splitlines(keepends=True) if records.seq_of(line) > self.since)
        if len(self._out) + len(lines) > OUT_BYTES:
            self.offset = 0
            return
        self._out += lines
        self.since = last

    def advance(self, journal: Journal) -> None:
        """Send what can be sent; read on in the journal while it catches up."""
        self._send()
        while self.open and not self._out and self.offset is not None and self.since is not None:
            lines, self.offset = journal.public_lines(self.offset, self.since)
            self._out += lines
            if lines:
                self.since = records.seq_of(lines[lines.rfind(b"\n", 0, -1) + 1 :])
            if self.offset >= journal.size:
                self.offset = None
            self._send()

    def close(self) -> None:
        """Drop the connection."""
        if self.open:
            self.open = False
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()
            self._out.clear()
            self.on_close(self)

    def _ready(self, mask: int) -> None:
        if mask & READ:
            self._receive()
        elif mask & (EPOLLERR | EPOLLHUP):
            self.close()

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self._in:
            self._in += data
            if b"\n" not in data:
                if len(self._in) > LARGEST_REQUEST_BYTES:
                    self.close()
                return
            data = bytes(self._in)
            self._in.clear()
        *lines, rest = data.split(b"\n")
        if rest:
            self._in += rest
        for line in lines:
            if line and self.open:
                self._serve(self, line)

    def _send(self) -> None:
        out = self._out
        while out and self.open:
            try:
                sent = self._connection.send(out if len(out) <= _READ_BYTES else out[:_READ_BYTES])
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            del out[:sent]
        if self.open and bool(out) != self._waits_to_send:
            self._waits_to_send = bool(out)
            self._loop.change(self._connection.fileno(), READ | WRITE if out else READ)


class Listener:
    """The socket of the home, mode 0600, and its clients."""

    def __init__(self, path: str, loop: Loop, serve: Callable[[Client, bytes], None]) -> None:
        self._path = path
        self._loop = loop
        self._serve = serve
        self.clients: list[Client] = []
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.stat(directory)
        if found.st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to another user; choose a directory of your own with --socket")
        if found.st_mode & 0o077:
            os.chmod(directory, 0o700)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if os.path.lexists(path):
            os.unlink(path)  # we hold the lock of the home, so nobody serves it
        os.fchmod(self._socket.fileno(), 0o600)  # the file gets it as it is made
        self._socket.bind(path)
        self._socket.listen(64)
        loop.watch(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop serving."""
        for client in list(self.clients):
            client.close()
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()
        os.unlink(self._path)

    def _accept(self, _mask: int) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        uid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if uid != os.getuid():
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection, self._loop, self._serve)
        client.on_close = self.clients.remove
        self.clients.append(client)
