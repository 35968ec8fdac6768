"""HTTP/1.1, as much of it as this protocol uses: one request at a time on a kept connection, and streams; over a unix socket, or
whatever else a place connects.

It is written out because every command pays for it: the standard library's client costs 30 ms of imports and some 150 µs a call, this
one next to nothing. Invariant: a connection on which anything went wrong is closed and never used again, so that a late answer can
not be taken for the answer to another question.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Protocol

from tenure.model.amounts import is_whole
from tenure.wire import MEETING, PROTOCOL

_HEAD_LIMIT = 64 * 1024
_READ = 256 * 1024
_HEX, _HEX_DIGITS = b"0123456789abcdefABCDEF", 12
OWN = "Host: tenure\r\n"


class Remote(Protocol):
    """Where else than at a unix socket a daemon can be."""

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection. Raises `Refused` or `Broken`."""
        ...


class Broken(Exception):
    """The connection is of no use any more; what was asked may or may not have happened."""


class Refused(Broken):
    """Nobody listens on the socket."""


class TooSlow(Broken):
    """No answer within the time given."""


def request(method: str, path: str, body: bytes = b"", lines: str = OWN) -> bytes:
    """The bytes of one request, head and body together so that they leave in one write. ``lines`` are the headers of the place. At
    `MEETING` it is one of protocol 1."""
    number = 1 if path.startswith(MEETING) else PROTOCOL
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    kind = "Content-Type: application/json\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\n{lines}Tenure-Protocol: {number}\r\n{kind}{length}\r\n"
    return head.encode("ascii") + body


class Head:
    """Status and headers of an answer; names of headers are compared without case."""

    __slots__ = ("_text", "status")

    def __init__(self, raw: bytes) -> None:
        self._text = raw.decode("latin-1")
        status = self._text[9:12]
        if not self._text.startswith("HTTP/1.") or not is_whole(status):
            raise Broken("what answers is not a Tenure daemon")
        self.status = int(status)

    def get(self, name: str) -> str:
        """The value of a header, empty when absent; ``name`` in lower case."""
        mark = f"\r\n{name}:"
        start = self._text.lower().find(mark)
        if start < 0:
            return ""
        start += len(mark)
        end = self._text.find("\r\n", start)
        return self._text[start : end if end >= 0 else None].strip()


def unix(path: str, timeout_s: float) -> socket.socket:
    """A connection to a unix socket. Raises `Refused` or `Broken`."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(timeout_s)
    try:
        found.connect(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        found.close()
        raise Refused(f"nobody listens on {path}") from error
    except OSError as error:
        found.close()
        raise Broken(f"{path}: {error.strerror or error}") from error
    return found


class Connection:
    """One connection to the daemon; not for use by two threads at a time."""

    def __init__(self, where: str | Remote, timeout_s: float = 30.0) -> None:
        """Connect. Raises `Refused` when nobody listens, `Broken` when the connection cannot be used."""
        self._rest = b""
        self._socket = unix(where, timeout_s) if isinstance(where, str) else where.connect(timeout_s)
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Close it; once more does no harm."""
        self._socket.close()

    def cut(self) -> None:
        """End it from another thread: whoever reads from it finds it `Broken`, and closes it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def exchange(self, message: bytes, timeout_s: float) -> tuple[Head, bytes]:
        """Send one request and read its whole answer within ``timeout_s`` per read. Raises `Broken`, and then is closed."""
        try:
            head = self._ask(message, timeout_s)
            return head, b"".join(self._body(head))
        except BaseException:
            self.close()
            raise

    def stream(self, message: bytes, timeout_s: float, quiet_s: float | None = None) -> tuple[Head, Iterator[bytes]]:
        """Send one request; its answer's body comes piece by piece as it arrives, with at most ``quiet_s`` between two reads."""
        try:
            head = self._ask(message, timeout_s)
        except BaseException:
            self.close()
            raise
        self._socket.settimeout(quiet_s)
        return head, self._body(head)

    def _ask(self, message: bytes, timeout_s: float) -> Head:
        if timeout_s != self._timeout_s:  # setting it costs a system call
            self._socket.settimeout(timeout_s)
            self._timeout_s = timeout_s
        try:
            self._socket.sendall(message)
        except TimeoutError as error:
            raise TooSlow("the daemon does not take the request") from error
        except OSError as error:
            raise Broken(f"the connection was closed: {error.strerror or error}") from error
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            if len(self._rest) > _HEAD_LIMIT:
                raise Broken("what answers is not a Tenure daemon")
            self._rest += self._receive()
        head, self._rest = Head(self._rest[:end]), self._rest[end + 4 :]
        return head

    def _body(self, head: Head) -> Iterator[bytes]:
        if "chunked" in head.get("transfer-encoding").lower():
            yield from self._chunks()
            return
        length = head.get("content-length") or "0"
        if not is_whole(length):
            raise Broken("the answer is garbled")
        left = int(length)
        while left:
            piece = self._take_some(left)
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while left := self._chunk_size():
            while left:
                piece = self._take_some(left)
                left -= len(piece)
                yield piece
            self._line()
        while self._line():
            pass

    def _chunk_size(self) -> int:
        line = self._line().partition(b";")[0].strip()
        if not 0 < len(line) <= _HEX_DIGITS or line.strip(_HEX):
            raise Broken("the answer is garbled")
        return int(line, 16)

    def _line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            if len(self._rest) > _HEAD_LIMIT:
                raise Broken("the answer is garbled")
            self._rest += self._receive()
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _take_some(self, most: int) -> bytes:
        data = self._rest or self._receive()
        self._rest = data[most:]
        return data[:most]

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(_READ)
        except TimeoutError as error:
            raise TooSlow("no answer in time") from error
        except OSError as error:
            raise Broken(f"the connection was closed: {error.strerror or error}") from error
        if not data:
            raise Broken("the daemon closed the connection")
        return data
