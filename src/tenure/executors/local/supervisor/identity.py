"""Starting a process as somebody else: for a supervisor of root, whose tasks run as those who submitted them.

A child of ours becomes that user and only then touches what he named: directory, logs, program. So the kernel decides what he may,
and nothing of his is ever opened with root's rights. It takes a fork: no way to spawn changes the user, and taking his uid ourselves
for a moment would let him signal us. Invariants: between fork and exec nothing runs but this file and what it is given; a process that
could not become him in full is never executed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
from collections.abc import Callable
from typing import Any, NoReturn

PATIENCE_MS = 10_000
"""A directory that hangs must not hang all others."""
_SEPARATOR = b"\0"
_ALL = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
_OWN_LOG = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK

Identity = tuple[int, ...]
"""The uid, the gid, and the other groups."""


class CannotStart(Exception):
    """The child says that it could not start: a word for the step that failed, what it was about, and the error."""

    def __init__(self, step: str, about: str, number: int) -> None:
        super().__init__(f"{step} {about}: {os.strerror(number)}")
        self.step = step
        self.about = about
        self.number = number


def fork_as(identity: Identity, prepare: Callable[[Callable[[str, str], None]], tuple[str, list[str], dict[bytes, bytes]]]) -> int:
    """Fork, become him in the child, let ``prepare`` do what is left to do as him, and execute what it returns; the child's pid.

    ``prepare`` is given a function that notes the step it is at, for the error. Raises CannotStart or OSError; nothing runs then.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        pid = os.fork()
        if pid == 0:
            _child(identity, prepare, write)
    except BaseException:
        os.close(read)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(write)
    try:
        _await_exec(pid, read)
    finally:
        os.close(read)
    return pid


def _await_exec(pid: int, read: int) -> None:
    """Return once the child executes its program. Raises CannotStart when it did not come to that."""
    poll = select.poll()
    poll.register(read, select.POLLIN)
    said = os.read(read, 4096) if poll.poll(PATIENCE_MS) else b"wait\0its directory or program\0110"
    if not said:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    step, about, number = said.split(_SEPARATOR, 2)
    raise CannotStart(step.decode(), about.decode("utf-8", "replace"), int(number))


def _child(identity: Identity, prepare: Callable[..., Any], write: int) -> NoReturn:
    """Become him, prepare, execute; or tell what failed. Never returns."""
    at = ["identity", str(identity[0])]

    def step(name: str, about: str) -> None:
        at[:] = (name, about)

    try:
        _become(identity)
        os.setsid()
        program, argv, env = prepare(step)
        for number in _ALL:
            with contextlib.suppress(OSError, ValueError):  # not all can be changed
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        step("exec", program)
        os.execve(program, argv, env)
    except OSError as error:
        _tell(write, at, error.errno or 0)
    except BaseException:
        _tell(write, at, 0)
    os._exit(127)


def _tell(write: int, at: list[str], number: int) -> None:
    with contextlib.suppress(OSError):
        os.write(write, _SEPARATOR.join((at[0].encode(), os.fsencode(at[1])[:3000], str(number).encode())))


def _become(identity: Identity) -> None:
    """Give everything of root up for good. Raises OSError when a part of it stays."""
    uid, gid, *others = identity
    os.setgroups(others)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PermissionError(1, "it did not take")


def own_file(path: str, identity: Identity, flags: int = _OWN_LOG) -> int:
    """A file in a directory of ours, opened by us and owned by him, closed to others. Raises OSError.

    Nobody but root can make entries there; what is found there all the same and is no plain file of one name is refused.
    """
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    try:
        _check_plain(fd, path)
        os.fchown(fd, identity[0], identity[1])
        os.fchmod(fd, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_plain(fd: int, path: str) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise PermissionError(1, "it is no plain file", path)
