"""What is set aside, read from its rows: as windows for whoever plans and commits, and as rows for people.

Invariants: a reservation that was taken back is history and no window any more; its row stays until retention lets it go; what a page
of the history reads does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import case, or_, select

from tenure.model.amounts import RESOURCES, Amounts
from tenure.model.window import TimeWindow, WindowPart
from tenure.store.narrowing import BEYOND, named, twice
from tenure.store.plan_schema import reservation, reservation_part
from tenure.store.schema import node, project, user
from tenure.store.sql import InList, Link, Row, Statement, const, param

_COLUMNS = (
    "id",
    "name",
    "project_id",
    "user_id",
    "from_ms",
    "until_ms",
    "made_ms",
    "uid",
    "made_by",
    "first_attempt",
    "removed_ms",
    "removed_by",
)
_ALL = select(*(reservation.c[name] for name in _COLUMNS))
STANDING = Statement(_ALL.where(reservation.c.removed_ms.is_(None)).order_by(reservation.c.id))
_STATE = case(
    (reservation.c.removed_ms.is_not(None), const("removed")),
    (reservation.c.until_ms <= param("now"), const("over")),
    (reservation.c.from_ms <= param("now2"), const("active")),
    else_=const("planned"),
)
_ON_NODE = (
    select(reservation_part.c.node_id)
    .join(node, node.c.id == reservation_part.c.node_id)
    .where(reservation_part.c.reservation_id == reservation.c.id, node.c.name == param("node2"))
)
_LISTED = (
    _ALL.outerjoin(project, project.c.id == reservation.c.project_id)
    .outerjoin(user, user.c.id == reservation.c.user_id)
    .where(
        or_(param("state1") == const(""), param("state2") == _STATE),
        *(named(name, column) for name, column in (("name", reservation.c.name), ("project", project.c.name), ("user", user.c.name))),
        or_(param("node1") == const(""), _ON_NODE.exists()),
        reservation.c.until_ms > param("since"),
        or_(param("until") == const(0), reservation.c.from_ms < param("until2")),
    )
)
_ORDER = ("state1", "state2", "now", "now2", *twice("name", "project", "user", "node"), "since", "until", "until2")
_STANDING = _LISTED.where(reservation.c.removed_ms.is_(None), reservation.c.until_ms > param("now3"))
OPEN = Statement(_STANDING.order_by(reservation.c.id), *_ORDER, "now3")
_BEFORE = _LISTED.where(reservation.c.id < param("before")).order_by(reservation.c.id.desc())
PAST = Statement(_BEFORE.limit(param("limit")).offset(const(0)), *_ORDER, "before", "limit")
PARTS = InList(
    lambda keys: (
        select(
            reservation_part.c.reservation_id,
            reservation_part.c.node_id,
            reservation_part.c.whole,
            reservation_part.c.devices,
            *(reservation_part.c[name] for name in RESOURCES),
        )
        .where(reservation_part.c.reservation_id.in_(keys))
        .order_by(reservation_part.c.reservation_id, reservation_part.c.node_id)
    )
)


class ReservationRow(NamedTuple):
    """One row, names as in the schema, and its parts."""

    id: int
    name: str
    project_id: int
    user_id: int
    from_ms: int
    until_ms: int
    made_ms: int
    uid: int
    made_by: str
    first_attempt: int
    removed_ms: int | None
    removed_by: str
    parts: tuple[WindowPart, ...] = ()

    @property
    def window(self) -> TimeWindow:
        """What planning must know of it."""
        return TimeWindow(self.id, self.from_ms, self.until_ms, self.parts, self.name, self.project_id, self.user_id)


class Wanted(NamedTuple):
    """Which reservations; what is empty or 0 narrows nothing. ``state`` is planned, active, over or removed; a span leaves out what
    ends before it and begins after it."""

    state: str = ""
    name: str = ""
    project: str = ""
    user: str = ""
    node: str = ""
    since_ms: int = 0
    until_ms: int = 0

    def params(self, now_ms: int) -> tuple[str | int, ...]:
        """As the statements take them."""
        names = (value for value in (self.name, self.project, self.user, self.node) for _ in range(2))
        return (self.state, self.state, now_ms, now_ms, *names, self.since_ms, self.until_ms, self.until_ms)


ALL = Wanted()


def standing(link: Link) -> tuple[ReservationRow, ...]:
    """The reservations that nobody has taken back, those that are over included, by id."""
    return tuple(_with_parts(link, link.rows(STANDING)))


def open_ones(link: Link, wanted: Wanted, now_ms: int) -> list[ReservationRow]:
    """Those that are not over, by id."""
    return _with_parts(link, link.rows(OPEN, *wanted.params(now_ms), now_ms))


def past(link: Link, wanted: Wanted, now_ms: int, before: int, limit: int) -> list[ReservationRow]:
    """At most ``limit`` of all that are kept, the newest first, from before a number on (0: the last)."""
    return _with_parts(link, link.rows(PAST, *wanted.params(now_ms), before or BEYOND, limit))


def _with_parts(link: Link, rows: Sequence[Row]) -> list[ReservationRow]:
    parts: dict[int, tuple[WindowPart, ...]] = {}
    for number, node_id, whole, devices, *amounts in link.rows_in(PARTS, [row[0] for row in rows]):
        part = WindowPart(node_id, bool(whole), Amounts(*amounts), tuple(msgspec.json.decode(devices)))
        parts[number] = (*parts.get(number, ()), part)
    return [ReservationRow._make((*row, parts.get(row[0], ()))) for row in rows]
