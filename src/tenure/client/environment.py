"""What a job takes along from where it was submitted: the environment, and which commit of which repository it was.

The environment is the submitter's minus what belongs to his session or would be wrong by the time the job starts. Invariant: nothing
here can hold a submission up: the question to git has a deadline, and no answer is an answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache

_SESSION_NAMES = """
    _ COLORTERM COLUMNS DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION DISPLAY GPG_AGENT_INFO GPG_TTY INVOCATION_ID JOURNAL_STREAM
    LINES LISTEN_FDNAMES LISTEN_FDS LISTEN_PID LS_COLORS MAINPID NOTIFY_SOCKET OLDPWD PROMPT_COMMAND PS1 PS2 PWD
    SESSION_MANAGER SHLVL SSH_AGENT_PID SSH_ASKPASS SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_ORIGINAL_COMMAND SSH_TTY STY
    TERM TERMCAP TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID TMUX TMUX_PANE TTY VTE_VERSION WATCHDOG_PID WATCHDOG_USEC
    WAYLAND_DISPLAY WINDOW WINDOWID XAUTHORITY XDG_RUNTIME_DIR XDG_SEAT XDG_SESSION_CLASS XDG_SESSION_DESKTOP XDG_SESSION_ID
    XDG_SESSION_TYPE XDG_VTNR
"""
_SESSION = frozenset(_SESSION_NAMES.split())
"""Bound to a terminal, a login or a service: gone, or somebody else's, when the job starts."""

_DEVICES_NAMES = """
    CUDA_DEVICE_ORDER CUDA_VISIBLE_DEVICES GPU_DEVICE_ORDINAL HIP_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
"""
_DEVICES = frozenset(_DEVICES_NAMES.split())
"""Set for each task by the executor; a value from outside would point at somebody else's device."""

_KEPT = frozenset({"TENURE_HOME"})
_GIT_PATIENCE_S = 1.0
_FRESH_S = 5


def is_taken(name: str) -> bool:
    """Whether a variable travels with the job: not those of a session, of devices, or that Tenure set for the job around this one."""
    return name in _KEPT or not (name in _SESSION or name in _DEVICES or name.startswith(("TENURE_", "_TENURE_")))


class Captured:
    """The present environment without what does not travel. Asked again, it answers from memory while nothing has changed."""

    def __init__(self) -> None:
        self._seen: object = None
        self._taken: dict[str, str] = {}

    def __call__(self) -> dict[str, str]:
        """The variables that travel; not to be changed."""
        raw: Mapping[bytes, bytes] = getattr(os.environ, "_data", {})  # comparing the bytes is 40 times cheaper than decoding them
        if not raw or raw != self._seen:
            self._seen = dict(raw)
            self._taken = {name: value for name, value in os.environ.items() if is_taken(name)}
        return self._taken


capture = Captured()


def origin(cwd: str) -> dict[str, str]:
    """Where a submission comes from: host, and commit, branch and dirty flag when ``cwd`` is in a git repository."""
    return dict(_origin(cwd, int(time.monotonic() / _FRESH_S)))


@lru_cache(maxsize=64)
def _origin(cwd: str, _period: int) -> dict[str, str]:
    found = {"host": os.uname().nodename}
    if _has_repository(cwd):
        found.update(_git(cwd))
    return found


def _has_repository(cwd: str) -> bool:
    here = cwd
    while True:
        if os.path.exists(os.path.join(here, ".git")):
            return True
        above = os.path.dirname(here)
        if above == here:
            return False
        here = above


def _git(cwd: str) -> dict[str, str]:
    import subprocess

    command = ["git", "-C", cwd, "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_PATIENCE_S, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return _read_status(done.stdout.decode("utf-8", "replace"))


def _read_status(text: str) -> dict[str, str]:
    found = {"git_dirty": "false"}
    for line in text.splitlines():
        if line.startswith("# branch.oid "):
            found["git_commit"] = line[13:]
        elif line.startswith("# branch.head "):
            found["git_branch"] = line[14:]
        elif not line.startswith("#"):
            found["git_dirty"] = "true"
    return found
