"""Control groups as the supervisor uses them: a pool of groups, each holding one task at a time.

Joining works by the supervisor itself: it steps into the group, spawns, and steps back, so the task and everything it
ever forks is inside from its first instruction, without a launcher. Groups are re-used, because making and removing one
costs more than a task.

Invariant: while the supervisor stands in a group that group has no limit, so it can neither be killed for the task's
memory nor be throttled for the task's cpu; `confine` sets the limits after it has left.
"""

from __future__ import annotations

import os
from collections import deque
from heapq import heappop, heappush
from typing import Protocol

HOT_GROUPS = 32  #: they keep up to eight files open each; 1024 is a common limit
SMALLEST_MEMORY_BYTES = 8 << 20
_LARGEST_KEPT_BYTES = 16 << 20


class Unavailable(Exception):
    """Groups cannot be used here; the text says why."""


class Kind(Protocol):
    """One version of the kernel's interface: what the pool needs to know of it."""

    mode: str
    memory: bool
    cpu: bool

    def make(self, name: str) -> Group:
        """A new empty group without limits."""

    def existing(self) -> list[str]:
        """Paths of the groups found under our name."""

    def attach(self, path: str) -> Group:
        """The group at a path that `existing` or an earlier supervisor's journal gave."""

    def leave(self) -> None:
        """Step back to where the supervisor lives."""

    def close(self) -> None:
        """Remove what was made for all groups, as far as it is empty."""


class Group(Protocol):
    """One task's group."""

    path: str

    def enter(self) -> None:
        """Step in. Only `Kind.leave` may follow a spawn."""

    def confine(self, pid: int, cpu_milli: int, memory_bytes: int) -> None:
        """Set the limits for the task whose first process is `pid`; 0 is none."""

    def limit_cpu(self, cpu_milli: int) -> None:
        """Another limit for the task that is inside. Raises OSError."""

    def limit_memory(self, memory_bytes: int) -> None:
        """Another limit for the task that is inside, higher or lower. Raises OSError, and then the present one stands."""

    def pids(self) -> list[int]:
        """Every process inside, zombies left out."""

    def peak_bytes(self) -> int | None:
        """Highest memory use since `recycle`, page cache included."""

    def usage_bytes(self) -> int | None:
        """Memory in use now."""

    def needed_bytes(self) -> int | None:
        """Memory in use now that the kernel cannot take back by dropping what it has of files; None where nobody counts."""

    def cpu_ms(self) -> int | None:
        """Cpu time used since `recycle`, where the kernel counts it for this group."""

    def oom_kills(self) -> int:
        """Processes the kernel has ever killed here for memory."""

    def recycle(self) -> None:
        """Lift the limits and reset the peak, for the next task."""

    def remove(self) -> bool:
        """Remove the empty group; False if it still holds a process."""


class Files:
    """The files of one group directory; those of the first `HOT_GROUPS` groups are opened once and kept."""

    __slots__ = ("_fds", "directory")

    def __init__(self, directory: str, hot: bool) -> None:
        self.directory = directory
        self._fds: dict[tuple[str, int], int] | None = {} if hot else None

    def put(self, name: str, value: bytes) -> None:
        """Write a control file."""
        if self._fds is not None:
            os.write(self._kept(name, os.O_WRONLY), value)
            return
        fd = os.open(f"{self.directory}/{name}", os.O_WRONLY)
        try:
            os.write(fd, value)
        finally:
            os.close(fd)

    def peek(self, name: str) -> bytes:
        """A short control file; not for lists of processes, which the kernel caches per open file."""
        if self._fds is not None:
            return os.pread(self._kept(name, os.O_RDONLY), 4096, 0)
        return self.read(name)

    def read(self, name: str) -> bytes:
        """A whole control file, opened anew."""
        fd = os.open(f"{self.directory}/{name}", os.O_RDONLY)
        try:
            parts = []
            while part := os.read(fd, 1 << 16):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def number(self, name: str) -> int | None:
        """A control file that holds one number; None where it has none."""
        try:
            return int(self.peek(name))
        except (OSError, ValueError):
            return None

    def field(self, name: str, key: bytes) -> int:
        """The number after `key` in a file of `key number` lines; 0 where absent."""
        try:
            words = self.peek(name).split()
            return int(words[words.index(key) + 1])
        except (OSError, ValueError, IndexError):
            return 0

    def files_bytes(self, prefix: bytes = b"") -> int:
        """Of the memory in use what holds pages of files, by `memory.stat`."""
        return sum(self.field("memory.stat", prefix + name) for name in (b"inactive_file", b"active_file"))

    def close(self) -> None:
        """Let go of the opened files."""
        for fd in (self._fds or {}).values():
            os.close(fd)
        self._fds = None

    def remove(self) -> bool:
        """Remove the directory; False if it is in use."""
        self.close()
        try:
            os.rmdir(self.directory)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _kept(self, name: str, flags: int) -> int:
        assert self._fds is not None
        fd = self._fds.get((name, flags))
        if fd is None:
            fd = self._fds[name, flags] = os.open(f"{self.directory}/{name}", flags)
        return fd


class Pool:
    """Groups between tasks, the longest unused first (so that an earlier task's cpu debt has run off).

    Invariant: a pooled group is empty and without limits.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._free: deque[Group] = deque()
        self._made = 0
        self._names: list[int] = []  #: of removed groups; low names keep their files open

    def acquire(self) -> Group:
        """An empty group without limits.

        :raises OSError: the kernel refuses another group.
        """
        if self._free:
            return self._free.popleft()
        if self._names:
            name = heappop(self._names)
        else:
            self._made += 1
            name = self._made
        group = self.kind.make(str(name))
        group.recycle()
        return group

    def release(self, group: Group) -> None:
        """Take back a group whose task has gone.

        One that still holds much page cache is removed instead, as the next task's peak would start from there.
        """
        try:
            group.recycle()
            keep = len(self._free) < HOT_GROUPS and (group.usage_bytes() or 0) < _LARGEST_KEPT_BYTES
        except OSError:
            keep = False
        if keep:
            self._free.append(group)
        elif group.remove():
            heappush(self._names, int(group.path.rsplit("/", 1)[1]))

    def clear_stale(self, in_use: set[str]) -> int:
        """Remove empty groups an earlier supervisor left behind; how many still hold processes."""
        left = 0
        for path in self.kind.existing():
            self._made = max(self._made, int(name)) if (name := path.rsplit("/", 1)[1]).isdigit() else self._made
            if path not in in_use and not self.kind.attach(path).remove():
                left += 1
        return left

    def close(self) -> None:
        """Remove the groups that nobody uses."""
        while self._free:
            self._free.popleft().remove()
        self.kind.close()
