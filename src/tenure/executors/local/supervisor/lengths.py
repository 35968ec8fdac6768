"""How long a log was when: a small file per log of a task that runs, so that people can ask for the last ten minutes of it.

Lines carry no time, and reading them would cost every task; the length of the file, looked at every few seconds anyway, costs nothing.
A record says that all bytes before it had been written by then. Invariants: a record is appended only when the log has changed since
the last look; a file is bounded: when it is full every second of its records goes, so the older past is known more coarsely.
"""

from __future__ import annotations

import os
from struct import Struct

RECORD = Struct("<qq")
MOST_BYTES = 1 << 20
_A_FOLDER = 1000


def directory_of(home: str) -> str:
    """Where these files of a home are."""
    return os.path.join(home, "node", "lengths")


def path_of(directory: str, attempt: int, task: int, stream: int) -> str:
    """The file about one log; `stream` 0 is the output, 1 the errors where they are kept apart."""
    return os.path.join(directory, str(attempt // _A_FOLDER), f"{attempt}.{task}.{stream}")


def note(path: str, at_ms: int, length: int) -> None:
    """Append a record.

    :raises OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    try:
        os.write(fd, RECORD.pack(at_ms, length))
        is_full = os.fstat(fd).st_size >= MOST_BYTES
    finally:
        os.close(fd)
    if is_full:
        _thin_out(path)


def length_at(path: str, moment_ms: int) -> int:
    """How many bytes had been written by that moment, at least; 0 where nothing is known of it."""
    for at_ms, length in reversed(_records(path)):
        if at_ms <= moment_ms:
            return length
    return 0


def _records(path: str) -> list[tuple[int, int]]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return []
    whole = len(data) // RECORD.size * RECORD.size  # the last one may be torn
    return list(RECORD.iter_unpack(data[:whole]))


def _thin_out(path: str) -> None:
    kept = _records(path)[::-1][::2][::-1]  # the newest stays
    with open(path + ".new", "wb") as file:
        file.write(b"".join(RECORD.pack(*record) for record in kept))
    os.rename(path + ".new", path)
