"""A lease given back by its holder: over in the transaction that takes the wish in.

Nobody uses what a lease holds but its holder, who says that he does not any more, so there is nothing to wait for: its end is written
as if its executor had reported it, and the executor is told to forget it. Invariant: that message is sent before any that starts
somebody in the freed room; should it be lost, the executor holds a task without a row, which is stopped when both meet again.
"""

from __future__ import annotations

from tenure.model.commands import RELEASED, Answer, Applied, Refused, ReleaseLease
from tenure.model.lifecycle import JobState
from tenure.model.observations import EndReason, TaskEnded
from tenure.store.ending import Endings
from tenure.store.leases import WAITING, found
from tenure.store.record import Recording
from tenure.store.rows import JobRow
from tenure.store.schema import attempt
from tenure.store.sql import Statement, param
from tenure.store.tx import Transaction

NOTE_STOP = Statement(
    attempt.update()
    .ordered_values((attempt.c.stop_reason, param("reason")), (attempt.c.stop_why, param("why")), (attempt.c.stop_at_ms, param("at")))
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None)),
    "reason",
    "why",
    "at",
    "id",
)


def release(tx: Transaction, command: ReleaseLease) -> Answer:
    """End a lease at once, or withdraw one that waits."""
    terms = found(tx, command)
    if isinstance(terms, Refused):
        return terms
    row, _, stop_reason, stop_why = terms
    if row.ended_ms is not None:
        return Applied(row.id, tx.event_seq, note="it is over already")
    if row.state in WAITING:
        endings = Endings(tx)
        endings.end_waiting(row, JobState.CANCELLED, "whoever asked for it does not want it any more")
        endings.write()
        return Applied(row.id, tx.event_seq)
    _end(tx, row, "its holder released it" + (f" when told that {stop_why}" if stop_reason else ""))
    return Applied(row.id, tx.event_seq, ended_attempt=row.attempt_id)


def _end(tx: Transaction, row: JobRow, why: str) -> None:
    tx.link.write(NOTE_STOP, RELEASED, why, tx.now_ms, row.attempt_id)
    end = TaskEnded(row.attempt_id, 0, tx.leader_epoch, EndReason.STOPPED, None, ended_at_ms=tx.now_ms, stop_reason=RELEASED)
    Recording(tx, [end]).run()
