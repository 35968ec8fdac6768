"""The system calls that Python does not offer: child subreaper, boot-time timer, punching holes.

Why ctypes: three calls do not justify a compiled extension, and a task scheduler must install without a compiler.
Invariant: a call either succeeds or raises OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36
_CLOCK_BOOTTIME = 7
_TFD_TIMER_ABSTIME = 1
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class _Spec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def become_subreaper() -> None:
    """Orphans among our descendants become our children instead of init's."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def punch(fd: int, length: int) -> None:
    """Give the first `length` bytes of a file back to the file system; its size and offsets stay."""
    _checked(_libc.fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, 0, length))


class Alarm:
    """A timer file descriptor on boot time: readable once its moment has come, also after the machine slept."""

    def __init__(self) -> None:
        self.fd = _checked(_libc.timerfd_create(_CLOCK_BOOTTIME, os.O_CLOEXEC | os.O_NONBLOCK))
        self._spec = _Spec()

    def set(self, at_ms: int) -> None:
        """Ring at `at_ms` boot time; a moment in the past rings at once, 0 never."""
        self._spec.value_s, self._spec.value_ns = at_ms // 1000, at_ms % 1000 * 1_000_000
        _checked(_libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None))

    def clear(self) -> None:
        """Take note that it rang."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return
