"""The journal: one append-only file that says what was intended, started, ended and acknowledged.

Plain `write`, no fsync, on purpose: a crash of the process loses nothing, because the kernel has the bytes; a crash of the
machine ends the tasks anyway, and their unrecorded ends are then reported as unknown. A reserve file keeps room for ends on
a full disk: it is given back to the file system when a write finds no room, and re-made once there is some.

Invariants: `seq` only grows, across restarts too; no record is announced before it is written; the bytes of a line are
never changed; a torn or foreign line costs that line and nothing else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

from . import records
from .task import Task

RESERVE_BYTES = 256 << 10
COMPACT_BYTES = 1 << 20
NO_HURRY_MS = 1 << 30
_MARK_BYTES = 64 << 10
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(Exception):
    """No room for a new task's intent."""


class Journal:
    """`HOME/node/journal.jsonl` and its reserve. `write` is os.write, or a disk that fills up in tests."""

    def __init__(self, directory: str, write: Callable[[int, bytes], int] = os.write) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.path = os.path.join(directory, "journal.jsonl")
        self._reserve = os.path.join(directory, "reserve")
        self.reserved = False  #: room for ends is kept; without it no task may start
        self._write = write
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.size = os.fstat(self._fd).st_size
        self._pending: list[bytes] = []
        self.news: list[bytes] = []  #: public lines that were not announced yet
        self.patience_ms = NO_HURRY_MS  #: how long the most urgent of them may wait for company
        self._rest = b""  #: what a full disk did not take of lines already begun
        self._marks: list[tuple[int, int]] = []  #: (last seq before, offset), coarse
        self.seq = 0  #: the highest given out
        self.acked = 0
        self.bad_lines = 0
        self.blocked = False  #: an end waits for room
        self._make_reserve()

    def next_seq(self) -> int:
        """The number of the record that will be added next."""
        self.seq += 1
        return self.seq

    def add(self, line: bytes, public: bool = True, patience_ms: int = 0) -> None:
        """Queue a line for the next commit; `public` ones are announced by it, or up to `patience_ms` later."""
        self._pending.append(line)
        if public:
            self.news.append(line)
            self.patience_ms = min(self.patience_ms, patience_ms)

    def note(self, task: Task, kind: str, **fields: object) -> None:
        """Queue a private record about a task."""
        line = records.note(self.next_seq(), kind, attempt=task.attempt, task=task.task, **fields)
        self._pending.append(line)
        task.lines.append((self.seq, line))

    def intend(self, lines: bytes) -> None:
        """Write intents now, and whatever was queued before them; they never touch the reserve.

        :raises DiskFull: there is no room; nothing of them is in the journal.
        """
        self.flush()
        if self.blocked or not (self.reserved or self._make_reserve()):
            raise DiskFull
        try:
            self._append(lines)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise DiskFull from None

    def flush(self) -> None:
        """Write what is queued, giving up the reserve for it if need be; `blocked` says that it was not enough."""
        if not self._pending and not self._rest:
            return
        data = self._rest + b"".join(self._pending)
        self._pending.clear()
        self._rest = b""
        self.blocked = not self._has_put(data) and not self._has_put_from_reserve()

    def announce(self) -> bytes:
        """The public lines written since the last call, to be told to observers."""
        if self.blocked or not self.news:
            return b""
        lines = b"".join(self.news)
        self.news.clear()
        self.patience_ms = NO_HURRY_MS
        return lines

    def acknowledge(self, upto: int) -> bool:
        """Everything up to `upto` is known to the daemon for good. True if the file is now worth compacting."""
        if upto <= self.acked:
            return False
        self.acked = min(upto, self.seq)
        self.add(records.note(self.next_seq(), "ack", upto=self.acked), public=False)
        droppable = self._droppable()
        return droppable > COMPACT_BYTES and droppable * 2 > self.size

    def compact(self, head: list[bytes]) -> bool:
        """Rewrite the file as `head` (what must be kept of the acknowledged part) and the part not yet acknowledged.

        False if there was no room to do so; the old file then stays as it is.
        """
        self.flush()
        start = self._droppable()
        temporary = self.path + ".new"
        data = b"".join(head) + self.read(start, self.size - start)
        try:
            fd = os.open(temporary, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _all(os.write, fd, data)
            except OSError:
                os.close(fd)
                os.unlink(temporary)
                raise
        except OSError as error:
            if error.errno in _NO_ROOM:
                return False
            raise
        os.rename(temporary, self.path)
        os.close(self._fd)
        self._fd, self.size = fd, len(data)
        self._marks.clear()
        return True

    def read(self, offset: int, length: int) -> bytes:
        """That part of the file, shorter at its end."""
        return os.pread(self._fd, length, offset)

    def public_lines(self, offset: int, since: int, length: int = 256 << 10) -> tuple[bytes, int]:
        """Public lines with seq > since in the next `length` bytes from `offset`, and the offset to go on from."""
        chunk = self.read(offset, length)
        end = chunk.rfind(b"\n") + 1
        if not end:
            return b"", offset + (len(chunk) if len(chunk) < length else 0)
        lines = [line for line in chunk[:end].splitlines(keepends=True) if records.told(line, since)]
        return b"".join(lines), offset + end

    def replay(self) -> Iterator[dict[str, Any]]:
        """Every readable record, oldest first; sets `seq`. Unreadable lines are counted in `bad_lines`."""
        for line in self._lines():
            record = records.parsed(line)
            if record is not None:
                self.seq = max(self.seq, record["seq"])
                yield record
            elif line:
                self.bad_lines += 1

    def _lines(self) -> Iterator[bytes]:
        offset, rest = 0, b""
        while chunk := self.read(offset, 1 << 20):
            offset += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:  # torn by the end of an earlier supervisor: what comes next starts a line of its own
            self._rest = b"\n"
            yield rest

    def close(self) -> None:
        """Write what is queued and let go of the file."""
        self.flush()
        os.close(self._fd)

    def _droppable(self) -> int:
        """Offset below which every record is acknowledged."""
        offset = 0
        marks = self._marks
        while marks and marks[0][0] <= self.acked:
            offset = marks[0][1]
            if len(marks) == 1 or marks[1][0] > self.acked:
                break
            del marks[0]
        return offset

    def _append(self, data: bytes) -> None:
        """All of `data` or nothing."""
        try:
            _all(self._write, self._fd, data)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self._grown(len(data))

    def _put(self, data: bytes) -> None:
        """As much of `data` as there is room for; the remainder is kept in `_rest`."""
        view = data
        try:
            while view:
                count = self._write(self._fd, view)
                self._grown(count)
                view = view[count:]
        except OSError:
            self._rest = view
            raise

    def _has_put(self, data: bytes) -> bool:
        """Whether there was room for all of it."""
        try:
            self._put(data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return False
        return True

    def _has_put_from_reserve(self) -> bool:
        if self.reserved:
            os.unlink(self._reserve)
            self.reserved = False
        data, self._rest = self._rest, b""
        return self._has_put(data)

    def _grown(self, count: int) -> None:
        self.size += count
        if self.size - (self._marks[-1][1] if self._marks else 0) >= _MARK_BYTES:
            self._marks.append((self.seq, self.size))

    def _make_reserve(self) -> bool:
        self.reserved = False
        try:
            fd = os.open(self._reserve, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            finally:
                os.close(fd)
            self.reserved = True
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            os.unlink(self._reserve)
        return self.reserved


def _all(write: Callable[[int, bytes], int], fd: int, data: bytes) -> None:
    while data:
        data = data[write(fd, data) :]
