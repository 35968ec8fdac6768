"""How much of this machine there is for us: cpus we may run on and memory, both bounded by the control group we stand in; scratch
space and bandwidth, which nothing bounds.

A container or a job of another scheduler that was given two of 64 cpus must offer two. Invariant: reading never raises; what cannot
be read does not bound.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from tenure.executors.local.supervisor.detect import own_directories
from tenure.model.amounts import KIB, MILLI, Amounts

GROUPS = "/sys/fs/cgroup"
"""Where control groups are mounted."""

_UNBOUNDED_BYTES = 1 << 60
"""Version 1 of control groups writes "no limit" as a number near the largest."""


def host_name() -> str:
    """The machine's name, without its domain."""
    return socket.gethostname().split(".", 1)[0] or "localhost"


def capacity() -> Amounts:
    """What this process could use if it were alone."""
    v1, v2 = own_directories()
    cpu = [len(os.sched_getaffinity(0)) * MILLI, *_cpu_bounds(v1.get("cpu", ""), v2 or "")]
    memory = [memory_total_bytes(), *_memory_bounds(v1.get("memory", ""), v2 or "")]
    return Amounts(min(cpu), min(memory), storage_total_bytes(os.environ.get("TMPDIR") or "/tmp"), bandwidth_bps())


def memory_total_bytes(path: str = "/proc/meminfo") -> int:
    """Installed memory; 0 where it cannot be read."""
    for line in _text(path).splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * KIB
    return 0


def storage_total_bytes(path: str) -> int:
    """The size of the file system that a path is on, full or not: what jobs have written there is theirs already. 0 where it cannot be
    told."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize


def bandwidth_bps(path: str = "/sys/class/net") -> int:
    """What the network cards that have a link can carry together; those of virtual machines often do not say."""
    found = 0
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(path)):
            speed = _text(os.path.join(path, name, "speed")).strip()
            if speed.isdigit() and os.path.exists(os.path.join(path, name, "device")):
                found += int(speed) * 10**6
    return found


def _cpu_bounds(v1: str, v2: str) -> Iterator[int]:
    for directory in _upwards(v2):
        words = _text(os.path.join(directory, "cpu.max")).split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
            yield max(int(words[0]) * MILLI // int(words[1]), 1)
    for directory in _upwards(v1):
        quota, period = (_text(os.path.join(directory, f"cpu.cfs_{name}_us")).strip() for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(period):
            yield max(int(quota) * MILLI // int(period), 1)


def _memory_bounds(v1: str, v2: str) -> Iterator[int]:
    files = [os.path.join(directory, "memory.max") for directory in _upwards(v2)]
    files += [os.path.join(directory, "memory.limit_in_bytes") for directory in _upwards(v1)]
    for file in files:
        text = _text(file).strip()
        if text.isdigit() and 0 < int(text) < _UNBOUNDED_BYTES:
            yield int(text)


def _upwards(directory: str) -> Iterator[str]:
    """The group's directory and those it is in, as far as the hierarchy shows."""
    while directory.startswith(GROUPS + "/"):
        yield directory
        directory = os.path.dirname(directory)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
