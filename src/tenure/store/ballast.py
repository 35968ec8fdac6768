"""Room kept on the disk for the moment it is full: what ends must still be recorded, whatever else cannot be.

A file beside the database that really occupies its blocks. When the database meets a full disk the file is given up and submissions are
refused until there is room again for it (and as much besides). Invariant: the ballast never makes the disk full: it is only taken
when twice its size is free.
"""

from __future__ import annotations

import contextlib
import os


class Ballast:
    """The file and whether it is there. ``is_given_up`` means: the disk is full, write only what must be written."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self._path = path
        self._size = size_bytes
        self.is_given_up = False

    def take(self) -> bool:
        """Occupy the room, if that much and as much again is free; whether it is occupied now."""
        if self._size == 0:
            self.is_given_up = False
            return True
        try:
            if os.path.exists(self._path) and os.stat(self._path).st_size == self._size:
                self.is_given_up = False
                return True
            space = os.statvfs(os.path.dirname(self._path) or ".")
            if space.f_bavail * space.f_frsize < 2 * self._size:
                return False
            self._fill()
        except OSError:
            self._remove()
            return False
        self.is_given_up = False
        return True

    def _fill(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._size)
        finally:
            os.close(fd)

    def give_up(self) -> None:
        """The disk is full: let the room go."""
        self.is_given_up = True
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
