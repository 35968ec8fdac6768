"""Who called what over TCP: one line a call in a file of its own, without tokens, queries or bodies.

Invariant: the file and its one predecessor never take more than twice `MOST_BYTES`; what cannot be written is not worth an answer.
"""

from __future__ import annotations

import contextlib
import os
import time

MOST_BYTES = 16 << 20


class AccessLog:
    """Appends to one file, mode 0600, which makes way for a new one when it is large."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._size = 0
        self._fd = -1

    def note(self, address: str, user: str, verb: str, path: str, status: int, took_ms: float) -> None:
        """One call and what became of it; status 0: it was not answered."""
        shown = path if path.isascii() and path.isprintable() and " " not in path else ascii(path).replace(" ", "\\x20")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = f"{stamp} {address} {user} {verb} {shown[:400]} {status} {took_ms:.1f}ms\n".encode("ascii", "backslashreplace")
        with contextlib.suppress(OSError):
            if self._fd < 0 or self._size > MOST_BYTES:
                self._open()
            self._size += os.write(self._fd, line)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self._path) > MOST_BYTES:
                os.replace(self._path, f"{self._path}.1")
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._size = os.fstat(self._fd).st_size
