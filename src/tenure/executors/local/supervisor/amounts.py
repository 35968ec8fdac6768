"""Keeping a task that runs to other amounts of cpu and memory than before.

What is more stands in the journal before the kernel is told, and what is less after: a supervisor that takes over sets what it reads
there, and must neither end a task that has grown since nor give back what the daemon has given away. The daemon is told last, and of
what could not be written down it is told nothing. A memory limit below what a task uses would end it (version 2) or be refused (version
1), so it is not even tried without some headroom above what the kernel could not take back. Invariant: what is answered is what holds,
whatever was asked for and whoever takes over.
"""

from __future__ import annotations

from .groups import SMALLEST_MEMORY_BYTES, Group
from .journal import Journal
from .task import Task

_HEADROOM = 8
"""A limit leaves at least an eighth of what is used above it."""
_MIB = 1024 * 1024
_NOT_WRITTEN = "there is no room on the disk to write it down"

Kept = tuple[int | None, int | None, str]
"""The cpu and memory that a task is kept to, None where nothing keeps it, and what hindered the rest."""


def change(task: Task, cpu_milli: int, memory_bytes: int, journal: Journal) -> Kept:
    """Keep it to these amounts (0: as it is), as far as that is possible now."""
    group = task.group
    if group is None or task.lease:
        return None, None, "it is not in a control group, so nothing keeps it to other amounts"
    if task.ending or task.draining:
        return task.cpu_milli, task.memory_bytes, "it is ending"
    before = (task.cpu_milli, task.memory_bytes)
    most = (max(before[0], cpu_milli), max(before[1], memory_bytes))
    if not _is_written(task, before, most, journal):
        _is_written(task, most, before, journal)  # both, once there is room
        return None, None, _NOT_WRITTEN
    why = ""
    if memory_bytes and memory_bytes != task.memory_bytes:
        why = _memory(task, group, memory_bytes)
    if cpu_milli and cpu_milli != task.cpu_milli:
        why = _cpu(task, group, cpu_milli) or why
    now = (task.cpu_milli, task.memory_bytes)
    return (*now, why) if _is_written(task, most, now, journal) else (None, None, _NOT_WRITTEN)


def _is_written(task: Task, said: tuple[int, int], amounts: tuple[int, int], journal: Journal) -> bool:
    """Whether the journal, which has ``said`` something else perhaps, says by now that the task is kept to these amounts; on a full
    disk it will only later."""
    if amounts != said:
        cpu_milli, memory_bytes = amounts
        journal.note(task, "resized", cpu_milli=cpu_milli, memory_bytes=memory_bytes)
    journal.flush()
    return not journal.blocked


def _memory(task: Task, group: Group, memory_bytes: int) -> str:
    """Set the limit; why it stays as it was, empty where it does not."""
    needed = group.needed_bytes()
    if memory_bytes < task.memory_bytes:
        if needed is None:
            return "nobody can tell how much memory it uses"
        least = max(needed + needed // _HEADROOM, SMALLEST_MEMORY_BYTES)
        if memory_bytes < least:
            return f"it uses {needed / _MIB:.0f}M of memory, so it keeps at least {least / _MIB:.0f}M"
    try:
        group.limit_memory(memory_bytes)
    except OSError as error:
        return f"the kernel does not take that limit of memory now: {error.strerror}"
    task.memory_bytes = memory_bytes
    return ""


def _cpu(task: Task, group: Group, cpu_milli: int) -> str:
    try:
        group.limit_cpu(cpu_milli)
    except OSError as error:
        return f"the kernel does not take that limit of cpu now: {error.strerror}"
    task.cpu_milli = cpu_milli
    return ""
