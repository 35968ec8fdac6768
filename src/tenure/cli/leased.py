"""A command that runs while a lease is held, as `flock` runs one while a lock is: its output, signals and exit code are its own.

This process is the holder, so its death ends the lease; the command is told of it by the kernel (TERM). Whatever the command starts
stays below this process, also when its parent goes, and is ended with the lease. Invariant: the lease is given back on every way out.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tenure.cli import console, options
from tenure.cli.lease import wait_for
from tenure.client.errors import TenureError
from tenure.executors.local.supervisor import proc

if TYPE_CHECKING:
    from tenure.client.holding import Lease
    from tenure.wire.leases import LeaseRequest

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_TERM_AT_DEATH = (_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_LEFTOVERS_S, _LOOK_S = 5.0, 0.02
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run(request: LeaseRequest, command: Sequence[str]) -> int:
    """Wait for the lease, run the command under it, give it back; the command's exit code (128 + n for signal n)."""
    from tenure.client.holding import Lease

    if (found := _unfit(command[0])) is not None:
        return found

    with options.client() as client:
        asked_s = time.monotonic()
        view = wait_for(client, request)
        if time.monotonic() - asked_s > 1:
            asked_s = time.monotonic()
            view = client.leases.ask(request)
    held = Lease(view, request, asked_s, None)
    try:
        return _Command(held, command, {**os.environ, **held.env}).run()
    finally:
        with suppress(TenureError):  # it ends by itself, and the command's exit code counts more
            held.release()


def _unfit(program: str) -> int | None:
    """The exit code for a program that is not there or cannot be run, said before anybody waits for a lease; None when it can."""
    if shutil.which(program) is not None:
        return None
    is_there = os.path.exists(program) and "/" in program
    console.note(f"tenure: {program} cannot be run: {os.strerror(errno.EACCES if is_there else errno.ENOENT)}; nothing was leased")
    return _NOT_EXECUTABLE if is_there else _NOT_FOUND


class _Command:
    """One command and what it starts."""

    def __init__(self, held: Lease, words: Sequence[str], env: dict[str, str]) -> None:
        self._held = held
        self._words = list(words)
        self._env = env
        self._over = threading.Event()

    def run(self) -> int:
        """Its exit code."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        before = {number: signal.getsignal(number) for number in (*_PASSED_ON, signal.SIGINT)}
        try:
            # There is one thread yet, and the child calls nothing but the kernel.
            child = subprocess.Popen(self._words, env=self._env, preexec_fn=lambda: libc.prctl(*_TERM_AT_DEATH))  # noqa: PLW1509
        except OSError as error:
            console.note(f"tenure: {self._words[0]} cannot be run: {error.strerror}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        for number in _PASSED_ON:
            signal.signal(number, lambda got, _frame: child.send_signal(got))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the command as well, and that is its affair
        try:
            self._held.keep(self._warned)
            code = child.wait()
            self._over.set()
            _end_tree(_LEFTOVERS_S)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return code if code >= 0 else 128 - code

    def _warned(self, held: Lease) -> None:
        """The lease is being taken back: ask the command to end, and end it when the time is over. In the keeper's thread."""
        console.note(f"tenure: lease {held.id} ends: {held.why or 'it cannot be renewed'}; the command is asked to end")
        threading.Thread(target=self._end, args=(held.left_s,), daemon=True).start()

    def _end(self, grace_s: float) -> None:
        _signal_all(signal.SIGTERM)
        if not self._over.wait(grace_s):
            _end_tree(0)


def _below() -> list[int]:
    """Every living process below this one."""
    me = os.getpid()
    return [pid for pid in proc.descendants([me]) if pid != me]


def _signal_all(number: int) -> list[int]:
    """Signal everything below this process; whom."""
    found = _below()
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return found


def _end_tree(grace_s: float) -> None:
    """End everything below this process: politely, and after the grace not."""
    deadline = time.monotonic() + grace_s
    if grace_s:
        _signal_all(signal.SIGTERM)
    while _below() if (is_polite := time.monotonic() < deadline) else _signal_all(signal.SIGKILL):
        time.sleep(_LOOK_S if is_polite else 0)
