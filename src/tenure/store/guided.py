"""Guidance as it is read: what stands, and what it makes of waiting jobs.

Raising and lowering is worked into the waiting jobs as they are read, so that every plan, forecast and explanation sees the same.
Invariant: a job's priority as it counts follows from its row and from what stands, whichever way it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import or_, select

from tenure.model.guidance import ClassGuidance, guided
from tenure.model.job import PendingJob
from tenure.store.plan_schema import guidance
from tenure.store.schema import WAITING, job, project, queue, user
from tenure.store.sql import Link, Row, Statement, const, param

GIVEN = ("steps", "project_id", "queue_id", "user_id", "name", "policy", "before", "note", "uid", "made_by", "made_ms", "until_ms")
IS_OPEN = guidance.c.ended_ms.is_(None)
CLASSES = Statement(
    select(*(guidance.c[name] for name in ("id", "steps", "project_id", "queue_id", "user_id", "name")))
    .where(IS_OPEN, guidance.c.steps != const(0))
    .order_by(guidance.c.id)
)
_NAMES = ("id", *GIVEN, "ended_ms", "ended_by")
_ALL = select(*(guidance.c[name] for name in _NAMES), project.c.name, queue.c.name, user.c.name).select_from(
    guidance.outerjoin(project, project.c.id == guidance.c.project_id)
    .outerjoin(queue, queue.c.id == guidance.c.queue_id)
    .outerjoin(user, user.c.id == guidance.c.user_id)
)
OPEN = Statement(_ALL.where(IS_OPEN).order_by(guidance.c.id))
PAST = Statement(_ALL.order_by(guidance.c.id.desc()).limit(param("limit")).offset(const(0)), "limit")
ONE = Statement(_ALL.where(guidance.c.id == param("id")), "id")
DROP = Statement(guidance.delete().where(guidance.c.ended_ms < param("before")), "before")
WAITING_JOBS = Statement(
    select(job.c.id, job.c.project_id, job.c.queue_id, job.c.user_id, job.c.name).where(or_(WAITING, job.c.array_left > const(0)))
)


class GuidanceRow(NamedTuple):
    """One piece of guidance. ``steps`` of priority for a class of work, or a ``policy`` (empty: none) in the place of ``before``."""

    id: int
    steps: int
    project_id: int
    queue_id: int
    user_id: int
    name: str
    policy: str
    before: str
    note: str
    uid: int
    made_by: str
    made_ms: int
    until_ms: int
    ended_ms: int | None
    ended_by: str
    project: str | None
    queue: str | None
    user: str | None

    @property
    def of_class(self) -> ClassGuidance:
        """The class that it raises or lowers."""
        return ClassGuidance(self.id, self.steps, self.project_id, self.queue_id, self.user_id, self.name)


def read(link: Link, limit: int = 0) -> list[GuidanceRow]:
    """What stands, by id; with a limit so much of all that is kept, the newest first."""
    return [GuidanceRow(*row) for row in (link.rows(PAST, limit) if limit else link.rows(OPEN))]


def classes(link: Link) -> tuple[ClassGuidance, ...]:
    """The classes of work that are raised or lowered now."""
    return tuple(ClassGuidance(*row) for row in link.rows(CLASSES))


def with_guidance(link: Link, standing: Sequence[ClassGuidance], rows: list[Row], at: int) -> list[Row]:
    """Rows of waiting jobs with their id first and their priority at position ``at``, as they count under what stands."""
    if not standing:
        return rows
    told = {number: tuple(rest) for number, *rest in link.rows(WAITING_JOBS)}
    found = []
    for row in rows:
        steps = [one.steps for one in standing if one.concerns(*told[row[0]])]
        found.append((*row[:at], guided(row[at], steps), *row[at + 1 :]) if steps else row)
    return found


def as_guided(found: PendingJob, name: str, standing: Sequence[ClassGuidance]) -> int:
    """The priority of one waiting job as it counts."""
    return guided(found.priority, [one.steps for one in standing if one.concerns(found.project, found.queue, found.user, name)])
