"""The audit log: who asked for what change, and what came of it, as a chain in which no row can be altered, removed or moved unseen.

Rows are written by the transaction that makes the change, so neither is without the other. Each row's hash covers the row and the
hash before it; the last hash is in ``meta``, so that rows missing at the end are seen too. Whoever can write to the file can forge the
whole chain: only a copy of a hash that is kept elsewhere proves more. Rows that are too old go from the beginning, and the hash of the
last of them stays. Submissions by one caller that are carried out together are one row. What the daemon does by itself is told by
events and not kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select

from tenure.model.access import Caller, Role
from tenure.model.commands import AcquireLease, Answer, Applied, SubmitJob
from tenure.model.outcomes import Violation
from tenure.model.people import Note
from tenure.store.people_schema import audit
from tenure.store.schema import meta
from tenure.store.sql import Link, Statement, const, param
from tenure.store.tx import Transaction
from tenure.wire.chain import Chain, link_of

COLUMNS = ("id", "at_ms", "uid", "user_name", "via", "token_id", "what", "count", "target", "outcome", "detail", "hash")
_ALL = tuple(audit.c[name] for name in COLUMNS)
PAGE = Statement(
    select(*_ALL).where(audit.c.id > param("after")).order_by(audit.c.id).limit(param("limit")).offset(const(0)), "after", "limit"
)
NEWEST = Statement(
    select(*_ALL).where(audit.c.id < param("before")).order_by(audit.c.id.desc()).limit(param("limit")).offset(const(0)),
    "before",
    "limit",
)
ENDS = Statement(select(meta.c.audit_seq, meta.c.audit_hash, meta.c.audit_floor, meta.c.audit_floor_hash).where(meta.c.id == const(1)))
LAST_OLD = Statement(
    select(audit.c.id, audit.c.hash)
    .where(audit.c.id <= param("last"), audit.c.at_ms < param("before"))
    .order_by(audit.c.id.desc())
    .limit(const(1))
    .offset(const(0)),
    "last",
    "before",
)
FIRST = Statement(select(audit.c.id).order_by(audit.c.id).limit(const(1)).offset(const(0)))
DROP = Statement(audit.delete().where(audit.c.id <= param("floor")), "floor")
SET_FLOOR = Statement(
    meta.update()
    .ordered_values((meta.c.audit_floor, param("floor")), (meta.c.audit_floor_hash, param("hash")))
    .where(meta.c.id == const(1)),
    "floor",
    "hash",
)
OK = "ok"
_UNSAID = ("key", "caller", "spec", "token", "digest", "request")
_PAGE = 1000
_encode = msgspec.json.Encoder(order="deterministic").encode
_said: dict[type[Any], tuple[str, ...]] = {}


class Record(NamedTuple):
    """One row of the log, as it is kept."""

    seq: int
    at_ms: int
    uid: int
    user: str
    via: str
    token: int
    what: str
    calls: int
    target: str
    outcome: str
    detail: str
    hash: str


class Ends(NamedTuple):
    """Number and hash of the last row, and of the last one that was removed for its age."""

    last: int
    last_hash: str
    floor: int
    floor_hash: str


class Recording:
    """Collects what becomes of the commands of one call of `apply`, and writes it down at the end."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._caller: Caller | None = None
        self._outcome = ""
        self._first = self._last = self._count = 0
        self._told: Mapping[str, Any] = {}

    def add(self, command: Any, answer: Answer) -> None:
        """A command was carried out or refused."""
        caller: Caller = command.caller
        if caller.via == "daemon":
            return
        outcome = OK if isinstance(answer, Applied) else answer.code
        if not isinstance(command, SubmitJob):
            self.close()
            self._write(caller, outcome, *_content(command, answer, self._tx.before))
            return
        if caller is not self._caller or outcome != self._outcome:
            self.close()
            request = command.request
            self._caller, self._outcome = caller, outcome
            self._first = answer.job_id if isinstance(answer, Applied) else 0
            self._told = {"name": request.name, "project": request.project, "queue": request.queue, "priority": request.priority}
        self._last = answer.job_id if isinstance(answer, Applied) else 0
        self._count += 1

    def close(self) -> None:
        """Write what was collected of submissions."""
        if self._caller is not None:
            ids = f"{self._first}-{self._last}" if self._last > self._first else str(self._first or "")
            self._write(self._caller, self._outcome, "submit", self._count, ids, self._told)
        self._caller, self._count = None, 0

    def _write(self, caller: Caller, outcome: str, what: str, count: int, target: str, detail: Mapping[str, Any]) -> None:
        tx = self._tx
        row = (tx.audit_seq + 1, tx.now_ms, caller.uid, caller.user, caller.via, caller.token, what, count, target, outcome)
        full = (*row, _encode(detail).decode())
        tx.keep((*full, link_of(tx.audit_hash, full)))


def _content(command: Any, answer: Answer, before: Mapping[str, Any]) -> tuple[str, int, str, Mapping[str, Any]]:
    """What a command is called, how many it is, what it was done to, and with which arguments; secrets and specs are left out."""
    if isinstance(command, Note):
        return command.what, 1, command.target, {}
    kind = type(command)
    names = _said.get(kind)
    if names is None:
        names = _said[kind] = tuple(field.name for field in fields(kind) if field.name not in _UNSAID)
    detail = {name: value for name in names if (value := getattr(command, name)) not in (None, "", 0, (), -1)}
    if isinstance(command, AcquireLease):
        request = command.request
        detail = {"name": request.name, "project": request.project, "limit_ms": request.limit_ms}
    number = answer.job_id if isinstance(answer, Applied) else getattr(command, "job_id", 0)
    target = str(number) if number else next((str(detail[name]) for name in _NAMED if name in detail), "")
    detail = {name: value.word if isinstance(value, Role) else value for name, value in detail.items()}
    return _words(kind.__name__), 1, target, {**detail, "before": before} if before else detail


_NAMED = ("name", "conflict", "reservation", "user", "policy")


def _words(name: str) -> str:
    """``SetQueue`` as ``set queue``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def ends_of(link: Link) -> Ends:
    """Where the log begins and ends."""
    return Ends(*(link.row(ENDS) or (0, "", 0, "")))


def records(link: Link, after: int, limit: int) -> list[Record]:
    """Rows after a number, in order."""
    return [Record(*row) for row in link.rows(PAGE, after, limit)]


def newest(link: Link, before: int, limit: int) -> list[Record]:
    """The last rows before a number, the newest first."""
    return [Record(*row) for row in link.rows(NEWEST, before, limit)]


def pages(read: Callable[[int, int], list[Record]]) -> Iterator[Record]:
    """All rows in order, read page by page."""
    after = 0
    while found := read(after, _PAGE):
        yield from found
        after = found[-1].seq


def breaks(found: Iterator[Record], ends: tuple[int, str, int, str]) -> Iterator[Violation]:
    """Where a chain does not hold; ``ends`` are its last number and hash, and those of the last row that was removed for its age."""
    last, last_hash, floor, floor_hash = ends
    chain = Chain(floor, floor_hash)
    for record in found:
        if wrong := chain.follow(record[:-1], record.hash):
            yield Violation("audit_is_whole", f"audit {record.seq}", wrong)
    if (chain.seq, chain.hash) != (last, last_hash):
        yield Violation("audit_is_whole", f"audit {last}", f"the log ends with row {chain.seq}, and not as it was left")


def check_audit(link: Link) -> Iterator[Violation]:
    """Where the chain of a store does not hold."""
    return breaks(pages(lambda after, limit: records(link, after, limit)), ends_of(link))


def breaks_lately(link: Link, count: int) -> Iterator[Violation]:
    """Where the last rows, so many, do not hold; the one before them is taken as it is."""
    last, last_hash, floor, floor_hash = ends_of(link)
    rows = newest(link, last + 1, count + 1)[::-1]
    if len(rows) > count:
        floor, floor_hash = rows[0].seq, rows[0].hash
        rows = rows[1:]
    return breaks(iter(rows), (last, last_hash, floor, floor_hash))


def drop_old(tx: Transaction, before_ms: int, limit: int) -> int:
    """Remove rows from before a time, so many at most; the chain goes on from the last of them."""
    first = tx.link.row(FIRST)
    old = tx.link.row(LAST_OLD, first[0] + limit - 1, before_ms) if first else None
    if first is None or old is None:
        return 0
    tx.link.write(SET_FLOOR, *old)
    tx.link.write(DROP, old[0])
    return int(old[0] - first[0] + 1)
