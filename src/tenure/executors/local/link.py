"""The daemon's end of the supervisor's socket: lines out, records and replies in, never waiting for more than was asked.

Why beside `connection`: that one is for occasional questions and needs the standard library alone; this one carries every start and
every end, so it decodes with msgspec into typed records and reads whatever has come in one go. Invariant: records keep the order in
which the supervisor sent them; a line that is not understood costs that line and is counted.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections import deque
from typing import Any

import msgspec

from tenure.executors.local.connection import PROTOCOL, SupervisorError

_CHUNK_BYTES = 1 << 20
PATIENCE_S = 10.0
"""How long a question may stay unanswered before the supervisor counts as gone."""


class Record(msgspec.Struct, tag_field="kind", frozen=True, gc=False):
    """What all records have. ``seq`` 0: told once, in no journal."""

    seq: int
    attempt: int
    task: int
    fence: int


class Started(Record, tag="started", frozen=True, gc=False):
    """A process runs."""

    pid: int = 0
    at_ms: int = 0


class Rejected(Record, tag="rejected", frozen=True, gc=False):
    """A process never ran; ``fault`` is job or node."""

    fault: str = "node"
    code: str = "refused"
    why: str = ""


class Exited(Record, tag="exited", frozen=True, gc=False):
    """A main process has gone; None says that nobody can know."""

    reason: str = "unknown"
    exit_code: int | None = None
    signal: int | None = None
    stop_reason: str = ""
    started_at_ms: int | None = None
    ended_at_ms: int = 0
    cpu_ms: int | None = None
    peak_memory_bytes: int | None = None
    empty: bool = True
    why: str = ""


class Emptied(Record, tag="emptied", frozen=True, gc=False):
    """Nothing of a task is left."""

    strays_killed: int = 0


AnyRecord = Started | Rejected | Exited | Emptied


class Reply(msgspec.Struct, frozen=True):
    """The answer to the request with that ``id``; ``body`` is the whole of it."""

    reply: str
    id: int = 0
    code: str = ""
    why: str = ""
    missing: list[tuple[int, int]] = []
    resized: list[tuple[int, int, int | None, int | None, str]] = []
    body: dict[str, Any] = {}


_decode_record = msgspec.json.Decoder(AnyRecord).decode
_decode_reply = msgspec.json.Decoder(Reply).decode


class Link:
    """One connection, shaken hands. Not for several threads at once; `fileno` may be waited on by another thread."""

    def __init__(self, path: str) -> None:
        """Connect. Raises OSError when nobody serves there, SupervisorError when it speaks another protocol."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._rest = b""
        self._ids = 0
        self.records: deque[AnyRecord] = deque()
        self.replies: deque[Reply] = deque()
        self.unreadable = 0
        self.last_seq = 0
        try:
            self._socket.settimeout(PATIENCE_S)
            self._socket.connect(path)
            self._socket.setblocking(False)
            self._check_peer(path)
            self.hello = self.ask("hello", protocol=list(PROTOCOL))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Readable when `pump` will find something."""
        return self._socket.fileno()

    def next_id(self) -> int:
        """A number for a request whose reply matters."""
        self._ids += 1
        return self._ids

    def send(self, line: bytes) -> None:
        """Send one line; reads meanwhile if the supervisor is busy telling. Raises OSError when it has gone."""
        view = memoryview(line)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._socket, select.POLLIN | select.POLLOUT)
                if not poll.poll(PATIENCE_S * 1000):
                    raise ConnectionResetError("the supervisor has stopped reading") from None
                self.pump()

    def pump(self) -> None:
        """Take in everything that has come. Raises ConnectionError when the supervisor has gone."""
        while True:
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError("the supervisor closed the connection")
            *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(data) < _CHUNK_BYTES:
                return

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its reply; records that come before it are kept.

        Raises SupervisorError when it is refused or not answered in `PATIENCE_S`, ConnectionError when the supervisor has gone.
        """
        number = self.next_id()
        self.send(json.dumps({"op": op, "id": number, **fields}).encode() + b"\n")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for reply in self.replies:
                if reply.id == number:
                    self.replies.remove(reply)
                    if reply.reply == "error":
                        raise SupervisorError(reply.code, reply.why)
                    return reply.body
            left_ms = (deadline - time.monotonic()) * 1000
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            if left_ms <= 0 or not poll.poll(left_ms):
                raise SupervisorError("no_answer", f"the supervisor did not answer {op} in {PATIENCE_S:g} s")
            self.pump()

    def catch_up(self) -> None:
        """Wait until every record of what happened before this call has come.

        While the supervisor reads an old part of its journal to us, answers overtake records; so ask until nothing came between two
        answers, or something came that is younger than the first answer.
        """
        until = int(self.ask("hello", protocol=list(PROTOCOL))["next_seq"])
        while True:
            before = len(self.records)
            self.ask("hello", protocol=list(PROTOCOL))
            if len(self.records) == before or self.last_seq >= until:
                return

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _check_peer(self, path: str) -> None:
        """Environments hold secrets: they are told to our own supervisor only."""
        uid = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if uid != os.getuid():
            raise SupervisorError("foreign_supervisor", f"the process that serves {path} is not yours; remove that file")

    def _take(self, line: bytes) -> None:
        try:
            if line.startswith(b'{"seq":'):
                record = _decode_record(line)
                self.records.append(record)
                self.last_seq = max(self.last_seq, record.seq)
            elif line:
                reply = _decode_reply(line)
                self.replies.append(msgspec.structs.replace(reply, body=msgspec.json.decode(line)))
        except msgspec.MsgspecError:
            self.unreadable += 1
