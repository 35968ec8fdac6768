"""Control groups, version 2: one hierarchy, in the subtree that was delegated to us.

A group with members cannot hand controllers down, so the supervisor first moves itself into a leaf beside the tasks'.
Invariant: nothing above the supervisor's own group is touched, and no other process is moved.
"""

from __future__ import annotations

import os

from .groups import HOT_GROUPS, Files, Group, Unavailable

_PERIOD_US = 100_000
_SMALLEST_QUOTA_US = 1_000
_NO_LIMIT = b"max"


class V2:
    """The delegated subtree. See `groups.Kind`."""

    mode = "v2"

    def __init__(self, base: str, controllers: frozenset[str]) -> None:
        self.base = base
        self.memory = "memory" in controllers
        self.cpu = "cpu" in controllers
        self._home = os.open(f"{base}/supervisor/cgroup.procs", os.O_WRONLY)

    def make(self, name: str) -> Group:
        os.makedirs(f"{self.base}/{name}", exist_ok=True)
        return self.attach(f"{self.base}/{name}")

    def attach(self, path: str) -> Group:
        return GroupV2(self, path)

    def existing(self) -> list[str]:
        names = sorted(entry.name for entry in os.scandir(self.base) if entry.is_dir() and entry.name.isdigit())
        return [f"{self.base}/{name}" for name in names]

    def leave(self) -> None:
        os.write(self._home, b"0")

    def close(self) -> None:
        """The supervisor stands in the subtree itself, so it stays."""


class GroupV2:
    """One task's group. See `groups.Group`."""

    __slots__ = ("_files", "_kind", "_limited", "_peak_before", "_used_us", "path")

    def __init__(self, kind: V2, path: str) -> None:
        name = path.rsplit("/", 1)[1]
        self.path = path
        self._kind = kind
        self._files = Files(path, hot=name.isdigit() and int(name) <= HOT_GROUPS)
        self._limited = True  # unknown, until recycled
        self._peak_before = 0
        self._used_us = 0

    def enter(self) -> None:
        self._files.put("cgroup.procs", b"0")

    def confine(self, pid: int, cpu_milli: int, memory_bytes: int) -> None:
        self._limited = True
        if self._kind.memory and memory_bytes:
            self.limit_memory(memory_bytes)
            self._optional("memory.swap.max", b"0")
        if self._kind.cpu and cpu_milli:
            self.limit_cpu(cpu_milli)

    def limit_cpu(self, cpu_milli: int) -> None:
        quota = max(cpu_milli * _PERIOD_US // 1000, _SMALLEST_QUOTA_US)
        self._files.put("cpu.max", b"%d %d" % (quota, _PERIOD_US))

    def limit_memory(self, memory_bytes: int) -> None:
        self._files.put("memory.max", b"%d" % memory_bytes)

    def pids(self) -> list[int]:
        try:
            return [int(pid) for pid in self._files.read("cgroup.procs").split()]
        except OSError:
            return []

    def peak_bytes(self) -> int | None:
        peak = self._files.number("memory.peak")
        return peak if peak is not None and peak > self._peak_before else None

    def usage_bytes(self) -> int | None:
        return self._files.number("memory.current")

    def needed_bytes(self) -> int | None:
        used = self.usage_bytes()
        return None if used is None else max(used - self._files.files_bytes(), 0)

    def cpu_ms(self) -> int | None:
        used = self._files.field("cpu.stat", b"usage_usec")
        return (used - self._used_us) // 1000 if used else None

    def oom_kills(self) -> int:
        return self._files.field("memory.events", b"oom_kill")

    def recycle(self) -> None:
        if self._limited:
            if self._kind.memory:
                self._files.put("memory.max", _NO_LIMIT)
                self._optional("memory.swap.max", _NO_LIMIT)
            if self._kind.cpu:
                self._files.put("cpu.max", b"max %d" % _PERIOD_US)
            self._limited = False
        # Kernels before 6.12 cannot reset the peak, and newer ones only per open file: remember what was reached.
        self._peak_before = self._files.number("memory.peak") or 0
        self._used_us = self._files.field("cpu.stat", b"usage_usec")

    def remove(self) -> bool:
        return self._files.remove()

    def _optional(self, name: str, value: bytes) -> None:
        try:
            self._files.put(name, value)
        except OSError:
            return  # no swap controller here


def detect(own: str, tag: str) -> V2:
    """Version 2 in the supervisor's current group `own`, found out by moving into a leaf and handing controllers down.

    :raises Unavailable: this subtree is not ours to divide.
    """
    base = f"{own}/tenure-{tag}"
    leaf = f"{base}/supervisor"
    root = Files(own, hot=False)
    try:
        offered = set(root.read("cgroup.controllers").split()) & {b"memory", b"cpu"}
        if not offered:
            raise Unavailable(f"neither memory nor cpu is handed down to {own}")
        os.makedirs(leaf, exist_ok=True)
        Files(leaf, hot=False).put("cgroup.procs", b"0")
    except OSError as error:
        raise Unavailable(f"{error.strerror} at {own}; run the daemon in a delegated group (systemd: Delegate=yes)") from None
    handed = frozenset(name.decode() for name in sorted(offered) if _handed_down(root, Files(base, hot=False), name))
    if not handed:
        root.put("cgroup.procs", b"0")
        raise Unavailable(f"{own} holds other processes, so it cannot be divided; give the daemon a delegated group of its own")
    return V2(base, handed)


def _handed_down(root: Files, base: Files, controller: bytes) -> bool:
    try:
        for files in (root, base):
            files.put("cgroup.subtree_control", b"+" + controller)
    except OSError:
        return False
    return True
