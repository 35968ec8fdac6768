"""``tenure.checkpointed()``, ``last_checkpoint()`` and ``should_preempt()``: a job that saves its work and may be displaced.

The job's environment names a file, the same in each of its runs. Its time says when the last checkpoint was written, which is what
the job does not lose when others need its room; its text is the job's own, to find that checkpoint again. Invariants: nothing here
needs a daemon or waits for one; outside of a job nothing happens, and signals stay as they are.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

VARIABLE = "TENURE_CHECKPOINT_FILE"
MOST_BYTES = 4000


class _Notice:
    """Whether the job was asked to end."""

    def __init__(self) -> None:
        self.has_come = False
        self._is_watched = False

    def watch(self) -> None:
        """Note TERM from now on instead of ending by it; who handled it before is still called."""
        if self._is_watched:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("call tenure.should_preempt() in the main thread first: no other thread may listen for signals")
        before = signal.getsignal(signal.SIGTERM)

        def noted(number: int, frame: FrameType | None) -> None:
            self.has_come = True
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, noted)
        self._is_watched = True


_notice = _Notice()


def checkpointed(where: str = "") -> bool:
    """Say that a checkpoint was written just now: what was done before it is not lost if this job has to make room for another.

    ``where`` is what the next run needs to find it (a path, a step, some JSON), one line of up to 4000 bytes; without it, what was said
    before stays. Call it once the checkpoint is whole. Whether it was noted: False outside of a job, or when the disk is full.

    :raises ValueError: ``where`` is longer than that, or more than a line.
    """
    said = where.encode()
    if len(said) > MOST_BYTES or b"\n" in said:
        raise ValueError(f"tenure.checkpointed() keeps one line of {MOST_BYTES} bytes: write the rest beside your checkpoint")
    path = os.environ.get(VARIABLE)
    if not path:
        return False
    try:
        _note(path, said)
    except OSError:
        return False
    return True


def last_checkpoint() -> str:
    """What `checkpointed` was told last, in this run of the job or in an earlier one: the first line of the file. Empty for nothing,
    and outside of a job."""
    try:
        fd = os.open(os.environ.get(VARIABLE, ""), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, MOST_BYTES).decode(errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def should_preempt() -> bool:
    """Whether this job was asked to end: write a checkpoint, say so, and end by yourself within the grace time.

    From the first call on, which must be in the main thread, TERM no longer ends the program by itself. Outside of a job it is False
    and changes nothing.

    :raises RuntimeError: the first call is in another thread.
    """
    if VARIABLE not in os.environ:
        return False
    _notice.watch()
    return _notice.has_come


def _note(path: str, said: bytes) -> None:
    """The time is now, and the first line what was said, if anything was. Written at once: the program may be killed at any moment."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        if said:
            os.pwrite(fd, said + b"\n", 0)
            os.ftruncate(fd, len(said) + 1)
        os.utime(fd)
    finally:
        os.close(fd)
