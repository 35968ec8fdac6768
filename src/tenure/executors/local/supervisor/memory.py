"""Memory limits without control groups: look at the trees that have one, five times a second, and say who is over.

Resident memory counts pages shared by forked workers once per worker, which would end innocent trees; so a tree over
its limit is measured again with shared pages split among their users before it is called over.
Invariant: nothing is read while no task with a memory limit runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import proc
from .task import Task
from .tree import Tree

EVERY_MS = 200


def limited(tasks: Iterable[Task]) -> list[Task]:
    """The tasks whose memory somebody must look at."""
    return [task for task in tasks if task.memory_bytes and not task.kill_sent]


def over(tree: Tree, tasks: list[Task]) -> list[Task]:
    """Which of them use more than their limit; notes the highest use of each."""
    result = []
    for task in tasks:
        pids = tree.members(task)
        used = sum(map(proc.rss_bytes, pids))
        if used > task.memory_bytes:
            used = sum(map(proc.pss_bytes, pids))
        task.peak_bytes = max(task.peak_bytes, used)
        if used > task.memory_bytes:
            result.append(task)
    return result


def use_of(tree: Tree, task: Task) -> dict[str, Any]:
    """What `usage` reports of a living task: cpu and bytes moved so far, memory now, and who it is, where it holds devices. What cannot
    be read is left out, and of a lease what its holder uses besides."""
    if task.lease:
        return {"pids": proc.descendants([task.pid])} if task.devices and task.pid else {}
    pids = tree.members(task)
    cpu_ms = task.group.cpu_ms() if task.group is not None else None
    if cpu_ms is None:
        stats = [found for pid in pids if (found := proc.stat(pid)) is not None]
        ticks = sum(found.cpu_ticks + found.reaped_ticks for found in stats)
        cpu_ms = ticks * 1000 // proc.TICKS_PER_SECOND + task.stray_cpu_ms
    memory = task.group.usage_bytes() if task.group is not None else None
    use: dict[str, Any] = {"cpu_ms": cpu_ms, "memory_bytes": memory if memory is not None else sum(map(proc.rss_bytes, pids))}
    moved = [amounts for pid in pids if (amounts := proc.io_bytes(pid)) is not None]
    if moved:
        use["read_bytes"], use["written_bytes"] = (sum(each) for each in zip(*moved, strict=True))
    if task.devices:
        use["pids"] = pids
    return use
