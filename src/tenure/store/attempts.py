"""Attempts with their tasks: the rows that executors' reports are about, read and written."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from tenure.store.outcome import AttemptRow, TaskRow
from tenure.store.schema import allocation, attempt, job
from tenure.store.sql import InList, Link, Statement, param

_TASK_COLUMNS = (
    "attempt_id",
    "task",
    "node_id",
    "cpu_milli",
    "memory_bytes",
    "storage_bytes",
    "bandwidth_bps",
    "devices",
    "state",
    "fence",
    "released_at_ms",
    "pid",
    "exit_code",
    "signal",
    "reason",
    "why",
    "started_ms",
    "ended_ms",
    "cpu_ms",
    "peak_memory_bytes",
    "room",
    "behind",
)
TASKS = InList(
    lambda keys: (
        select(
            attempt.c.id,
            attempt.c.job_id,
            attempt.c.number,
            attempt.c.started_ms,
            attempt.c.ended_ms,
            attempt.c.stop_reason,
            attempt.c.stop_why,
            attempt.c.limit_ms,
            job.c.array_id,
            attempt.c.shrunk,
            attempt.c.resize_due,
            *(allocation.c[name] for name in _TASK_COLUMNS),
        )
        .join(job, job.c.id == attempt.c.job_id)
        .join(allocation, allocation.c.attempt_id == attempt.c.id)
        .where(attempt.c.id.in_(keys))
        .order_by(attempt.c.id, allocation.c.task)
    )
)
WRITE_TASK = Statement(
    allocation.update()
    .ordered_values(
        (allocation.c.state, param("state")),
        (allocation.c.released_at_ms, param("released")),
        (allocation.c.pid, param("pid")),
        (allocation.c.exit_code, param("exit_code")),
        (allocation.c.signal, param("signal")),
        (allocation.c.reason, param("reason")),
        (allocation.c.why, param("why")),
        (allocation.c.started_ms, param("started")),
        (allocation.c.ended_ms, param("ended")),
        (allocation.c.cpu_ms, param("cpu")),
        (allocation.c.peak_memory_bytes, param("peak")),
    )
    .where(allocation.c.attempt_id == param("attempt"), allocation.c.task == param("task")),
    "state",
    "released",
    "pid",
    "exit_code",
    "signal",
    "reason",
    "why",
    "started",
    "ended",
    "cpu",
    "peak",
    "attempt",
    "task",
)
WRITE_ATTEMPT = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.started_ms, param("started")),
        (attempt.c.ended_ms, param("ended")),
        (attempt.c.outcome, param("outcome")),
    )
    .where(attempt.c.id == param("id")),
    "started",
    "ended",
    "outcome",
    "id",
)


def read_attempts(link: Link, ids: Sequence[int]) -> dict[int, AttemptRow]:
    """These attempts with all their tasks, by id."""
    found: dict[int, AttemptRow] = {}
    for row in link.rows_in(TASKS, ids):
        entry = found.get(row[0])
        if entry is None:
            entry = found[row[0]] = AttemptRow(*row[:11])
        entry.tasks.append(TaskRow(row[11], row[12], row[13], row[14:18], *row[18:]))
    return found
