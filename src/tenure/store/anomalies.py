"""Anomalies as rows and events: opened and closed as monitoring says, kept for as long as events are.

Invariants: at most one row of a key is open; being told something twice changes nothing; what a page of the history reads does not grow
with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, delete, or_, select

from tenure.model.access import SCHEDULER, Caller
from tenure.model.anomaly import Anomaly
from tenure.store.intern import next_id
from tenure.store.measured import anomaly
from tenure.store.narrowing import BEYOND, SPAN, named, twice, within
from tenure.store.rows import read_jobs
from tenure.store.schema import job
from tenure.store.sight import Condition, Sight, Sighted
from tenure.store.sql import Link, Row, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json

_TOLD = ("key", "kind", "job_id", "subject", "text", "remedy", "action", "evidence", "opened_ms")
_ALL = (*_TOLD, "closed_ms")
INSERT = insert(anomaly, "id", *_TOLD)
OPEN_OF = Statement(select(anomaly.c.id).where(anomaly.c.key == param("key"), anomaly.c.closed_ms.is_(None)), "key")
CLOSE = Statement(anomaly.update().values(closed_ms=param("at")).where(anomaly.c.id == param("id")), "at", "id")
OF_JOB = Statement(
    select(*(anomaly.c[name] for name in _ALL))
    .where(anomaly.c.job_id == param("job"))
    .order_by(anomaly.c.id.desc())
    .limit(const(20))
    .offset(const(0)),
    "job",
)
_ORDER = (*twice("kind"), *SPAN)


def _open(seen: Condition | None) -> Statement:
    return Statement(_listed(seen).where(anomaly.c.closed_ms.is_(None)).order_by(anomaly.c.id), *_ORDER, *(seen[1] if seen else ()))


def _past(seen: Condition | None) -> Statement:
    clause = _listed(seen).where(anomaly.c.id < param("before")).order_by(anomaly.c.id.desc())
    return Statement(clause.limit(param("limit")).offset(const(0)), *_ORDER, *(seen[1] if seen else ()), "before", "limit")


def _listed(seen: Condition | None) -> Select[Any]:
    """Those of a kind and a span; of jobs only those that somebody may see."""
    clause = select(*(anomaly.c[name] for name in _ALL), anomaly.c.id).where(named("kind", anomaly.c.kind), within(anomaly.c.opened_ms))
    if seen is None:
        return clause
    return clause.select_from(anomaly.outerjoin(job, job.c.id == anomaly.c.job_id)).where(or_(anomaly.c.job_id == const(0), seen[0]))


OPEN, OPEN_TO, PAST, PAST_TO = _open(None), Sighted(_open), _past(None), Sighted(_past)
DROP = Statement(delete(anomaly).where(anomaly.c.closed_ms < param("before")), "before")


def note(tx: Transaction, changed: Sequence[Anomaly]) -> None:
    """Make rows and events of what opened and what closed."""
    for one in changed:
        row = tx.link.row(OPEN_OF, one.key)
        if one.closed_ms:
            if row is not None:
                tx.link.write(CLOSE, one.closed_ms, row[0])
                _emit(tx, "anomaly.closed", one)
        elif row is None:
            told = (
                one.key,
                one.kind,
                one.job_id,
                one.subject,
                one.text,
                one.remedy,
                one.action,
                to_json(dict(one.evidence)),
                one.opened_ms,
            )
            tx.link.write(INSERT, next_id(tx.link, anomaly), *told)
            _emit(tx, "anomaly.opened", one)


def _emit(tx: Transaction, kind: str, one: Anomaly) -> None:
    found = read_jobs(tx.link, [one.job_id]) if one.job_id else {}
    project = found[one.job_id].project_id if one.job_id in found else 0
    told = {
        "key": one.key,
        "kind": one.kind,
        "text": one.text,
        "remedy": one.remedy,
        "action": one.action,
        "evidence": dict(one.evidence),
    }
    tx.emit(kind, one.job_id, project, to_json(told))


class Wanted(NamedTuple):
    """Which anomalies, by when they began; what is empty or 0 narrows nothing."""

    kind: str = ""
    since_ms: int = 0
    until_ms: int = 0

    @property
    def params(self) -> tuple[str | int, ...]:
        """As the statements take them."""
        return (self.kind, self.kind, self.since_ms, self.until_ms, self.until_ms)


ALL = Wanted()


def of_job(link: Link, number: int) -> list[Anomaly]:
    """The last of one job, the newest first."""
    return [_anomaly(row) for row in link.rows(OF_JOB, number)]


def open_to(link: Link, caller: Caller = SCHEDULER, wanted: Wanted = ALL) -> list[Anomaly]:
    """The open ones, as far as they are for the caller, the oldest first."""
    sight = Sight.of(link, caller)
    if sight is None:
        return [_anomaly(row) for row in link.rows(OPEN, *wanted.params)]
    return [_anomaly(row) for row in link.rows(OPEN_TO.statement(sight), *wanted.params, *sight.params)]


def past_to(link: Link, caller: Caller, wanted: Wanted, before: int, limit: int) -> list[tuple[int, Anomaly]]:
    """At most ``limit`` of all that are kept and for the caller, the newest first, from before a number on (0: the last); with their
    numbers."""
    sight, end = Sight.of(link, caller), (before or BEYOND, limit)
    if sight is None:
        rows = link.rows(PAST, *wanted.params, *end)
    else:
        rows = link.rows(PAST_TO.statement(sight), *wanted.params, *sight.params, *end)
    return [(row[-1], _anomaly(row)) for row in rows]


def _anomaly(row: Row) -> Anomaly:
    key, kind, job_id, subject, text, remedy, action, evidence, opened_ms, closed_ms = row[: len(_ALL)]
    return Anomaly(key, kind, text, remedy, job_id, subject, msgspec.json.decode(evidence), action, opened_ms, closed_ms or 0)
