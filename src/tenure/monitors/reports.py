"""What jobs say of themselves: files of JSON lines, one per task, read from where the store has taken them in.

A line is an object of names and numbers, ``at_ms`` among them if the job knows better than we when it was. Whoever wrote nonsense
loses that line and no other. Invariants: a file is read in pieces of `PIECE_BYTES`, so that no job can hold up the others; what was
taken in is given back to the disk; of a task that has ended the rest is read, then the file goes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tenure.model.measures import Point, Reported

PIECE_BYTES = 1 << 20
PUNCH_BYTES = 1 << 20
LATE_MS, EARLY_MS = 86_400_000, 60_000
"""A time that the job gives is believed from a day ago to a minute ahead."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,63}")
_FILE = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})")
_PUNCH_KEEPING_SIZE = 3
MOST_LATEST = 64
Key = tuple[int, int]


class Writer(NamedTuple):
    """Whose a file is, and whether more may come."""

    job_id: int
    lives: bool


class Reports:
    """The files of one installation. For one thread; `taken` tells it what the store has kept."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._offsets: dict[Key, int] = {}
        self._punched: dict[Key, int] = {}
        self.latest: dict[Key, dict[str, tuple[int, float]]] = {}

    def waiting(self) -> list[Key]:
        """The tasks that have a file, by attempt and task."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return sorted((int(match[1]), int(match[2])) for name in names if (match := _FILE.fullmatch(name)))

    def read(self, key: Key, writer: Writer, now_ms: int) -> Reported | None:
        """What is new in the file of one task; None when there is nothing. A line that is longer than a piece is passed over."""
        start = self._offsets.get(key, 0)
        data = _read(self._path(key), start)
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) < PIECE_BYTES and (writer.lives or not data):
                return None
            end = len(data)
        points = [point for line in data[:end].splitlines() for point in self._points(key, writer, line.strip(b"\0 "), now_ms)]
        return Reported(*key, start, start + end, tuple(points))

    def taken(self, offsets: Mapping[Key, int]) -> None:
        """The store has kept everything up to there: the disk may have it back."""
        for key, offset in offsets.items():
            self._offsets[key] = offset
            if offset - self._punched.get(key, 0) >= PUNCH_BYTES:
                self._punched[key] = offset
                with contextlib.suppress(OSError):
                    _punch(self._path(key), offset)

    def remove(self, key: Key) -> None:
        """Its file is done with."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(key))
        for table in (self._offsets, self._punched, self.latest):
            table.pop(key, None)

    def _path(self, key: Key) -> str:
        return os.path.join(self._folder, f"{key[0]}.{key[1]}")

    def _points(self, key: Key, writer: Writer, line: bytes, now_ms: int) -> list[Point]:
        said = _object(line)
        at_ms = said.pop("at_ms", now_ms)
        if not isinstance(at_ms, int) or not now_ms - LATE_MS <= at_ms <= now_ms + EARLY_MS:
            at_ms = now_ms
        figures = [(name, float(value)) for name, value in said.items() if _NAME.fullmatch(name) and _is_figure(value)]
        latest = self.latest.setdefault(key, {})
        for name, value in figures:
            if name in latest or len(latest) < MOST_LATEST:
                latest[name] = (at_ms, value)
        return [Point(writer.job_id, key[1], name, True, at_ms, value) for name, value in figures]


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line) if line else {}
    except (ValueError, RecursionError):  # the second: brackets within brackets
        return {}
    return said if isinstance(said, dict) else {}


def _is_figure(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _read(path: str, start: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.pread(fd, PIECE_BYTES, start)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _punch(path: str, length: int) -> None:
    """Give the beginning of a file back to the disk; its size stays, so that who appends and who reads agree on offsets."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate(fd, _PUNCH_KEEPING_SIZE, ctypes.c_int64(0), ctypes.c_int64(length))
    finally:
        os.close(fd)
