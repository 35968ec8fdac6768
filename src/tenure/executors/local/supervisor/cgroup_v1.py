"""Control groups, version 1: the memory and cpu hierarchies (cpuacct too, where it comes with cpu).

The supervisor, which has one thread, steps into both groups and out again through `tasks` and never through `cgroup.procs`: to
move a whole process the kernel locks all forks and exits out, and on a machine at rest waits 10 to 30 ms for that lock.

Invariants: groups live under the supervisor's own current group of each hierarchy, in a folder named after its home; between
two tasks a group has neither a limit nor a quota.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from .groups import HOT_GROUPS, Files, Group, Unavailable

_NO_LIMIT = b"-1"
_PERIOD_US = 100_000
_SMALLEST_QUOTA_US = 1_000


class V1:
    """Both hierarchies, as far as they can be written. See `groups.Kind`."""

    mode = "v1"

    def __init__(self, memory_base: str | None, cpu_base: str | None) -> None:
        self.memory_base = memory_base
        self.cpu_base = cpu_base
        self.memory = memory_base is not None
        self.cpu = cpu_base is not None
        self.swap = memory_base is not None and _swap_is_limited(memory_base)
        self.accounts = cpu_base is not None and os.path.exists(f"{cpu_base}/cpuacct.usage")
        self.main = memory_base or cpu_base or ""
        bases = [base for base in (memory_base, cpu_base) if base is not None]
        self._homes = [os.open(os.path.dirname(base) + "/tasks", os.O_WRONLY) for base in bases]

    def make(self, name: str) -> Group:
        for base in (self.memory_base, self.cpu_base):
            if base is not None:
                os.makedirs(f"{base}/{name}", exist_ok=True)
        return self.attach(f"{self.main}/{name}")

    def attach(self, path: str) -> Group:
        return GroupV1(self, path, path.rsplit("/", 1)[1])

    def existing(self) -> list[str]:
        names = {name for base in (self.memory_base, self.cpu_base) if base for name in _folders(base)}
        return [f"{self.main}/{name}" for name in sorted(names)]

    def leave(self) -> None:
        for home in self._homes:
            os.write(home, b"0")

    def close(self) -> None:
        for base in (self.memory_base, self.cpu_base):
            if base is not None:
                with suppress(OSError):
                    os.rmdir(base)


class GroupV1:
    """One task's groups of the same name in both hierarchies. See `groups.Group`."""

    __slots__ = ("_cpu", "_kind", "_limited", "_main", "_throttled", "_used_ns", "path")

    def __init__(self, kind: V1, path: str, name: str) -> None:
        hot = name.isdigit() and int(name) <= HOT_GROUPS
        self.path = path
        self._kind = kind
        self._main = Files(path, hot)
        self._cpu = Files(f"{kind.cpu_base}/{name}", hot) if kind.cpu_base else None
        self._limited = True  # unknown, until recycled
        self._throttled = True  # as `_limited`
        self._used_ns = 0

    def enter(self) -> None:
        self._main.put("tasks", b"0")
        if self._cpu is not None and self._kind.memory:
            self._cpu.put("tasks", b"0")

    def confine(self, pid: int, cpu_milli: int, memory_bytes: int) -> None:
        if self._kind.memory and memory_bytes:
            self._limited = True
            limit = b"%d" % memory_bytes
            self._main.put("memory.limit_in_bytes", limit)
            if self._kind.swap:
                self._main.put("memory.memsw.limit_in_bytes", limit)
        if self._cpu is not None and cpu_milli:
            self.limit_cpu(cpu_milli)

    def limit_cpu(self, cpu_milli: int) -> None:
        if self._cpu is None:
            raise _unable()
        quota_us = max(cpu_milli * _PERIOD_US // 1000, _SMALLEST_QUOTA_US)
        self._cpu.put("cpu.cfs_quota_us", b"%d" % quota_us)
        self._throttled = True

    def limit_memory(self, memory_bytes: int) -> None:
        if not self._kind.memory:
            raise _unable()
        self._limited = True
        present = self._main.number("memory.limit_in_bytes") or 0
        names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] if self._kind.swap else ["memory.limit_in_bytes"]
        if memory_bytes > present:
            names.reverse()  # memory alone is never limited higher than together with swap
        self._main.put(names[0], b"%d" % memory_bytes)
        try:
            for name in names[1:]:
                self._main.put(name, b"%d" % memory_bytes)
        except OSError:
            self._main.put(names[0], b"%d" % present)
            raise

    def pids(self) -> list[int]:
        try:
            return [int(pid) for pid in self._main.read("cgroup.procs").split()]
        except OSError:
            return []

    def peak_bytes(self) -> int | None:
        return self._main.number("memory.max_usage_in_bytes") if self._kind.memory else None

    def usage_bytes(self) -> int | None:
        return self._main.number("memory.usage_in_bytes") if self._kind.memory else None

    def needed_bytes(self) -> int | None:
        used = self.usage_bytes()
        return None if used is None else max(used - self._main.files_bytes(b"total_"), 0)

    def cpu_ms(self) -> int | None:
        if not self._kind.accounts or self._cpu is None:
            return None
        used = self._cpu.number("cpuacct.usage")
        return None if used is None else (used - self._used_ns) // 1_000_000

    def oom_kills(self) -> int:
        return self._main.field("memory.oom_control", b"oom_kill") if self._kind.memory else 0

    def recycle(self) -> None:
        if self._kind.memory:
            if self._limited:
                if self._kind.swap:
                    self._main.put("memory.memsw.limit_in_bytes", _NO_LIMIT)
                self._main.put("memory.limit_in_bytes", _NO_LIMIT)
                self._limited = False
            self._main.put("memory.max_usage_in_bytes", b"0")
        if self._cpu is not None and self._throttled:
            self._cpu.put("cpu.cfs_quota_us", _NO_LIMIT)
            self._throttled = False
        if self._kind.accounts and self._cpu is not None:
            self._used_ns = self._cpu.number("cpuacct.usage") or 0

    def remove(self) -> bool:
        gone = self._main.remove()
        return (self._cpu is None or self._cpu.remove()) and gone


def detect(own: dict[str, str], tag: str) -> V1:
    """Version 1 under the supervisor's current groups, found out by making one and stepping in and out.

    `own` maps a controller to the supervisor's own directory of it.
    :raises Unavailable: neither hierarchy can be used.
    """
    bases: dict[str, str | None] = {"memory": None, "cpu": None}
    why = []
    for name in bases:
        try:
            bases[name] = _tried(own[name], tag)
        except KeyError:
            why.append(f"no version 1 {name} hierarchy is mounted")
        except OSError as error:
            why.append(f"{name}: {error.strerror} at {own[name]}")
    if bases["memory"] is None and bases["cpu"] is None:
        raise Unavailable("; ".join(why))
    return V1(bases["memory"], bases["cpu"])


def freezer(own: dict[str, str], tag: str) -> str | None:
    """Our folder in the freezer hierarchy, if there is one that we may use."""
    try:
        return _tried(own["freezer"], tag)
    except (KeyError, OSError):
        return None


def _unable() -> OSError:
    return OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def _tried(directory: str, tag: str) -> str:
    base = f"{directory}/tenure-{tag}"
    probe = f"{base}/probe"
    os.makedirs(probe, exist_ok=True)
    try:
        Files(probe, hot=False).put("tasks", b"0")
        Files(directory, hot=False).put("tasks", b"0")
    finally:
        os.rmdir(probe)
    return base


def _swap_is_limited(base: str) -> bool:
    """Only where the machine swaps: the second limit would cost every task two more writes for nothing."""
    with open("/proc/swaps", encoding="utf-8") as file:
        swaps = len(file.readlines()) > 1
    return swaps and os.path.exists(f"{base}/memory.memsw.limit_in_bytes")


def _folders(base: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(base) if entry.is_dir()]
    except OSError:
        return []
