"""The event stream, read by cursor."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select

from tenure.model.outcomes import Event
from tenure.store.listing import ids_of
from tenure.store.schema import event, job, meta, project
from tenure.store.sql import Link, Statement, const, param
from tenure.wire.dto import EventView

_COLUMNS = (
    event.c.cursor,
    event.c.kind,
    event.c.job_id,
    func.coalesce(project.c.name, const("")),
    event.c.at_ms,
    event.c.data,
    event.c.version,
    func.coalesce(job.c.uid, const(-1)),
)
_FROM = event.outerjoin(project, project.c.id == event.c.project_id).outerjoin(job, job.c.id == event.c.job_id)
EVENTS = Statement(
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(event.c.cursor > param("after"))
    .order_by(event.c.cursor)
    .limit(param("limit"))
    .offset(const(0)),
    "after",
    "limit",
)
EVENTS_OF_JOB = Statement(
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(event.c.job_id == param("job"), event.c.cursor > param("after"))
    .order_by(event.c.cursor)
    .limit(param("limit"))
    .offset(const(0)),
    "job",
    "after",
    "limit",
)
READ_FLOOR = Statement(select(meta.c.event_floor).where(meta.c.id == const(1)))


def read_events(link: Link, after: int, limit: int, job_id: int = 0) -> tuple[list[Event], bool]:
    """Events with a greater cursor, and whether ``after`` is older than what is retained."""
    floor = (link.row(READ_FLOOR) or (0,))[0]
    rows = link.rows(EVENTS_OF_JOB, job_id, after, limit) if job_id else link.rows(EVENTS, after, limit)
    return [Event(*row) for row in rows], after < floor


def event_views(link: Link, events: Sequence[Event]) -> list[EventView]:
    """Events as the wire shows them: jobs by what people type for them."""
    shown = ids_of(link, [item.job_id for item in events if item.job_id])
    return [
        EventView(
            cursor=item.cursor,
            kind=item.kind,
            at_ms=item.at_ms,
            job=shown.get(item.job_id, ""),
            project=item.project,
            version=item.version,
            data=msgspec.json.decode(item.data),
            uid=item.uid,
        )
        for item in events
    ]
