"""A connection to the supervisor, and starting one where none answers. Synchronous.

Invariant: records and replies never mix: `request` returns the reply to its own id, everything else waits in order for
`receive`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import stat
import struct
import subprocess
import sys
import time
from collections import deque
from typing import Any

from tenure.process import given_files

PROTOCOL = (1, 5)
"""The oldest and the newest that we speak: tasks outlive an upgrade, under the supervisor that started them."""

CHANGES_LIMITS = 2
"""From this one on a supervisor can be told a new time limit."""

KEEPS_ROOMS = 3
"""From this one on a supervisor can be given tasks that wait for each other's room."""

HOLDS_LEASES = 4
"""From this one on a supervisor can hold a lease: a task without a process of its own."""

CHANGES_AMOUNTS = 5
"""From this one on a supervisor can keep a task that runs to other amounts of cpu and memory."""

_LONGEST_PATH = 100

Message = dict[str, Any]


class SupervisorError(Exception):
    """The supervisor cannot be reached or refused; `code` is stable, the text one sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Connection:
    """One open connection. Not for several threads at once."""

    def __init__(self, path: str, timeout_s: float = 5.0) -> None:
        """Connect and shake hands; `hello` is then the supervisor's answer.

        :raises OSError: nobody serves at `path`.
        :raises SupervisorError: it speaks another protocol, or not in time.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._in = bytearray()
        self._waiting: deque[Message] = deque()
        self._ids = 0
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
            self._socket.settimeout(None)
            self._check_owner(path)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(timeout_s) + 1, 0))
            self.hello = self.request({"op": "hello", "protocol": list(PROTOCOL)}, timeout_s)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For selectors: readable when `receive` may have something."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send without waiting for a reply.

        :raises OSError: the supervisor has gone.
        """
        self._socket.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def receive(self) -> list[Message]:
        """What has come, without waiting; empty if nothing.

        :raises ConnectionError: the supervisor has gone and everything it said was received.
        """
        try:
            self._read(socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except ConnectionError:
            if not self._waiting:
                raise
        messages = list(self._waiting)
        self._waiting.clear()
        return messages

    def request(self, message: Message, timeout_s: float = 5.0) -> Message:
        """Send and wait for the reply; records that come meanwhile are kept for `receive`.

        :raises SupervisorError: refused (its code), or `no_answer` in time.
        :raises ConnectionError: the supervisor has gone.
        """
        self._ids += 1
        self.send({**message, "id": self._ids})
        deadline = time.monotonic() + timeout_s
        earlier = len(self._waiting)
        while True:
            for index in range(earlier, len(self._waiting)):
                reply = self._waiting[index]
                if reply.get("id") == self._ids and "reply" in reply:
                    del self._waiting[index]
                    if reply["reply"] == "error":
                        raise SupervisorError(reply["code"], reply["why"])
                    return reply
            earlier = len(self._waiting)
            left = deadline - time.monotonic()
            if left <= 0 or not _readable(self._socket.fileno(), left):
                raise SupervisorError("no_answer", f"the supervisor did not answer {message['op']} in {timeout_s:g} s")
            self._read(0)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _check_owner(self, path: str) -> None:
        """Jobs carry environments with secrets: nobody else's process may pose as the supervisor."""
        uid = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if uid != os.getuid():
            raise SupervisorError("foreign_supervisor", f"the process that serves {path} is not yours; remove that file")

    def _read(self, flags: int) -> None:
        data = self._socket.recv(1 << 18, flags)
        if not data:
            raise ConnectionResetError("the supervisor closed the connection")
        self._in += data
        *lines, rest = bytes(self._in).split(b"\n")
        self._in = bytearray(rest)
        self._waiting.extend(json.loads(line) for line in lines if line)


def socket_path(home: str) -> str:
    """Where the supervisor of a home serves: inside it, or in a directory of the user where the path would be too long.

    :raises SupervisorError: `foreign_directory`: that directory is somebody else's.
    """
    inside = os.path.join(os.path.abspath(home), "run", "supervisor.sock")
    if len(os.fsencode(inside)) <= _LONGEST_PATH:
        return inside
    os.makedirs(home, mode=0o700, exist_ok=True)
    identity = os.stat(home)
    folder = f"/tmp/tenure-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    found = os.lstat(folder)
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise SupervisorError("foreign_directory", f"{folder} belongs to somebody else; choose a home with a shorter path")
    return os.path.join(folder, f"{identity.st_dev:x}.{identity.st_ino:x}.sock")


def ensure_supervisor(home: str, *options: str, timeout_s: float = 10.0) -> Connection:
    """A connection to the home's supervisor, which is started in the background if none answers.

    `options` go to a supervisor that is started (see its `__main__`); one that runs already keeps its own.
    :raises SupervisorError: `no_supervisor` if it does not come up in time; the sentence says why, as far as is known.
    """
    path = socket_path(home)
    deadline = time.monotonic() + timeout_s
    said = ""
    while True:
        with contextlib.suppress(OSError):
            return Connection(path)
        left = deadline - time.monotonic()
        if left <= 0:
            log = os.path.join(home, "log", "supervisor.log")
            raise SupervisorError("no_supervisor", f"the supervisor of {home} did not start: {said or f'see {log}'}")
        if not said:
            said = _start(home, path, options, left)
        else:
            time.sleep(0.02)  # another one is starting, or ours failed: only the deadline tells


def _start(home: str, path: str, options: tuple[str, ...], timeout_s: float) -> str:
    """Start one and wait until it is ready or has given up; what it said in that case.

    The interpreter runs isolated: nothing of the site is needed. It and its tasks may open as many files as the daemon might.
    """
    read, write = os.pipe()
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
    code = f"import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, {given_files()}); sys.path.insert(0, {root!r})"
    code += "; from tenure.executors.local.supervisor.__main__ import main"
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", code + "; sys.exit(main(sys.argv[1:]))"]
    command += ["--home", home, "--socket", path, "--detach", "--ready-fd", str(write), *options]
    environment = {name: value for name, value in os.environ.items() if name != "TENURE_TASK_TAG"}
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, pass_fds=(write,), cwd="/"
        ) as starter:
            os.close(write)
            write = -1
            try:
                _, said = starter.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                starter.kill()
                return "it did not even detach in time"
            if said or starter.returncode:
                return (said.decode(errors="replace").strip().splitlines() or [f"exit status {starter.returncode}"])[-1]
            ready = _readable(read, timeout_s) and os.read(read, 16)
            return "" if ready else f"see {os.path.join(home, 'log', 'supervisor.log')}"
    finally:
        for fd in (read, write):
            if fd >= 0:
                os.close(fd)


def _readable(fd: int, timeout_s: float) -> bool:
    """Whether there is something to read in time; unlike select(), of whatever descriptor."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(1, int(timeout_s * 1000))))


__all__ = ["Connection", "SupervisorError", "ensure_supervisor", "socket_path"]
