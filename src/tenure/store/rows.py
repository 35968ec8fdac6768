"""Job rows as values, and the one query shape by which every part of the store reads them.

Why: the scheduler's columns are read on every path; one tuple type keeps the order of columns in one place. A `JobRow` is what the
row said inside the running transaction, never a cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from tenure.model.job import NO_CAP, PendingJob
from tenure.store.schema import WAITING, job
from tenure.store.sql import InList, Link, Statement, param


class JobRow(NamedTuple):
    """The columns of a job that decisions and lifecycles need; names as in the schema."""

    id: int
    array_id: int | None
    array_index: int
    array_position: int
    name: str
    kind: str
    state: str
    spec_id: int
    shape_id: int
    queue_id: int
    project_id: int
    user_id: int
    uid: int
    group_name: str
    priority: int
    submitted_ms: int
    eligible_ms: int
    limit_ms: int
    deadline_ms: int
    grace_ms: int
    retries: int
    retried: int
    node_faults: int
    blocked: int
    dependents: int
    attempts: int
    ran_ms: int
    attempt_id: int
    last_attempt_id: int
    started_ms: int
    ended_ms: int | None
    array_ranges: str
    array_size: int
    array_next: int
    array_left: int
    array_dropped: int
    array_cap: int
    array_live: int
    array_pace_ms: int
    expected_ms: int
    token_id: int

    @property
    def is_array(self) -> bool:
        """Whether it is the template of an array."""
        return self.array_size > 0

    @property
    def room(self) -> int:
        """How many more elements of this array may run now; plenty for a plain job."""
        return NO_CAP if self.array_cap >= NO_CAP or not self.array_size else max(0, self.array_cap - self.array_live)

    @property
    def waits(self) -> bool:
        """Whether a plan may see it: it (or the rest of it) waits, and nothing of an earlier run holds resources."""
        if self.array_size:
            return self.array_left > 0 and self.ended_ms is None
        return self.state in ("held", "pending") and self.attempt_id == 0


_COLUMNS = [job.c[name] for name in JobRow._fields]
JOBS_BY_ID = InList(lambda keys: select(*_COLUMNS).where(job.c.id.in_(keys)))
ELEMENTS_WAITING = Statement(select(*_COLUMNS).where(job.c.array_id == param("array"), WAITING), "array")


def read_jobs(link: Link, ids: Sequence[int]) -> dict[int, JobRow]:
    """These jobs by id; an unknown id is absent."""
    return {row[0]: JobRow._make(row) for row in link.rows_in(JOBS_BY_ID, ids)}


def waiting_elements(link: Link, array_id: int) -> list[JobRow]:
    """The elements of an array that are rows and wait, by id."""
    return sorted(JobRow._make(row) for row in link.rows(ELEMENTS_WAITING, array_id))


def pending_of(row: JobRow, template: JobRow | None) -> PendingJob:
    """A waiting job as a plan sees it. An element starts when its array (``template``) may start one."""
    array = row.array_size > 0
    holder = template or row
    return PendingJob(
        row.id,
        row.shape_id,
        row.queue_id,
        row.project_id,
        row.user_id,
        row.priority,
        row.submitted_ms,
        row.eligible_ms,
        row.limit_ms,
        row.deadline_ms,
        1 if row.state == "held" else 0,
        1 if holder.blocked else 0,
        1 if array else 0,
        row.array_next if array else 0,
        row.array_left if array else 1,
        holder.room,
        row.attempts,
        row.expected_ms,
        attained_ms=row.ran_ms,
        pace_ms=row.array_pace_ms,
    )
