"""Looking after the logs of running tasks: noting how long they are, and bounding them. The oldest bytes go back to the file system,
the newest stay where they are.

A hole is punched instead of moving or truncating the file, so offsets that readers remember stay right, the task goes on
appending, and not one line of the kept part is lost. Invariant: the newest `keep_bytes` of a log are never touched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from . import clock, kernel, lengths
from .task import Task

EVERY_MS = 5_000
_BLOCK = 4096


class Logs:
    """Keeps the newest `keep_bytes` of every log, and notes in `directory` how long it was when."""

    def __init__(self, keep_bytes: int, directory: str) -> None:
        self._directory = directory
        self.keep_bytes = max(keep_bytes, _BLOCK)
        self.supported: bool | None = None  #: None: not needed so far
        self.released_bytes = 0

    def bound(self, tasks: Iterable[Task]) -> None:
        """Note how long they are now, and release what is too old."""
        for task in tasks:
            for stream, path in enumerate(task.log_files):
                with suppress(OSError):  # the task may have removed it, or the disk is full
                    found = os.lstat(path) if task.uid else os.stat(path)
                    self._bound(path, found, task.uid)
                    self._note(task, stream, found.st_size)

    def _note(self, task: Task, stream: int, length: int) -> None:
        if task.log_lengths[stream] != length:
            seen_by_ms = clock.wall_ms() + 1  # after the look, and not before it by a rounded part of a millisecond
            lengths.note(lengths.path_of(self._directory, task.attempt, task.task, stream), seen_by_ms, length)
            task.log_lengths[stream] = length

    def _bound(self, path: str, found: os.stat_result, uid: int) -> None:
        """Release what is too old; with a ``uid`` only in a plain file of that user, who may change what the path leads to."""
        # One block of slack keeps a log that grows by the line from being opened at every look.
        if found.st_blocks * 512 <= self.keep_bytes + max(self.keep_bytes // 8, 2 * _BLOCK):
            return
        length = (found.st_size - self.keep_bytes) // _BLOCK * _BLOCK
        if length <= 0:
            return
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | (os.O_NOFOLLOW if uid else 0))
        try:
            if uid and not _is_plain_of(os.fstat(fd), uid):
                return
            self.supported = False
            kernel.punch(fd, length)
            self.supported = True
            self.released_bytes += max(found.st_blocks * 512 - os.fstat(fd).st_blocks * 512, 0)
        finally:
            os.close(fd)


def _is_plain_of(found: os.stat_result, uid: int) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == uid
