"""Conflicts as rows: opened, changed and closed as plans find them, resolved by people, kept as history.

Only what changed is written, so an idle cluster writes nothing; an event tells what opened, closed, grew or was resolved. A resolved
conflict leaves the queue at once and is closed when a plan no longer finds it. A plan that was cut short has not looked at everything,
so it closes none. Invariants: at most one row of a key is open; what a page of the history reads does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, select

from tenure.model.access import Caller
from tenure.model.conflict import Conflict
from tenure.model.plan import Plan
from tenure.store.intern import next_id
from tenure.store.narrowing import BEYOND, SPAN, named, twice, within
from tenure.store.plan_schema import conflict
from tenure.store.sight import seen
from tenure.store.sql import Link, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json
from tenure.wire.cursors import Key

LOOKED_AT = 1_000
"""So many rows are looked at for a page that holds fewer: who may see few conflicts goes on with the next."""
_FOUND = ("contenders", "holders", "severity")
_ALL = ("id", "key", "kind", "room", *_FOUND, "opened_ms", "updated_ms", "closed_ms", "resolution", "resolved_by", "resolved_ms")
_WANTED = select(*(conflict.c[name] for name in _ALL)).where(named("kind", conflict.c.kind), within(conflict.c.opened_ms))
_ORDER = (*twice("kind"), *SPAN)
OPEN = Statement(_WANTED.where(conflict.c.closed_ms.is_(None)).order_by(conflict.c.id), *_ORDER)


def _past(order: Sequence[ColumnElement[int]], *after: str) -> Statement:
    """The next ones downwards: those below the last value after ``after``, and of what comes before that the same."""
    columns = [conflict.c[name] for name in after]
    same = [column == param(name) for column, name in zip(columns[:-1], after, strict=False)]
    clause = _WANTED.where(*same, columns[-1] < param(after[-1])).order_by(*(column.desc() for column in order))
    return Statement(clause.limit(param("limit")).offset(const(0)), *_ORDER, *after, "limit")


PAST = _past([conflict.c.id], "id")
AS_SEVERE = _past([conflict.c.id], "severity", "id")
LESS_SEVERE = _past([conflict.c.severity, conflict.c.id], "severity")
"""One condition for both would let the database look through all of a severity for where it was."""
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

    @property
    def jobs(self) -> tuple[int, ...]:
        """All that it is about."""
        return (*self.contenders, *self.holders)


class Wanted(NamedTuple):
    """Which conflicts, by when they opened; what is empty or 0 narrows nothing. ``by_severity`` is an order of the history."""

    kind: str = ""
    since_ms: int = 0
    until_ms: int = 0
    by_severity: bool = False

    @property
    def params(self) -> tuple[str | int, ...]:
        """As the statements take them."""
        return (self.kind, self.kind, self.since_ms, self.until_ms, self.until_ms)


ALL = Wanted()


class Shown(NamedTuple):
    """Conflicts of which a job is for somebody, the jobs of them that he may see, and the key to go on after, if there may be more."""

    rows: list[ConflictRow]
    jobs: set[int]
    after: Key = ()


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


def open_conflicts(link: Link, wanted: Wanted = ALL) -> list[ConflictRow]:
    """Those that are not closed, resolved ones included, the oldest first."""
    return [_row(row) for row in link.rows(OPEN, *wanted.params)]


def open_to(link: Link, caller: Caller, wanted: Wanted = ALL) -> Shown:
    """The open ones that nobody has resolved, as far as they are for the caller, the oldest first."""
    return _shown(link, caller, [row for row in open_conflicts(link, wanted) if not row.resolved_ms])


def past_to(link: Link, caller: Caller, wanted: Wanted, after: Key, limit: int) -> Shown:
    """After a key at most ``limit`` of all that are kept, as far as they are for the caller: the newest first, or the most severe first
    and of these the newest."""
    found, jobs, piece, looked = list[ConflictRow](), set[int](), limit + 1, 0
    while len(found) <= limit and looked < max(limit, LOOKED_AT):
        rows = _after(link, wanted, after, piece)
        shown = _shown(link, caller, rows)
        found, jobs, looked = found + shown.rows, jobs | shown.jobs, looked + len(rows)
        if len(rows) < piece:
            after = ()
            break
        after, piece = _key(wanted, rows[-1]), 2 * piece
    return Shown(found[:limit], jobs, _key(wanted, found[limit - 1]) if len(found) > limit else after)


def _after(link: Link, wanted: Wanted, after: Key, limit: int) -> list[ConflictRow]:
    if not wanted.by_severity:
        rows = link.rows(PAST, *wanted.params, *(after or (BEYOND,)), limit)
    else:
        rows = link.rows(AS_SEVERE, *wanted.params, *after, limit) if after else []
        if len(rows) < limit:
            rows += link.rows(LESS_SEVERE, *wanted.params, after[0] if after else BEYOND, limit - len(rows))
    return [_row(row) for row in rows]


def _key(wanted: Wanted, row: ConflictRow) -> Key:
    return (row.severity, row.id) if wanted.by_severity else (row.id,)


def _shown(link: Link, caller: Caller, rows: Iterable[ConflictRow]) -> Shown:
    jobs = seen(link, caller, sorted({number for row in rows for number in row.jobs}))
    return Shown([row for row in rows if jobs.intersection(row.jobs)], jobs)


def _row(row: Sequence[object]) -> ConflictRow:
    found = ConflictRow._make(row)
    contenders, holders = (tuple(msgspec.json.decode(str(text))) for text in (found.contenders, found.holders))
    return found._replace(contenders=contenders, holders=holders)
