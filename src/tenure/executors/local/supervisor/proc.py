"""Reading /proc: identity, parents, environment tag and memory of processes.

Invariant: a process that vanishes while it is looked at reads as absent, never as an error; zombies are not alive.
"""

from __future__ import annotations

import os

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TAG = b"TENURE_TASK_TAG="
_HAS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class Stat:
    """The fields of /proc/PID/stat that matter here."""

    __slots__ = ("cpu_ticks", "parent", "reaped_ticks", "session", "start_ticks", "state")

    def __init__(self, state: bytes, parent: int, session: int, cpu_ticks: int, start_ticks: int, reaped_ticks: int = 0) -> None:
        self.state = state
        self.parent = parent
        self.session = session
        self.cpu_ticks = cpu_ticks
        self.start_ticks = start_ticks
        self.reaped_ticks = reaped_ticks  # of children it has waited for

    @property
    def alive(self) -> bool:
        return self.state not in b"ZX"


def read(path: str, limit: int = 1 << 20) -> bytes:
    """The file's bytes, or none if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts = []
        while limit > 0 and (part := os.read(fd, min(limit, 1 << 16))):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


def stat(pid: int) -> Stat | None:
    """What /proc says of a process, zombies included."""
    data = read(f"/proc/{pid}/stat")
    fields = data[data.rfind(b")") + 2 :].split()  # the name before it may hold anything
    if len(fields) < 20:
        return None
    used, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Stat(fields[0], int(fields[1]), int(fields[3]), used, int(fields[19]), reaped)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    found = stat(pid)
    return found is not None and found.alive


def every_pid() -> list[int]:
    """All processes, ascending."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def children(pid: int) -> list[int]:
    """Direct children, of all threads."""
    if not _HAS_CHILDREN:
        return [one for one in every_pid() if (found := stat(one)) is not None and found.parent == pid]
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in read(f"/proc/{pid}/task/{thread}/children").split()]


def descendants(roots: list[int]) -> list[int]:
    """The roots and everything below them, parents before children; zombies left out, their children not."""
    found: dict[int, None] = {}
    queue = list(roots)
    while queue:
        pid = queue.pop()
        if pid not in found:
            found[pid] = None
            queue.extend(children(pid))
    return [pid for pid in found if alive(pid)]


def tag(pid: int) -> bytes | None:
    """The value of our tag in the environment the process was started with; None where it has none (any more)."""
    data = read(f"/proc/{pid}/environ")
    start = 0 if data.startswith(TAG) else data.find(b"\0" + TAG) + 1
    if not start and not data.startswith(TAG):
        return None
    end = data.find(b"\0", start)
    return data[start + len(TAG) : end if end >= 0 else len(data)]


def io_bytes(pid: int) -> tuple[int, int] | None:
    """Bytes read from and written to storage so far, children that were waited for included; None where that is not ours to read."""
    fields = read(f"/proc/{pid}/io").split()
    try:
        return int(fields[fields.index(b"read_bytes:") + 1]), int(fields[fields.index(b"write_bytes:") + 1])
    except (ValueError, IndexError):
        return None


def rss_bytes(pid: int) -> int:
    """Resident memory, shared pages counted in full."""
    fields = read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if len(fields) > 1 else 0


def pss_bytes(pid: int) -> int:
    """Resident memory with shared pages split among their users; dear. Where it cannot be read: `rss_bytes`."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return rss_bytes(pid)


class OwnChildren:
    """The supervisor's own children, cheap enough to count at every exit."""

    def __init__(self) -> None:
        self._path = f"/proc/self/task/{os.getpid()}/children"
        self._fd = os.open(self._path, os.O_RDONLY) if _HAS_CHILDREN else -1

    def read(self) -> bytes:
        """Their pids, each followed by a space, zombies not yet waited for included."""
        if self._fd < 0:
            return b"".join(b"%d " % pid for pid in children(os.getpid()))
        data = os.pread(self._fd, 1 << 16, 0)
        if len(data) < 4000:  # the kernel fills at most a page per read
            return data
        while part := os.pread(self._fd, 1 << 16, len(data)):
            data += part
        return data
