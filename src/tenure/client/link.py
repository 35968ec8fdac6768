"""A call that survives the loss of a connection, a daemon that restarts, and an answer that does not come.

Every request that changes something carries an idempotency key inside its body, and a repetition sends the very same bytes: whatever
happened to the first one, the second has no further effect and gets its answer. Invariant: nothing is repeated that was not
declared repeatable by the caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from tenure.client import http
from tenure.client.errors import DaemonUnreachable, TenureError, TimedOut, error_of
from tenure.wire.base import Page

if TYPE_CHECKING:
    from tenure.client.place import Place

Answer = TypeVar("Answer")
Paged = TypeVar("Paged", bound=Page)

ELSEWHERE = "on its machine: tenure status says whether and where it listens"
TRIES = 5
PAGE = 1000
PAUSE_S = 0.05

_encode = msgspec.json.Encoder().encode


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def decoder(kind: type[Answer]) -> msgspec.json.Decoder[Answer]:
    """The decoder for one type of answer, made once."""
    found = _decoders.get(kind)
    if found is None:
        found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found


class Streamed(NamedTuple):
    """A stream: its headers and pieces, how to close it, and how to end it from another thread."""

    head: http.Head
    pieces: Iterator[bytes]
    close: Callable[[], None]
    cut: Callable[[], None]


class Link:
    """The way to one daemon: the path of its socket, or another place. ``revive`` is called when nobody listens, and should see to it
    that somebody does; without it the call fails. Not for use by two threads at a time."""

    def __init__(self, where: str | Place, timeout_s: float = 30.0, revive: Callable[[], None] | None = None) -> None:
        self.where = where
        self._lines = http.OWN if isinstance(where, str) else where.lines
        self._timeout_s = timeout_s
        self._revive = revive
        self._connection: http.Connection | None = None

    def close(self) -> None:
        """Give the connection up; the next call makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(
        self, method: str, path: str, kind: type[Answer], body: Any = None, *, timeout_s: float | None = None, repeat: bool = True
    ) -> Answer:
        """One request and its decoded answer. Raises the `TenureError` that the daemon answered, `TimedOut`, or `DaemonUnreachable`."""
        message = http.request(method, path, b"" if body is None else _encode(body), self._lines)
        head, payload = self._exchange(message, timeout_s or self._timeout_s, TRIES if repeat else 1)
        if head.status >= 400:
            raise _refusal(head, payload)
        try:
            return decoder(kind).decode(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise TenureError("bad_answer", f"the daemon's answer makes no sense: {error}", "run: tenure down && tenure up") from error

    def whole(self, path: str, kind: type[Paged], **query: object) -> Paged:
        """All pages of a list as one answer, whose ``next`` is empty. Raises as `call`."""
        found = page = self.call("GET", path_of(path, **query, limit=PAGE), kind)
        while page.next:
            page = self.call("GET", path_of(path, **query, limit=PAGE, cursor=page.next), kind)
            for name in kind.__struct_fields__:
                if isinstance(part := getattr(page, name), list):
                    getattr(found, name).extend(part)
        found.next = ""
        return found

    def again(self) -> Link:
        """Another one to the same daemon, for another thread."""
        return Link(self.where, self._timeout_s, self._revive)

    def stream(self, path: str, quiet_s: float | None = None) -> Streamed:
        """Ask for a stream on a connection of its own, which may be silent for ``quiet_s``. A piece may raise `http.Broken`."""
        for left in reversed(range(TRIES)):
            try:
                connection = self._connect()
                head, pieces = connection.stream(http.request("GET", path, lines=self._lines), self._timeout_s, quiet_s)
            except http.Broken as error:
                self._pause(error, left)
                continue
            if head.status >= 400:
                payload = b"".join(pieces)
                connection.close()
                raise _refusal(head, payload)
            return Streamed(head, pieces, connection.close, connection.cut)
        raise AssertionError("the last try returns or raises")

    def _exchange(self, message: bytes, timeout_s: float, tries: int) -> tuple[http.Head, bytes]:
        for left in reversed(range(tries)):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                head, payload = self._connection.exchange(message, timeout_s)
            except http.Broken as error:
                self._connection = None
                self._pause(error, left)
                continue
            except BaseException:  # Ctrl-C in the middle of an answer: the connection is spent
                self._connection = None
                raise
            if head.get("connection").lower() == "close":
                self.close()
            return head, payload
        raise AssertionError("the last try returns or raises")

    def _connect(self) -> http.Connection:
        try:
            return http.Connection(self.where, self._timeout_s)
        except http.Refused:
            if self._revive is None:
                raise
            self._revive()
            return http.Connection(self.where, self._timeout_s)

    def _pause(self, error: http.Broken, left: int) -> None:
        """Wait a little before the next try; raise when there is none."""
        if left:
            if not isinstance(error, http.TooSlow):
                time.sleep(PAUSE_S * (TRIES - left) if left < TRIES - 1 else 0)
            return
        if isinstance(error, http.TooSlow):
            raise TimedOut("timeout", f"the daemon did not answer in {self._timeout_s:g} s", "look at: tenure status") from error
        where, remedy = (self.where, "run: tenure up") if isinstance(self.where, str) else (self.where.url, ELSEWHERE)
        raise DaemonUnreachable("unreachable", f"no daemon answers on {where}: {error}", remedy) from error


def lost(error: http.Broken) -> DaemonUnreachable:
    """The error for a stream that was cut and cannot be resumed."""
    return DaemonUnreachable("unreachable", f"the connection to the daemon was lost: {error}", "run it again")


class _Refusal(msgspec.Struct):
    """A problem, or the error of a daemon of before there were problems."""

    code: str
    detail: str = ""
    message: str = ""
    remedy: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)


def _refusal(head: http.Head, payload: bytes) -> TenureError:
    try:
        error = decoder(_Refusal).decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        code = "protocol_mismatch" if head.status == 426 else "http_error"
        return error_of(code, f"the daemon refused the request (HTTP {head.status}) without saying why", "look at: tenure status")
    return error_of(error.code, error.detail or error.message, error.remedy, error.details)


def path_of(path: str, **query: object) -> str:
    """A path with the parts of a query that are not None, False or empty; True is 1."""
    parts = [
        f"{name}={quote('1' if value is True else str(value))}"
        for name, value in query.items()
        if value is not None and value is not False and value != ""
    ]
    return f"{path}?{'&'.join(parts)}" if parts else path


def quote(text: str) -> str:
    """``text`` as one segment of a path or one value of a query."""
    if text.isascii() and text.replace("_", "").replace("-", "").replace("~", "").isalnum():
        return text
    from urllib.parse import quote as percent

    return percent(text, safe="")
