"""When jobs wrote their last checkpoints: the times of files that they touch, one per job, in a folder of the installation.

A file is named by its job, so it outlives a displaced run, and what a job wrote into it is there for its next run; only its time
is looked at here. Invariants: nothing is opened, so no link, pipe or large file can hurt; what is no plain file of a moderate size
counts as none; of one run, a time is told at most once in `EVERY_MS`; of a job that has ended the last one is told, then the
file goes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping, Sequence

from tenure.monitors.tasks import TaskLook
from tenure.monitors.watch import Round

MOST_BYTES = 64 << 10
EVERY_MS = 60_000
EARLY_MS = 60_000
"""A time so far ahead is not believed."""
_FILE = re.compile(r"[0-9]{1,18}")

Tell = Callable[[Sequence[tuple[int, int]]], None]


class Checkpoints:
    """Called with each round. ``tell`` keeps (job, time), ``still_open`` says which of some jobs have not ended."""

    def __init__(self, folder: str, tell: Tell, still_open: Callable[[Sequence[int]], Collection[int]]) -> None:
        self._folder = folder
        self._tell = tell
        self._still_open = still_open
        self._told: dict[int, tuple[int, int]] = {}

    def __call__(self, seen: Round) -> None:
        """Tell what is new in one round. Raises what the store raises; what was not told then is told later."""
        looks: Sequence[TaskLook] = seen.looks.get("tasks", ())
        live = {look.task.job_id: look.task.attempt_id for look in looks}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                self._round(folder, live, seen.at_ms)
            finally:
                os.close(folder)

    def _round(self, folder: int, live: Mapping[int, int], now_ms: int) -> None:
        files = sorted(int(name) for name in os.listdir(folder) if _FILE.fullmatch(name))
        others = [job_id for job_id in files if job_id not in live]
        waiting = self._still_open(others) if others else ()
        due = []
        for job_id in files:
            at_ms = _written_ms(folder, str(job_id), now_ms)
            told_ms, run = self._told.get(job_id, (0, 0))
            if at_ms > told_ms and (run != live.get(job_id, 0) or now_ms - told_ms >= EVERY_MS):
                due.append((job_id, at_ms))
        if due:
            self._tell(due)
            self._told.update((job_id, (at_ms, live.get(job_id, 0))) for job_id, at_ms in due)
        for job_id in others:
            if job_id not in waiting:
                self._told.pop(job_id, None)
                with contextlib.suppress(OSError):
                    os.unlink(str(job_id), dir_fd=folder)


def _written_ms(folder: int, name: str, now_ms: int) -> int:
    """When a file was written, 0 for one that counts as none."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0
    at_ms = found.st_mtime_ns // 1_000_000
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES or at_ms > now_ms + EARLY_MS:
        return 0
    return min(at_ms, now_ms)
