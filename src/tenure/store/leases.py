"""Leases: jobs whose process is the caller. What only they have: a secret, an end that is moved on, and a wait that has an end.

``job.lease_expires_at_ms`` is when a lease ends unless something is done: while it waits the end of its wait, once it is held the end
of its time. Of the secret only a digest is kept. Invariants: an open lease has both; a holder is warned at most once of each end; only
whoever has the secret moves the end or gives the lease back, everybody else goes by the job like for any other.
"""

from __future__ import annotations

import hmac

from sqlalchemy import select

from tenure.model.amounts import format_duration_ms
from tenure.model.commands import LEASE, AcquireLease, Answer, Applied, Refused, ReleaseLease, RenewLease
from tenure.model.lifecycle import JobState
from tenure.model.outcomes import JobChange
from tenure.store.caps import refuse_renewal
from tenure.store.ending import Endings
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import OPEN_LEASE, attempt, job
from tenure.store.sql import Statement, const, param
from tenure.store.submit import Submissions, submit
from tenure.store.tx import Transaction, to_json
from tenure.store.wishes import ASK_LIMIT

NEVER_MS = 2**62
SET_TERMS = Statement(
    job.update()
    .ordered_values(
        (job.c.lease_expires_at_ms, param("expires")), (job.c.lease_token, param("token")), (job.c.expected_ms, param("expected"))
    )
    .where(job.c.id == param("id")),
    "expires",
    "token",
    "expected",
    "id",
)
SET_EXPIRY = Statement(
    job.update().values(lease_expires_at_ms=param("expires")).where(job.c.id == param("id"), job.c.kind == const(LEASE)),
    "expires",
    "id",
)
NOTE_WARNED = Statement(job.update().values(lease_warned_ms=job.c.lease_expires_at_ms).where(job.c.id == param("id")), "id")
TERMS = Statement(
    select(job.c.lease_token, attempt.c.limit_ms, attempt.c.stop_reason, attempt.c.stop_why)
    .select_from(job.outerjoin(attempt, attempt.c.id == job.c.attempt_id))
    .where(job.c.id == param("id"), job.c.kind == const(LEASE)),
    "id",
)
OPEN = Statement(
    select(job.c.id, job.c.state, job.c.lease_expires_at_ms, job.c.lease_warned_ms, job.c.grace_ms, job.c.project_id)
    .where(OPEN_LEASE)
    .order_by(job.c.lease_expires_at_ms, job.c.id)
)
WAITING = ("held", "pending")


def acquire(tx: Transaction, command: AcquireLease, collected: Submissions) -> Answer:
    """Queue a lease, or refuse it like any job."""
    answer = submit(tx, command, collected)
    if isinstance(answer, Applied):
        collected.write(tx)
        tx.link.write(SET_TERMS, tx.now_ms + command.wait_ms, command.token, command.expected_ms, answer.job_id)
    return answer


def renew(tx: Transaction, command: RenewLease) -> Answer:
    """Move the end of a lease that is held. Its queue's longest time limit bounds the whole of it."""
    terms = found(tx, command)
    if isinstance(terms, Refused):
        return terms
    row, limit_ms, stop_reason, stop_why = terms
    refusal = _not_renewable(row, stop_reason, stop_why)
    if refusal is not None:
        return refusal
    wanted_ms = tx.now_ms - row.started_ms + command.ttl_ms
    queue = next(queue for queue in tx.names.queues(tx.link).values() if queue.id == row.queue_id)
    if queue.max_limit_ms and wanted_ms > queue.max_limit_ms:
        wanted_ms = queue.max_limit_ms
        if wanted_ms <= limit_ms:
            most_s = queue.max_limit_ms // 1000
            return Refused("limit_too_long", f"queue {queue.name} lets a lease go on for {most_s} s at most; release it and ask anew")
    over = refuse_renewal(tx, command, row, limit_ms, wanted_ms)
    if over is not None:
        return over
    expires_ms = row.started_ms + wanted_ms
    wish = tx.emit("lease.renewed", row.id, row.project_id, to_json({"expires_ms": expires_ms}))
    tx.link.write(ASK_LIMIT, wanted_ms, wish, row.attempt_id)
    tx.link.write(SET_EXPIRY, expires_ms, row.id)
    return Applied(row.id, tx.event_seq)


def _not_renewable(row: JobRow, stop_reason: str, stop_why: str) -> Refused | None:
    if row.ended_ms is not None:
        return Refused("lease_over", f"lease {row.id} is over; acquire a new one")
    if stop_reason:
        return Refused("lease_ending", f"lease {row.id} is being taken back: {stop_why}; finish and release it")
    if row.state != "running":
        return Refused("not_held", f"lease {row.id} waits; it can be renewed once it is held")
    return None


def found(tx: Transaction, command: RenewLease | ReleaseLease) -> tuple[JobRow, int, str, str] | Refused:
    """The lease with its time limit, and what it was asked to stop for, if the caller has its secret."""
    terms = tx.link.row(TERMS, command.job_id)
    if terms is None:
        return Refused("not_found", f"there is no lease {command.job_id}; see tenure lease list")
    token, limit_ms, stop_reason, stop_why = terms
    if not hmac.compare_digest(token, command.token):
        return Refused("wrong_token", f"that is not the token of lease {command.job_id}; it was given to whoever acquired it")
    return read_jobs(tx.link, [command.job_id])[command.job_id], limit_ms or 0, stop_reason or "", stop_why or ""


def expire(tx: Transaction) -> tuple[int, list[JobChange]]:
    """Cancel what has waited long enough, warn the holders of what ends soon; when there is something to do again, and what changed.

    What is held is ended by its executor, also while nobody calls this.
    """
    next_ms = NEVER_MS
    late: list[int] = []
    changes: list[JobChange] = []
    for job_id, state, expires_ms, warned_ms, grace_ms, project_id in tx.link.rows(OPEN):
        due_ms = expires_ms - (0 if state in WAITING else grace_ms)
        if due_ms > tx.now_ms:
            next_ms = min(next_ms, due_ms)
        elif state in WAITING:
            late.append(job_id)
        elif state == "running" and warned_ms != expires_ms:
            tx.link.write(NOTE_WARNED, job_id)
            tx.emit("lease.expiring", job_id, project_id, to_json({"expires_ms": expires_ms}))
            changes.append(JobChange(job_id, state))
    return next_ms, changes + _give_up(tx, late)


def _give_up(tx: Transaction, late: list[int]) -> list[JobChange]:
    """Cancel these, with what they waited for as the reason."""
    if not late:
        return []
    from tenure.store.listing import records
    from tenure.store.views import Waits

    waits, rows = Waits(tx.link, tx.now_ms), read_jobs(tx.link, late)
    endings = Endings(tx)
    for record in records(tx.link, late):
        row, reason = rows[record["id"]], waits.of(record)
        waited = format_duration_ms(round(tx.now_ms - row.submitted_ms, -3)) or "0s"
        why = f"timed out waiting for {waited}: {reason.text if reason is not None else 'it was not its turn'}"
        endings.end_waiting(row, JobState.CANCELLED, why)
    endings.write()
    return endings.changes
