"""What jobs told of their checkpoints: of each attempt when the last one was written.

Invariants: the time of an attempt only grows and is never before its start, so what an earlier run left behind counts for that run
alone; telling the same again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from tenure.store.schema import attempt, job
from tenure.store.sql import InList, Link, Statement, param
from tenure.store.tx import Transaction, to_json

Mark = tuple[int, int]
"""(job id, when its last checkpoint was written)."""

RUNS = InList(
    lambda keys: (
        select(job.c.id, job.c.project_id, job.c.array_id, attempt.c.id, attempt.c.committed_ms, attempt.c.previous_id)
        .join(attempt, attempt.c.id == job.c.last_attempt_id)
        .where(job.c.id.in_(keys))
    )
)
OPEN = InList(lambda keys: select(job.c.id).where(job.c.id.in_(keys), job.c.ended_ms.is_(None)))
NOTE = Statement(
    attempt.update()
    .values(checkpoint_ms=param("at"))
    .where(attempt.c.id == param("id"), attempt.c.checkpoint_ms < param("later"), attempt.c.committed_ms <= param("begun")),
    "at",
    "id",
    "later",
    "begun",
)


def note(tx: Transaction, marks: Sequence[Mark]) -> None:
    """Keep what was told, each with the run in which it was: the last one, or that before, which wrote it when it was asked to end."""
    rows = {row[0]: row for row in tx.link.rows_in(RUNS, [job_id for job_id, _ in marks])}
    for job_id, at_ms in marks:
        if job_id in rows:
            _, project_id, array_id, last_id, begun_ms, previous_id = rows[job_id]
            if tx.link.write(NOTE, at_ms, last_id if begun_ms <= at_ms else previous_id, at_ms, at_ms):
                tx.emit("job.checkpoint", job_id, project_id, to_json({"at_ms": at_ms}), array_id=array_id)


def still_open(link: Link, jobs: Sequence[int]) -> set[int]:
    """Those of these jobs that have not ended."""
    return {row[0] for row in link.rows_in(OPEN, jobs)}
