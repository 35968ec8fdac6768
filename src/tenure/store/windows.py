"""What is set aside, read from its rows: as windows for whoever plans and commits, and as rows for people.

Invariant: a reservation that was taken back is history and no window any more; its row stays until retention lets it go.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import select

from tenure.model.amounts import RESOURCES, Amounts
from tenure.model.window import TimeWindow, WindowPart
from tenure.store.plan_schema import reservation, reservation_part
from tenure.store.sql import Link, Statement, const, param

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
PAST = Statement(_ALL.order_by(reservation.c.id.desc()).limit(param("limit")).offset(const(0)), "limit")
PARTS = Statement(
    select(
        reservation_part.c.reservation_id,
        reservation_part.c.node_id,
        reservation_part.c.whole,
        reservation_part.c.devices,
        *(reservation_part.c[name] for name in RESOURCES),
    ).order_by(reservation_part.c.reservation_id, reservation_part.c.node_id)
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


def standing(link: Link) -> tuple[ReservationRow, ...]:
    """The reservations that nobody has taken back, those that are over included, by id."""
    rows = link.rows(STANDING)
    parts = _parts(link) if rows else {}
    return tuple(ReservationRow._make((*row, parts.get(row[0], ()))) for row in rows)


def past(link: Link, limit: int) -> list[ReservationRow]:
    """All that are kept, the newest first."""
    parts = _parts(link)
    return [ReservationRow._make((*row, parts.get(row[0], ()))) for row in link.rows(PAST, limit)]


def _parts(link: Link) -> dict[int, tuple[WindowPart, ...]]:
    found: dict[int, tuple[WindowPart, ...]] = {}
    for number, node_id, whole, devices, *amounts in link.rows(PARTS):
        part = WindowPart(node_id, bool(whole), Amounts(*amounts), tuple(msgspec.json.decode(devices)))
        found[number] = (*found.get(number, ()), part)
    return found
