"""What the tasks of an attempt were asked to do, until all of them have heard it.

A wish (stop, suspend, resume, another time limit) is written with a number, the cursor of its event, so numbers of one attempt only
grow. It is due for every task that has not reported the number or a higher one. Invariant: a wish is due again after any crash, and no
longer once every task that has not ended has heard it; a late report of an earlier wish settles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from tenure.model.commands import LEASE
from tenure.model.observations import Signal, SignalAction, SignalDone
from tenure.store.outcome import GANG
from tenure.store.rows import read_jobs
from tenure.store.schema import SIGNALLED, allocation, attempt
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.store.tx import Transaction

ASK_SIGNAL = Statement(
    attempt.update()
    .ordered_values((attempt.c.signal, param("signal")), (attempt.c.wish, param("wish")))
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None)),
    "signal",
    "wish",
    "id",
)
ASK_STOP = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.stop_reason, param("reason")),
        (attempt.c.stop_why, param("why")),
        (attempt.c.stop_at_ms, param("at")),
        (attempt.c.signal, const("stop")),
        (attempt.c.wish, param("wish")),
    )
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None)),
    "reason",
    "why",
    "at",
    "wish",
    "id",
)
ASK_GANG_STOP = Statement(
    attempt.update()
    .ordered_values((attempt.c.stop_reason, const(GANG)), (attempt.c.signal, const("stop")), (attempt.c.wish, param("wish")))
    .where(attempt.c.id == param("id")),
    "wish",
    "id",
)
ASK_LIMIT = Statement(
    attempt.update()
    .ordered_values((attempt.c.limit_ms, param("limit")), (attempt.c.wish, param("wish")), (attempt.c.limit_due, const(1)))
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None)),
    "limit",
    "wish",
    "id",
)
WISHES = Statement(
    select(*(attempt.c[name] for name in ("id", "job_id", "signal", "stop_reason", "wish", "limit_due", "limit_ms")))
    .where(SIGNALLED)
    .order_by(attempt.c.id)
)
HEARD = InList(
    lambda keys: (
        select(allocation.c.attempt_id, allocation.c.task, allocation.c.heard)
        .where(allocation.c.attempt_id.in_(keys), allocation.c.ended_ms.is_(None))
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)
HEAR = Statement(
    allocation.update()
    .values(heard=param("number"))
    .where(allocation.c.attempt_id == param("attempt"), allocation.c.task == param("task"), allocation.c.heard < param("than")),
    "number",
    "attempt",
    "task",
    "than",
)
SETTLE = Statement(
    attempt.update()
    .ordered_values((attempt.c.signal, const("")), (attempt.c.wish, const(0)), (attempt.c.limit_due, const(0)))
    .where(
        attempt.c.id == param("id"),
        ~select(allocation.c.task)
        .where(allocation.c.attempt_id == attempt.c.id, allocation.c.ended_ms.is_(None), allocation.c.heard < attempt.c.wish)
        .exists(),
    ),
    "id",
)


def due(tx: Transaction) -> tuple[Signal, ...]:
    """The signals that tasks have not heard yet, by attempt and task; the last one of a task carries the number.

    The end of a lease is told as what is left of it, so that a clock of ours that was set makes it neither longer nor shorter.
    """
    wishes = {row[0]: row[1:] for row in tx.link.rows(WISHES)}
    jobs = read_jobs(tx.link, sorted({wish[0] for wish in wishes.values()}))
    found = []
    for attempt_id, task, heard in tx.link.rows_in(HEARD, list(wishes)):
        job_id, action, reason, number, limit_due, limit_ms = wishes[attempt_id]
        if heard >= number:
            continue
        if limit_due:
            last, job = 0 if action else number, jobs[job_id]
            left_ms = max(1, job.started_ms + limit_ms - tx.now_ms) if job.kind == LEASE else 0
            limit = Signal(attempt_id, task, tx.leader_epoch, SignalAction.LIMIT, number=last, limit_ms=limit_ms, left_ms=left_ms)
            found.append(limit)
        if action:
            found.append(Signal(attempt_id, task, tx.leader_epoch, SignalAction(action), jobs[job_id].grace_ms, reason, number))
    return tuple(found)


def hear(link: Link, reports: Sequence[SignalDone]) -> list[int]:
    """Note what tasks have heard; their attempts. To be called after their ends were written: who has ended need not hear anything."""
    link.write_many(HEAR, [(item.number, item.attempt_id, item.task, item.number) for item in reports])
    attempts = sorted({item.attempt_id for item in reports})
    link.write_many(SETTLE, [(attempt_id,) for attempt_id in attempts])
    return attempts
