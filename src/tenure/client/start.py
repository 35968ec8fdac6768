"""From nothing to a client that is connected: find the daemon, start it when there is none, agree on a protocol.

Ten first commands at once start one daemon: whoever holds the lock starts it, the others find it there. Invariant: `connect` returns a
client whose daemon speaks its protocol and is not older than it, or raises one sentence that says why not and what to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tenure import __version__
from tenure.client import http, paths
from tenure.client.errors import DaemonUnreachable, ProtocolMismatch, TenureError
from tenure.client.paths import ALREADY_RUNS
from tenure.client.place import Place, elsewhere
from tenure.client.session import Client
from tenure.wire import MEETING, PROTOCOL, PROTOCOLS, dto

START_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.01
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+ (?:tenure: )?")
_REFUSED = re.compile(r"\[(?P<code>[a-z_]+)\] (?P<message>.*?)(?:; (?P<remedy>.*))?")
"""How a daemon that refuses to start says why in its log."""
_WAY_OUT = "run: tenure down && tenure up (running jobs go on)"

Say = Callable[[str], None]


def connect(
    home: str | None = None, *, autostart: bool = True, timeout_s: float = 30.0, say: Say | None = None, place: Place | None = None
) -> Client:
    """A client of the daemon of ``home``, else at ``place``, else at the place that the environment or a profile names (`elsewhere`),
    else of ``TENURE_HOME`` or the user's. Starts the daemon of a home when none answers and replaces one older than this client;
    ``say`` hears of the latter. Raises `DaemonUnreachable` or `ProtocolMismatch`."""
    if home is None and (place := place or elsewhere()) is not None:
        return _connected(Client(place, timeout_s=timeout_s), "", False, say)
    where = home or paths.home()
    revive = (lambda: ensure_daemon(where)) if autostart else None
    return _connected(Client(paths.daemon_socket(where), timeout_s=timeout_s, revive=revive), where, autostart, say)


def _connected(client: Client, home: str, autostart: bool, say: Say | None) -> Client:
    try:
        _handshake(client, home, autostart, say)
    except BaseException:
        client.close()
        raise
    return client


def submit(command: Sequence[str], **options: Any) -> dto.SubmitReply:
    """Queue one job on a connection of its own; for more than one, `connect` once. Options as in `Client.submit`."""
    with connect() as client:
        return client.submit(command, **options)


def _handshake(client: Client, home: str, autostart: bool, say: Say | None) -> None:
    status = client.admin.status()
    older = _ordered(status.version) < _ordered(__version__)
    if older and autostart and paths.is_own(home):
        (say or _silent)(f"the daemon was version {status.version}; restarting it as {__version__} (running jobs go on)")
        restart(client, home, status.pid)
        status = client.admin.status()
    if status.protocol not in PROTOCOLS:
        raise ProtocolMismatch(
            "protocol_mismatch",
            f"the daemon speaks protocol {status.protocol}, this client {PROTOCOL}",
            f"update tenure, or {_WAY_OUT}",
        )


def _silent(_text: str) -> None:
    return None


def restart(client: Client, home: str, pid: int) -> None:
    """Replace the daemon ``pid`` by one of this version, started with the same options."""
    flags = _flags_of(home)
    stop(client, home, pid)
    ensure_daemon(home, flags)


def _flags_of(home: str) -> list[str]:
    """With which options the daemon that runs was started."""
    import json

    try:
        with open(paths.daemon_flags(home), encoding="utf-8") as file:
            return [str(word) for word in json.load(file)]
    except (OSError, ValueError):
        return []  # one that did not know of any


def stop(client: Client, home: str, pid: int) -> None:
    """Stop the daemon ``pid`` and return when it has gone. Jobs go on."""
    client.admin.down()
    _until(lambda: not _is_alive(pid) and not is_listening(home), f"the daemon (pid {pid}) does not stop")


def is_listening(home: str) -> bool:
    """Whether somebody accepts connections on the daemon's socket."""
    try:
        http.Connection(paths.daemon_socket(home), 1.0).close()
    except http.Broken:
        return False
    return True


def ensure_daemon(home: str, flags: Sequence[str] = ()) -> None:
    """Return when a daemon listens, started by this process (with these options) or another. Raises `DaemonUnreachable` with the
    reason from its log."""
    if is_listening(home):
        return
    if not paths.is_own(home):
        raise DaemonUnreachable("unreachable", f"nobody serves {home}, which is another user's", "ask for: tenure up --shared")
    try:
        paths.ensure_runtime_dir(home)
    except (OSError, paths.UnsafeDirectory) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise DaemonUnreachable(
            "unreachable", f"the daemon cannot be started: {why}", "set TENURE_HOME to a directory of yours"
        ) from error
    with _locked(paths.start_lock(home)):
        if not is_listening(home):
            _start(home, flags)


def _start(home: str, flags: Sequence[str]) -> None:
    import subprocess

    os.makedirs(os.path.dirname(paths.daemon_log(home)), mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "tenure.bootstrap", "daemon", "--home", home, "--detach", *flags]
    with open(paths.daemon_log(home), "ab") as log:
        began = log.tell()

    def launch() -> subprocess.Popen[bytes]:
        with open(paths.daemon_log(home), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True)

    process = launch()
    deadline = time.monotonic() + START_PATIENCE_S
    while not _answers(home):
        if process.poll() == ALREADY_RUNS and not _is_locked(home):
            process = launch()  # the one that it met has ended since, before it ever answered
        elif process.returncode not in (None, 0, ALREADY_RUNS) or (process.returncode == 0 and not _is_locked(home)):
            raise _not_started(home, began, "it ended at once")
        if time.monotonic() > deadline:
            raise _not_started(home, began, f"it did not answer in {START_PATIENCE_S:g} s")
        time.sleep(_LOOK_EVERY_S)
    process.wait()  # it has left the daemon behind by now


def _answers(home: str) -> bool:
    """Whether the daemon answers a question; it listens already while it opens its store, and may yet fail."""
    try:
        with contextlib.closing(http.Connection(paths.daemon_socket(home), 1.0)) as connection:
            connection.exchange(http.request("GET", f"{MEETING}/status"), START_PATIENCE_S)
    except http.Broken:
        return False
    return True


def _is_locked(home: str) -> bool:
    """Whether some daemon holds the lock of this home: it is held from before it detaches until it ends."""
    try:
        fd = os.open(os.path.join(paths.runtime_dir(home), "daemon.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _not_started(home: str, began: int, why: str) -> TenureError:
    lines = _last_lines(paths.daemon_log(home), began)
    if refused := _REFUSED.fullmatch(lines[-1] if lines else ""):
        return TenureError(refused["code"], refused["message"], refused["remedy"] or f"see {paths.daemon_log(home)}")
    said = " | ".join(lines)
    return DaemonUnreachable(
        "unreachable", f"the daemon did not start: {said or why}", f"see {paths.daemon_log(home)}, or run: tenure up --foreground"
    )


def _last_lines(path: str, began: int, count: int = 3) -> list[str]:
    """The last lines written since ``began``, without blank ones."""
    try:
        with open(path, "rb") as log:
            log.seek(max(began, os.fstat(log.fileno()).st_size - 8192))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [_STAMP.sub("", line.strip()) for line in text.splitlines() if line.strip()][-count:]


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock on ``path``; it goes with the process, so a crash leaves none behind."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _until(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise DaemonUnreachable("unreachable", complaint, "look at: tenure status")
        time.sleep(_LOOK_EVERY_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ordered(version: str) -> tuple[int, ...]:
    """A version as numbers that compare; what follows the numbers is not looked at."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
