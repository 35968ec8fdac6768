"""Changing the time limit of a task that runs.

A limit counts from the task's start, less the time it was suspended, so the same wish twice has the effect of one. Invariant: what is
journaled is what holds: a supervisor that takes over goes on with the new limit, whoever asked for it is gone.
"""

from __future__ import annotations

from . import clock
from .endings import Endings
from .journal import Journal
from .task import Task
from .timers import LIMIT, Timers


def change(task: Task, limit_ms: int, journal: Journal, timers: Timers, endings: Endings) -> None:
    """Let the limit be this one (0: none). A task that has used that much already ends as timed out, with its grace."""
    if limit_ms == task.time_limit_ms or task.ending or task.draining:
        return
    now = clock.boot_ms()
    left_ms = limit_ms - task.used_ms(now)
    task.time_limit_ms = limit_ms
    task.deadline_boot_ms = now + left_ms if limit_ms and not task.frozen else 0
    task.remaining_ms = max(left_ms, 1) if limit_ms and task.frozen else 0
    journal.note(task, "limited", time_limit_ms=limit_ms, deadline_boot_ms=task.deadline_boot_ms, remaining_ms=task.remaining_ms)
    if limit_ms and left_ms <= 0:
        endings.end(task, "timeout", "", task.limit_grace_ms)
    elif task.deadline_boot_ms:
        timers.add(task.deadline_boot_ms, LIMIT, task)
