"""``tenure.report(loss=0.3, step=100)``: a job tells how it does, in one line of its program and without a daemon.

Values go into the file that the job's environment names, at most one line a second, each with the latest value of every name; the
daemon reads it when it is there. Invariants: reporting never raises for want of a daemon, a disk or a job around it, and never waits
for anybody; a file that nobody reads stops growing.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import threading
import time
from collections.abc import Mapping

VARIABLE = "TENURE_METRICS_FILE"
EVERY_S = 1.0
MOST_BYTES = 16 << 20
"""Of the disk. A daemon that reads gives back what it has read."""
_BLOCK = 512


class _Reporter:
    """What is to be written next, and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}
        self._next_s = 0.0
        self._pid = 0

    def add(self, path: str, values: Mapping[str, float]) -> bool:
        with self._lock:
            if self._pid != os.getpid():  # a forked child reports for itself, and not what its parent had in hand
                self._values, self._next_s, self._pid = {}, 0.0, os.getpid()
                atexit.register(self.flush)
            self._values.update(values)
            now_s = time.monotonic()
            if now_s < self._next_s:
                return True
            self._next_s = now_s + EVERY_S
            return self._write(path)

    def flush(self) -> None:
        """Write what has not been written; called when the program ends."""
        path = os.environ.get(VARIABLE, "")
        with self._lock:
            if self._values and path and self._pid == os.getpid():
                self._write(path)

    def _write(self, path: str) -> bool:
        line = json.dumps({**self._values, "at_ms": time.time_ns() // 1_000_000}, separators=(",", ":")).encode() + b"\n"
        self._values = {}
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            if os.fstat(fd).st_blocks * _BLOCK > MOST_BYTES:
                return False
            return os.write(fd, line) == len(line)
        except OSError:
            return False
        finally:
            os.close(fd)


_reporter = _Reporter()


def report(**values: float) -> bool:
    """Report figures of this job under names of your choice: ``tenure.report(loss=loss, step=step, throughput=120.5)``.

    Anything that ``float()`` takes will do, a tensor of one element too; what is not finite is left out. May be called as often as you
    like: the latest values are written once a second, and when the program ends. Whether they will be kept: False outside of a job,
    when the disk is full, or when nobody has read for long.

    :raises TypeError, ValueError: a value is no number.
    """
    figures = {name: number for name, value in values.items() if math.isfinite(number := float(value))}
    path = os.environ.get(VARIABLE)
    return _reporter.add(path, figures) if path else False
