"""Conflicts as rows: opened, changed and closed as plans find them, resolved by people, kept as history.

Only what changed is written, so an idle cluster writes nothing; an event tells what opened, closed, grew or was resolved. A resolved
conflict leaves the queue at once and is closed when a plan no longer finds it. A plan that was cut short has not looked at everything,
so it closes none. Invariant: at most one row of a key is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import select

from tenure.model.conflict import Conflict
from tenure.model.plan import Plan
from tenure.store.intern import next_id
from tenure.store.plan_schema import conflict
from tenure.store.sql import Link, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json

_FOUND = ("contenders", "holders", "severity")
_ALL = ("id", "key", "kind", "room", *_FOUND, "opened_ms", "updated_ms", "closed_ms", "resolution", "resolved_by", "resolved_ms")
_OPEN = conflict.c.closed_ms.is_(None)
OPEN = Statement(select(*(conflict.c[name] for name in _ALL)).where(_OPEN).order_by(conflict.c.id))
PAST = Statement(
    select(*(conflict.c[name] for name in _ALL)).order_by(conflict.c.id.desc()).limit(param("limit")).offset(const(0)), "limit"
)
INSERT = insert(conflict, "id", "key", "kind", "room", *_FOUND, "opened_ms", "updated_ms")
UPDATE = Statement(
    conflict.update()
    .ordered_values(*((conflict.c[name], param(name)) for name in (*_FOUND, "updated_ms")))
    .where(conflict.c.id == param("id")),
    *_FOUND,
    "updated_ms",
    "id",
)
CLOSE = Statement(conflict.update().values(closed_ms=param("at")).where(conflict.c.id == param("id")), "at", "id")
RESOLVE = Statement(
    conflict.update()
    .ordered_values(*((conflict.c[name], param(name)) for name in ("resolution", "resolved_by", "resolved_ms")))
    .where(conflict.c.id == param("id")),
    "resolution",
    "resolved_by",
    "resolved_ms",
    "id",
)


class ConflictRow(NamedTuple):
    """One row, names as in the schema; contenders and holders are job ids."""

    id: int
    key: str
    kind: str
    room: str
    contenders: tuple[int, ...]
    holders: tuple[int, ...]
    severity: int
    opened_ms: int
    updated_ms: int
    closed_ms: int | None
    resolution: str
    resolved_by: str
    resolved_ms: int | None


class KnownConflicts:
    """The open conflicts as this leader last wrote them; read again whenever the epoch changes or a transaction was undone."""

    def __init__(self) -> None:
        self._epoch = -1
        self._rows: dict[str, tuple[int, tuple[int, tuple[int, ...], tuple[int, ...]]]] = {}

    def forget(self) -> None:
        """Read the rows again before the next write."""
        self._epoch = -1

    def write(self, tx: Transaction, plan: Plan) -> None:
        """Make the open conflicts those of a plan."""
        if tx.leader_epoch != self._epoch:
            self._rows = {row.key: (row.id, (row.severity, row.contenders, row.holders)) for row in open_conflicts(tx.link)}
            self._epoch = tx.leader_epoch
        for item in plan.conflicts:
            self._write_one(tx, item)
        if plan.truncated_at is None and len(self._rows) > len(plan.conflicts):
            for key in sorted(self._rows.keys() - {item.id for item in plan.conflicts}):
                tx.link.write(CLOSE, tx.now_ms, self._rows.pop(key)[0])
                tx.emit("conflict.closed", data=to_json({"id": key}))

    def _write_one(self, tx: Transaction, item: Conflict) -> None:
        known, found = self._rows.get(item.id), (item.severity, item.contenders, item.holders)
        if known is None:
            number = next_id(tx.link, conflict)
            tx.link.write(INSERT, number, item.id, item.kind.value, item.room, *_written(found), tx.now_ms, tx.now_ms)
        elif known[1] != found:
            number = known[0]
            tx.link.write(UPDATE, *_written(found), tx.now_ms, number)
        else:
            return
        self._rows[item.id] = (number, found)
        if known is None or known[1][0] != item.severity:
            told = {"id": item.id, "kind": item.kind.value, "severity": item.severity, "contenders": item.contenders}
            tx.emit("conflict.opened" if known is None else "conflict.updated", data=to_json(told))


def _written(found: tuple[int, tuple[int, ...], tuple[int, ...]]) -> tuple[str, str, int]:
    return to_json(found[1]), to_json(found[2]), found[0]


def open_conflicts(link: Link) -> list[ConflictRow]:
    """Those that are not closed, resolved ones included, the oldest first."""
    return [_row(row) for row in link.rows(OPEN)]


def past_conflicts(link: Link, limit: int) -> list[ConflictRow]:
    """All that are kept, the newest first."""
    return [_row(row) for row in link.rows(PAST, limit)]


def _row(row: Sequence[object]) -> ConflictRow:
    found = ConflictRow._make(row)
    contenders, holders = (tuple(msgspec.json.decode(str(text))) for text in (found.contenders, found.holders))
    return found._replace(contenders=contenders, holders=holders)
