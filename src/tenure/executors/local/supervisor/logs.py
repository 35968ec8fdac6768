"""Bounding the logs of running tasks: the oldest bytes go back to the file system, the newest stay where they are.

A hole is punched instead of moving or truncating the file, so offsets that readers remember stay right, the task goes on
appending, and not one line of the kept part is lost. Invariant: the newest `keep_bytes` of a log are never touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from . import kernel
from .task import Task

EVERY_MS = 5_000
_BLOCK = 4096


class Logs:
    """Keeps the newest `keep_bytes` of every log."""

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes = max(keep_bytes, _BLOCK)
        self.supported: bool | None = None  #: None: not needed so far
        self.released_bytes = 0

    def bound(self, tasks: Iterable[Task]) -> None:
        """Release what is too old."""
        for task in tasks:
            for path in task.log_files:
                with suppress(OSError):  # the task may have removed it
                    self._bound(path)

    def _bound(self, path: str) -> None:
        found = os.stat(path)
        # One block of slack keeps a log that grows by the line from being opened at every look.
        if found.st_blocks * 512 <= self.keep_bytes + max(self.keep_bytes // 8, 2 * _BLOCK):
            return
        length = (found.st_size - self.keep_bytes) // _BLOCK * _BLOCK
        if length <= 0:
            return
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            self.supported = False
            kernel.punch(fd, length)
            self.supported = True
            self.released_bytes += max(found.st_blocks * 512 - os.fstat(fd).st_blocks * 512, 0)
        finally:
            os.close(fd)
