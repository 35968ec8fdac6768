"""Guidance as it is read: what stands, and what it makes of waiting jobs.

Raising and lowering is worked into the waiting jobs as they are read, so that every plan, forecast and explanation sees the same.
Invariants: a job's priority as it counts follows from its row and from what stands, whichever way it is read; what a page of the
history reads does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from tenure.model.access import Caller
from tenure.model.guidance import ClassGuidance, guided
from tenure.model.job import PendingJob
from tenure.store.narrowing import BEYOND, named, twice
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
_OF_NOBODY = and_(*(guidance.c[name] == const(0) for name in ("user_id", "project_id")), guidance.c.name == const(""))
_LISTED = _ALL.where(
    or_(param("all") == const(1), guidance.c.uid == param("uid"), _OF_NOBODY),
    *(named(name, column) for name, column in (("project", project.c.name), ("queue", queue.c.name), ("user", user.c.name))),
)
_ORDER = ("all", "uid", *twice("project", "queue", "user"))
OPEN_TO = Statement(_LISTED.where(IS_OPEN).order_by(guidance.c.id), *_ORDER)
_BEFORE = _LISTED.where(guidance.c.id < param("before")).order_by(guidance.c.id.desc())
PAST_TO = Statement(_BEFORE.limit(param("limit")).offset(const(0)), *_ORDER, "before", "limit")
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


class Wanted(NamedTuple):
    """Which guidance, by the work that it concerns; what is empty narrows nothing."""

    project: str = ""
    queue: str = ""
    user: str = ""

    def params(self, caller: Caller) -> tuple[str | int, ...]:
        """As the statements take them: of what is not his own, who may not see everything is told what names no work of others."""
        return (int(caller.sees_all), caller.uid, *(value for value in self for _ in range(2)))


def read(link: Link) -> list[GuidanceRow]:
    """What stands, by id."""
    return [GuidanceRow(*row) for row in link.rows(OPEN)]


def one(link: Link, number: int) -> GuidanceRow | None:
    """One of those that are kept; None when there is none."""
    row = link.row(ONE, number)
    return GuidanceRow(*row) if row is not None else None


def open_to(link: Link, caller: Caller, wanted: Wanted) -> list[GuidanceRow]:
    """What stands and is for the caller, by id."""
    return [GuidanceRow(*row) for row in link.rows(OPEN_TO, *wanted.params(caller))]


def past_to(link: Link, caller: Caller, wanted: Wanted, before: int, limit: int) -> list[GuidanceRow]:
    """At most ``limit`` of all that is kept and for the caller, the newest first, from before a number on (0: the last)."""
    return [GuidanceRow(*row) for row in link.rows(PAST_TO, *wanted.params(caller), before or BEYOND, limit)]


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
