"""Where an installation lives: its home, and the files and sockets in it. Daemon, client and command line agree by calling these.

Invariant: everything follows from the home alone, so two processes with the same home always meet; a socket's path is always short
enough for the kernel (108 bytes), if need be under ``/tmp`` in a directory that only its owner can enter.
"""

from __future__ import annotations

import contextlib
import os
import stat

MAX_SOCKET_BYTES = 100
ALREADY_RUNS = 75
"""Exit code of a daemon that found another one in its home."""


class UnsafeDirectory(Exception):
    """A directory for sockets belongs to somebody else or is open to others; nothing is created in it."""


def home() -> str:
    """The home of this installation: ``TENURE_HOME``, else the user's data directory. Absolute; it need not exist."""
    chosen = os.environ.get("TENURE_HOME")
    if not chosen:
        import platformdirs

        chosen = platformdirs.user_data_dir("tenure")
    return os.path.abspath(os.path.expanduser(chosen))


def runtime_dir(home: str) -> str:
    """The directory of the sockets: ``HOME/run``, or one under ``/tmp`` when that would make their paths too long."""
    inside = os.path.join(home, "run")
    if len(os.fsencode(os.path.join(inside, "supervisor.sock"))) < MAX_SOCKET_BYTES:
        return inside
    import hashlib

    return os.path.join(_shared_root(), hashlib.sha256(os.fsencode(home)).hexdigest()[:16])


def _shared_root() -> str:
    return f"/tmp/tenure-{os.getuid()}"


def ensure_runtime_dir(home: str) -> str:
    """Make the directory of the sockets, mode 0700, and return it. Raises `UnsafeDirectory` when somebody else could enter it."""
    path = runtime_dir(home)
    os.makedirs(home, mode=0o700, exist_ok=True)
    if not path.startswith(home + os.sep):
        _own_directory(_shared_root())
    _own_directory(path)
    return path


def _own_directory(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode=0o700)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnsafeDirectory(f"{path} is not a directory of yours with mode 0700; remove it, or set TENURE_HOME to a shorter path")


def daemon_socket(home: str) -> str:
    """The socket on which the daemon answers clients: for all but the home's owner that of a home that is shared."""
    if not is_own(home):
        return os.path.join(home, "shared", "daemon.sock")
    return os.path.join(runtime_dir(home), "daemon.sock")


def is_own(home: str) -> bool:
    """Whether a home is this user's, or would be if it were made."""
    try:
        return os.stat(home).st_uid == os.getuid()
    except OSError:
        return True


def supervisor_socket(home: str) -> str:
    """The socket on which the supervisor answers the daemon."""
    return os.path.join(runtime_dir(home), "supervisor.sock")


def daemon_lock(home: str) -> str:
    """The file that the daemon of this home keeps locked."""
    return os.path.join(runtime_dir(home), "daemon.lock")


def start_lock(home: str) -> str:
    """The file that is locked while somebody starts the daemon."""
    return os.path.join(runtime_dir(home), "start.lock")


def logs_dir(home: str) -> str:
    """The directory of the jobs' output."""
    return os.path.join(home, "logs")


def daemon_log(home: str) -> str:
    """The daemon's own log."""
    return os.path.join(home, "log", "daemon.log")


def access_log(home: str) -> str:
    """Who called what over TCP."""
    return os.path.join(home, "log", "access.log")


def daemon_flags(home: str) -> str:
    """With which options the daemon was started: its successor after an upgrade gets the same."""
    return os.path.join(runtime_dir(home), "daemon.flags")


def database(home: str) -> str:
    """The store of an installation on one machine."""
    return os.path.join(home, "tenure.db")


def config_file(home: str) -> str:
    """The settings, a file that need not exist."""
    return os.path.join(home, "config.toml")


def metrics_dir(home: str) -> str:
    """Where tasks report figures; the files are named by attempt and task."""
    return os.path.join(home, "metrics")


def checkpoints_dir(home: str) -> str:
    """Where jobs tell of their checkpoints; the files are named by job."""
    return os.path.join(home, "checkpoints")


def reports(home: str) -> tuple[str, str]:
    """The two folders into which tasks write what they tell of themselves: figures, checkpoints."""
    return metrics_dir(home), checkpoints_dir(home)


def snapshots_dir(home: str) -> str:
    """The content-addressed copies made by ``--snapshot``."""
    return os.path.join(home, "snapshots")


def scripts_dir(home: str) -> str:
    """The content-addressed copies of submitted scripts."""
    return os.path.join(home, "scripts")
