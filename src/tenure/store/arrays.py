"""Arrays: a template row whose elements become rows only when they start or are touched.

Invariants of a template: every position before ``array_next`` is a row or was dropped; ``array_left`` counts the positions that are
neither; ``array_live`` the elements that hold resources or are starting; the five end counters the elements (dropped ones included)
that ended so. It ends when all its elements have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import select

from tenure.model.lifecycle import JobState
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import job
from tenure.store.sql import Link, Statement, insert, param
from tenure.store.tx import Transaction
from tenure.wire.ids import range_size

END_COLUMNS = ("array_succeeded", "array_failed", "array_cancelled", "array_timed_out", "array_lost")
ENDS: dict[str, int] = {
    JobState.SUCCEEDED.value: 0,
    JobState.FAILED.value: 1,
    JobState.CANCELLED.value: 2,
    JobState.TIMED_OUT.value: 3,
    JobState.LOST.value: 4,
}

TOUCHED_FROM = Statement(
    select(job.c.array_position)
    .where(job.c.array_id == param("array"), job.c.array_position >= param("first"))
    .order_by(job.c.array_position),
    "array",
    "first",
)
ELEMENT_AT = Statement(
    select(job.c.id).where(job.c.array_id == param("array"), job.c.array_position == param("position")), "array", "position"
)
ELEMENTS = Statement(select(job.c.id).where(job.c.array_id == param("array")).order_by(job.c.array_position), "array")
OPEN_ELEMENTS = Statement(
    select(job.c.id).where(job.c.array_id == param("array"), job.c.ended_ms.is_(None)).order_by(job.c.array_position), "array"
)

INSERT_ELEMENT = insert(
    job,
    "id",
    "array_id",
    "array_index",
    "array_position",
    "name",
    "kind",
    "state",
    "spec_id",
    "shape_id",
    "queue_id",
    "project_id",
    "user_id",
    "uid",
    "group_name",
    "priority",
    "submitted_ms",
    "eligible_ms",
    "limit_ms",
    "deadline_ms",
    "grace_ms",
    "retries",
    "attempts",
    "attempt_id",
    "last_attempt_id",
    "ended_ms",
    "why",
    "token_id",
)
WRITE_TEMPLATE = Statement(
    job.update()
    .ordered_values(
        (job.c.state, param("state")),
        (job.c.started_ms, param("started")),
        (job.c.ended_ms, param("ended")),
        (job.c.array_next, param("next")),
        (job.c.array_left, param("left")),
        (job.c.array_dropped, param("dropped")),
        (job.c.array_pace_ms, param("pace")),
        (job.c.array_live, job.c.array_live + param("live")),
        *((job.c[name], job.c[name] + param(name)) for name in END_COLUMNS),
    )
    .where(job.c.id == param("id")),
    "state",
    "started",
    "ended",
    "next",
    "left",
    "dropped",
    "pace",
    "live",
    *END_COLUMNS,
    "id",
)
#: Without the state: setting it, even to what it is, would rewrite its index entries.
COUNT_TEMPLATE = Statement(
    job.update()
    .ordered_values(
        (job.c.array_next, param("next")),
        (job.c.array_left, param("left")),
        (job.c.array_pace_ms, param("pace")),
        (job.c.array_live, job.c.array_live + param("live")),
        *((job.c[name], job.c[name] + param(name)) for name in END_COLUMNS),
    )
    .where(job.c.id == param("id")),
    "next",
    "left",
    "pace",
    "live",
    *END_COLUMNS,
    "id",
)
END_COUNTS = Statement(select(*(job.c[name] for name in END_COLUMNS)).where(job.c.id == param("id")), "id")


def ranges_of(text: str) -> tuple[tuple[int, int, int], ...]:
    """The index ranges of a template row."""
    return _ranges(text)


@lru_cache(maxsize=64)
def _ranges(text: str) -> tuple[tuple[int, int, int], ...]:
    return tuple((a, b, c) for a, b, c in msgspec.json.decode(text)) if text else ()


def index_at(text: str, position: int) -> int:
    """The index at a position of an array's index list. Raises IndexError beyond its end."""
    rest = position
    for item in _ranges(text):
        size = range_size(item)
        if rest < size:
            return item[0] + rest * item[2]
        rest -= size
    raise IndexError(position)


def position_of(text: str, index: int) -> int:
    """The position of an index in an array's index list, -1 when it is not in it."""
    before = 0
    for item in _ranges(text):
        steps, rest = divmod(index - item[0], item[2])
        if item[0] <= index <= item[1] and rest == 0:
            return before + steps
        before += range_size(item)
    return -1


def has_touched(row: JobRow) -> bool:
    """Whether some position at or after ``array_next`` already is a row."""
    return row.array_size - row.array_left - row.array_dropped > row.array_next and row.array_left > 0


def touched_of(link: Link, templates: Iterable[JobRow]) -> dict[int, tuple[int, ...]]:
    """Per array the positions at or after its next one that already are rows; arrays without any are absent."""
    return {row.id: touched_from(link, row.id, row.array_next) for row in templates if has_touched(row)}


def touched_from(link: Link, array_id: int, first: int) -> tuple[int, ...]:
    """The positions from ``first`` on that are rows."""
    return tuple(position for (position,) in link.rows(TOUCHED_FROM, array_id, first))


def next_after(row: JobRow, taken: Sequence[int], touched: Sequence[int]) -> int:
    """The smallest position that is still free once ``taken`` (and what was ``touched`` before) are rows."""
    gone = {*taken, *touched}
    position = row.array_next
    while position in gone:
        position += 1
    return position


def element_values(
    template: JobRow, job_id: int, position: int, state: str, attempt_id: int = 0, ended_ms: int | None = None, why: str = ""
) -> tuple[object, ...]:
    """The row of one element, for `INSERT_ELEMENT`."""
    return (
        job_id,
        template.id,
        index_at(template.array_ranges, position),
        position,
        template.name,
        template.kind,
        state,
        template.spec_id,
        template.shape_id,
        template.queue_id,
        template.project_id,
        template.user_id,
        template.uid,
        template.group_name,
        template.priority,
        template.submitted_ms,
        template.eligible_ms,
        template.limit_ms,
        template.deadline_ms,
        template.grace_ms,
        template.retries,
        1 if attempt_id else 0,
        attempt_id,
        attempt_id,
        ended_ms,
        why,
        template.token_id,
    )


class Standing(NamedTuple):
    """Where an array stands: the columns that are set, not counted."""

    state: str
    started_ms: int
    ended_ms: int | None
    next: int
    left: int
    dropped: int
    pace_ms: int


NO_ENDS = (0, 0, 0, 0, 0)


def write_template(tx: Transaction, row: JobRow, now: Standing, live: int = 0, ends: Sequence[int] = NO_ENDS) -> None:
    """Write a template: ``row`` is what it said, ``live`` and ``ends`` are by how much its counters move."""
    if (now.state, now.started_ms, now.ended_ms, now.dropped) == (row.state, row.started_ms, row.ended_ms, row.array_dropped):
        tx.link.write(COUNT_TEMPLATE, now.next, now.left, now.pace_ms, live, *ends, row.id)
    else:
        tx.link.write(WRITE_TEMPLATE, *now, live, *ends, row.id)
        tx.move(row, now.state)


def materialise(tx: Transaction, template: JobRow, position: int, state: str) -> JobRow:
    """Make a waiting element a row of its own."""
    link = tx.link
    touched = touched_of(link, [template]).get(template.id, ())
    job_id = tx.next_job()
    link.write(INSERT_ELEMENT, *element_values(template, job_id, position, state))
    left = template.array_left - 1
    following = next_after(template, [position], touched)
    rest = JobState.RUNNING.value if left == 0 else template.state
    standing = Standing(rest, template.started_ms, None, following, left, template.array_dropped, template.array_pace_ms)
    write_template(tx, template, standing)
    return read_jobs(link, [job_id])[job_id]
