"""Removing what is older than the settings say, a bounded batch at a time. Jobs stay; what goes is their attempts' detail (allocations
that were released), old events, forgotten idempotency keys, old utilisation samples and reservations that are long over.

Invariant: the events that stay are dense, and ``event_floor`` is the cursor before the first of them, so that a reader with an older
cursor is told to start anew.
"""

from __future__ import annotations

from sqlalchemy import func, select

from tenure.store import audit
from tenure.store.anomalies import DROP as DROP_ANOMALIES
from tenure.store.forecasts import drop_old as drop_forecasts
from tenure.store.guided import DROP as DROP_GUIDANCE
from tenure.store.plan_schema import claim, conflict, policy_choice, reservation, reservation_part
from tenure.store.schema import allocation, allocation_device, attempt, event, held_before, idempotency, meta, usage_sample
from tenure.store.series import drop_old
from tenure.store.simulated import drop_old as drop_simulations
from tenure.store.sql import InList, Statement, const, param
from tenure.store.tx import Transaction

OLDEST_ATTEMPTS = Statement(
    select(attempt.c.id, attempt.c.committed_ms, attempt.c.ended_ms)
    .where(attempt.c.id > param("after"))
    .order_by(attempt.c.id)
    .limit(param("limit"))
    .offset(const(0)),
    "after",
    "limit",
)
HELD_STILL = InList(
    lambda keys: select(allocation.c.attempt_id).where(allocation.c.attempt_id.in_(keys), allocation.c.released_at_ms.is_(None))
)
DROP_SHARES = InList(lambda keys: allocation_device.delete().where(allocation_device.c.attempt_id.in_(keys)))
DROP_PAST = InList(lambda keys: held_before.delete().where(held_before.c.attempt_id.in_(keys)))
DROP_ALLOCATIONS = InList(lambda keys: allocation.delete().where(allocation.c.attempt_id.in_(keys)))
DROP_ATTEMPTS = InList(lambda keys: attempt.delete().where(attempt.c.id.in_(keys)))
FIRST_EVENTS = Statement(
    select(event.c.cursor, event.c.at_ms).order_by(event.c.cursor).limit(param("limit")).offset(const(0)),
    "limit",
)
DROP_EVENTS = Statement(event.delete().where(event.c.cursor <= param("floor")), "floor")
SET_FLOOR = Statement(meta.update().values(event_floor=param("floor")).where(meta.c.id == const(1)), "floor")
OLD_KEYS = Statement(
    select(idempotency.c.uid, idempotency.c.key)
    .where(idempotency.c.at_ms < param("before"))
    .order_by(idempotency.c.at_ms)
    .limit(param("limit"))
    .offset(const(0)),
    "before",
    "limit",
)
DROP_KEY = Statement(idempotency.delete().where(idempotency.c.uid == param("uid"), idempotency.c.key == param("key")), "uid", "key")
DROP_SAMPLES = Statement(usage_sample.delete().where(usage_sample.c.at_ms < param("before")), "before")
KEPT_CONFLICTS = 10_000
"""So many conflicts are kept at most, open ones aside."""
DROP_CONFLICTS = Statement(
    conflict.delete().where(
        conflict.c.closed_ms.is_not(None),
        (conflict.c.closed_ms < param("before"))
        | (conflict.c.id <= select(func.max(conflict.c.id) - const(KEPT_CONFLICTS)).scalar_subquery()),
    ),
    "before",
)
DROP_CHOICES = Statement(
    policy_choice.delete().where(
        policy_choice.c.id < select(func.max(policy_choice.c.id)).where(policy_choice.c.at_ms < param("before")).scalar_subquery()
    ),
    "before",
)
_OVER = (reservation.c.until_ms < param("before")) | (reservation.c.removed_ms < param("before"))
OLD_RESERVATIONS = Statement(
    select(reservation.c.id)
    .where(_OVER, reservation.c.id < select(func.max(reservation.c.id)).scalar_subquery())
    .order_by(reservation.c.id)
    .limit(param("limit"))
    .offset(const(0)),
    "before",
    "before",
    "limit",
)
"""The newest of all stays, so that no number is given twice."""
DROP_PARTS = InList(lambda keys: reservation_part.delete().where(reservation_part.c.reservation_id.in_(keys)))
DROP_RESERVATIONS = InList(lambda keys: reservation.delete().where(reservation.c.id.in_(keys)))
DROP_CLAIMS = Statement(
    claim.delete().where(claim.c.deadline_ms < param("now"), claim.c.made_ms <= param("before")),
    "now",
    "before",
)


def retain(tx: Transaction) -> int:
    """Remove one batch of each kind; how many rows went."""
    return (
        drop_old(tx)
        + max(0, tx.link.write(DROP_GUIDANCE, tx.now_ms - tx.settings.keep_events_ms))
        + max(0, tx.link.write(DROP_ANOMALIES, tx.now_ms - tx.settings.keep_events_ms))
        + max(0, drop_simulations(tx))
        + drop_forecasts(tx)
        + _drop_attempts(tx)
        + _drop_events(tx)
        + _drop_keys(tx)
        + _drop_samples(tx)
        + _drop_reservations(tx)
        + audit.drop_old(tx, tx.now_ms - tx.settings.keep_audit_ms, tx.settings.retain_batch)
    )


def _drop_attempts(tx: Transaction) -> int:
    """Attempts in the order of their ids, which is that of their times; one that still holds something is passed over."""
    limit = tx.settings.retain_batch
    before = tx.now_ms - tx.settings.keep_released_ms
    old: list[int] = []
    after = 0
    while len(old) < limit:
        rows = tx.link.rows(OLDEST_ATTEMPTS, after, limit)
        old += [number for number, _, ended_ms in rows if ended_ms is not None and ended_ms < before]
        if len(rows) < limit or rows[-1][1] >= before:
            break
        after = rows[-1][0]
    held = {number for (number,) in tx.link.rows_in(HELD_STILL, old)}
    gone = [number for number in old if number not in held][:limit]
    return sum(tx.link.write_in(statement, gone) for statement in (DROP_SHARES, DROP_PAST, DROP_ALLOCATIONS, DROP_ATTEMPTS))


def _drop_events(tx: Transaction) -> int:
    limit = tx.settings.retain_batch
    before = tx.now_ms - tx.settings.keep_events_ms
    excess = tx.event_seq - tx.event_floor - tx.settings.max_events
    floor = tx.event_floor
    for cursor, at_ms in tx.link.rows(FIRST_EVENTS, limit):
        if at_ms >= before and cursor > tx.event_floor + excess:
            break
        floor = cursor
    if floor == tx.event_floor:
        return 0
    tx.link.write(SET_FLOOR, floor)
    gone = floor - tx.event_floor
    tx.event_floor = floor
    tx.link.write(DROP_EVENTS, floor)
    return int(gone)


def _drop_keys(tx: Transaction) -> int:
    rows = tx.link.rows(OLD_KEYS, tx.now_ms - tx.settings.keep_keys_ms, tx.settings.retain_batch)
    return max(0, tx.link.write_many(DROP_KEY, rows))


def _drop_reservations(tx: Transaction) -> int:
    """Those that were over or taken back before the oldest event that is kept."""
    rows = tx.link.rows(OLD_RESERVATIONS, *(tx.now_ms - tx.settings.keep_events_ms,) * 2, tx.settings.retain_batch)
    gone = [number for (number,) in rows]
    if gone:
        tx.names.forget_reservations()
    return sum(tx.link.write_in(statement, gone) for statement in (DROP_PARTS, DROP_RESERVATIONS))


def _drop_samples(tx: Transaction) -> int:
    samples = tx.link.write(DROP_SAMPLES, tx.now_ms - tx.settings.keep_samples_ms)
    # A choice decided until the next one: it goes when that one is as old as the runs that go.
    samples += tx.link.write(DROP_CHOICES, tx.now_ms - tx.settings.keep_released_ms)
    samples += max(0, tx.link.write(DROP_CONFLICTS, tx.now_ms - tx.settings.keep_events_ms))
    return max(0, samples) + max(0, tx.link.write(DROP_CLAIMS, tx.now_ms, tx.now_ms - tx.settings.plan.evictions_count_ms))
