"""What makes a process a daemon: alone, detached, listening, frugal. It knows nothing of Tenure."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import IO


def only_one(path: str) -> IO[str] | None:
    """The lock that makes this the only one of its kind, None when it is taken. It is held as long as the file stays open."""
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def detach(log_path: str) -> None:
    """Leave the terminal and the session of whoever started this; output goes to a log."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.makedirs(os.path.dirname(log_path), mode=0o700, exist_ok=True)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)
    os.chdir("/")


def listen(path: Path) -> socket.socket:
    """A listening unix socket, mode 0600. A left-over file is removed: whoever calls knows that nobody listens on it."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listening.fileno(), 0o600)  # the file gets it as it is made; a umask would be that of all threads
    listening.bind(str(path))
    listening.listen(1024)
    listening.setblocking(False)
    return listening


_M_ARENA_MAX = -8


def become_frugal() -> None:
    """An idle daemon should cost nothing: rare collections of long-lived objects, and one heap for all threads. They take turns anyway,
    and glibc would give each of the first few a heap of its own that is mostly empty. To be called before there are any."""
    import ctypes
    import gc

    gc.set_threshold(50_000, 20, 50)
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


SWITCH_S = 0.0005


def answer_promptly() -> None:
    """Let a thread that answers take over soon from one that computes. A read passes from thread to thread several times and would wait
    5 ms for each, the interpreter's own interval, while a plan is made; what more frequent changes cost the plan does not show."""
    sys.setswitchinterval(SWITCH_S)


MAX_FILES = 16_384
"""Open files of a daemon: a descriptor for each client that follows, and those of the store, the logs and whoever asks."""
_given_files: list[tuple[int, int]] = []


def allow_many_files() -> None:
    """Raise this process's own limit of open files as far as it needs and may. What it starts is to get `given_files` instead: programs
    that use select() break with more, and what a user's tasks may open is not ours to change."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        _given_files[:] = [(soft, hard)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def given_files() -> tuple[int, int]:
    """The limits of open files, soft and hard, with which this process was started."""
    return _given_files[0] if _given_files else resource.getrlimit(resource.RLIMIT_NOFILE)


def log(line: str) -> None:
    """Write a line with the time to stderr, which of a daemon is its log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    print(f"{stamp} {line}", file=sys.stderr, flush=True)  # noqa: T201
