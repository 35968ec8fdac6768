"""Anomalies as rows and events: opened and closed as monitoring says, kept for as long as events are.

Invariant: at most one row of a key is open; being told something twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select

from tenure.model.anomaly import Anomaly
from tenure.store.intern import next_id
from tenure.store.measured import anomaly
from tenure.store.rows import read_jobs
from tenure.store.sql import Link, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json

_TOLD = ("key", "kind", "job_id", "subject", "text", "remedy", "action", "evidence", "opened_ms")
_ALL = (*_TOLD, "closed_ms")
INSERT = insert(anomaly, "id", *_TOLD)
OPEN_OF = Statement(select(anomaly.c.id).where(anomaly.c.key == param("key"), anomaly.c.closed_ms.is_(None)), "key")
CLOSE = Statement(anomaly.update().values(closed_ms=param("at")).where(anomaly.c.id == param("id")), "at", "id")
OPEN = Statement(select(*(anomaly.c[name] for name in _ALL)).where(anomaly.c.closed_ms.is_(None)).order_by(anomaly.c.id))
OF_JOB = Statement(
    select(*(anomaly.c[name] for name in _ALL))
    .where(anomaly.c.job_id == param("job"))
    .order_by(anomaly.c.id.desc())
    .limit(const(20))
    .offset(const(0)),
    "job",
)
PAST = Statement(
    select(*(anomaly.c[name] for name in _ALL)).order_by(anomaly.c.id.desc()).limit(param("limit")).offset(const(0)), "limit"
)
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


def read(link: Link, statement: Statement, *params: Any) -> list[Anomaly]:
    """The rows of one of the queries above."""
    return [
        Anomaly(key, kind, text, remedy, job_id, subject, msgspec.json.decode(evidence), action, opened_ms, closed_ms or 0)
        for key, kind, job_id, subject, text, remedy, action, evidence, opened_ms, closed_ms in link.rows(statement, *params)
    ]
