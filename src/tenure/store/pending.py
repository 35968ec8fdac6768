"""All waiting jobs as columns, straight from one query: what a snapshot of a hundred thousand of them is made of.

The query says in SQL what `tenure.store.rows.pending_of` says of one row; a property test compares the two after every step. Nothing
is built per job on the way: a column of the answer becomes the bytes of a column of the table.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import and_, case, func, or_, select

from tenure.model.guidance import ClassGuidance
from tenure.model.job import CHUNK_SPAN, JOB_COLUMNS, NO_CAP, JobChunk, JobTable
from tenure.store.guided import with_guidance
from tenure.store.schema import WAITING, job
from tenure.store.sql import Link, Row, Statement, const

_own = job.alias("waiting")
_template = job.alias("template")
_is_array = _own.c.array_size > const(0)
_cap = func.coalesce(_template.c.array_cap, _own.c.array_cap)
_live = func.coalesce(_template.c.array_live, _own.c.array_live)
_in_array = or_(_is_array, _own.c.array_id.is_not(None))
_room = case(
    (or_(_cap >= const(NO_CAP), ~_in_array), const(NO_CAP)),
    (_cap > _live, _cap - _live),
    else_=const(0),
)
WAITING_COLUMNS = Statement(
    select(
        _own.c.id,
        _own.c.shape_id,
        _own.c.queue_id,
        _own.c.project_id,
        _own.c.user_id,
        _own.c.priority,
        _own.c.submitted_ms,
        _own.c.eligible_ms,
        _own.c.limit_ms,
        _own.c.deadline_ms,
        case((_own.c.state == const("held"), const(1)), else_=const(0)),
        case((func.coalesce(_template.c.blocked, _own.c.blocked) > const(0), const(1)), else_=const(0)),
        case((_is_array, const(1)), else_=const(0)),
        _own.c.array_next,
        case((_is_array, _own.c.array_left), else_=const(1)),
        _room,
        _own.c.attempts,
        _own.c.expected_ms,
        _own.c.ran_ms,
        _own.c.array_pace_ms,
    )
    .select_from(_own.outerjoin(_template, _template.c.id == _own.c.array_id))
    .where(
        _own.c.state.in_((const("held"), const("pending"))),
        or_(
            and_(_is_array, _own.c.array_left > const(0), _own.c.ended_ms.is_(None)),
            and_(_own.c.array_size == const(0), _own.c.attempt_id == const(0)),
        ),
    )
)
_PRIORITY = JOB_COLUMNS.index("priority")
TOUCHED_ARRAYS = Statement(
    select(job.c.id, job.c.array_next).where(
        WAITING,
        job.c.array_left > const(0),
        job.c.ended_ms.is_(None),
        job.c.array_size - job.c.array_left - job.c.array_dropped > job.c.array_next,
    )
)


def read_pending(link: Link, standing: Sequence[ClassGuidance] = ()) -> JobTable:
    """Every waiting job that a plan may see, with the priority that counts under what guidance stands."""
    rows = sorted(with_guidance(link, standing, link.rows(WAITING_COLUMNS), _PRIORITY))
    return JobTable(tuple(_chunk(number, list(part)) for number, part in groupby(rows, lambda row: row[0] // CHUNK_SPAN)))


def _chunk(number: int, rows: list[Row]) -> JobChunk:
    return JobChunk(number, len(rows), tuple(array("q", column).tobytes() for column in zip(*rows, strict=True)))
