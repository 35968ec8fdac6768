"""What allocations hold from now on, and what they held until then, for who sums up the past.

A row says what is held now; what it said before is kept with the time for which it was so. Invariant: of one allocation these times
neither overlap nor leave a gap, also where a clock was set back.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, select

from tenure.store.schema import allocation, held_before
from tenure.store.sql import Statement, param
from tenure.store.tx import Transaction

ALIVE = (allocation.c.released_at_ms.is_(None), allocation.c.ended_ms.is_(None))
OWN = (allocation.c.attempt_id == param("attempt"), allocation.c.task == param("task"), *ALIVE)
_ALL = (allocation.c.attempt_id == param("attempt"), *ALIVE)
_SINCE = func.coalesce(allocation.c.held_ms, allocation.c.started_ms)
_FROM_NOW = (allocation.c.held_ms, case((param("now") < _SINCE, _SINCE), else_=param("since")))
_PAST = ("attempt_id", "task", "from_ms", "until_ms", "cpu_milli", "memory_bytes")


def _keep_past(which: tuple[ColumnElement[bool], ...], *names: str) -> Statement:
    held = (allocation.c.attempt_id, allocation.c.task, _SINCE, param("until"), allocation.c.cpu_milli, allocation.c.memory_bytes)
    return Statement(
        held_before.insert().from_select(_PAST, select(*held).where(*which, param("now") > _SINCE)), "until", *names, "now"
    )


KEEP_PAST, KEEP_PAST_OF_ALL = _keep_past(OWN, "attempt", "task"), _keep_past(_ALL, "attempt")
HOLD = Statement(
    allocation.update()
    .ordered_values((allocation.c.cpu_milli, param("cpu")), (allocation.c.memory_bytes, param("memory")), _FROM_NOW)
    .where(*OWN),
    *("cpu", "memory", "now", "since", "attempt", "task"),
)
HOLD_CPUS = Statement(
    allocation.update().ordered_values((allocation.c.cpu_milli, param("cpu")), _FROM_NOW).where(*_ALL),
    *("cpu", "now", "since", "attempt"),
)


def hold(tx: Transaction, key: tuple[int, int], cpu_milli: int, memory_bytes: int) -> None:
    """From now on a task of an attempt holds so much."""
    tx.link.write(KEEP_PAST, tx.now_ms, *key, tx.now_ms)
    tx.link.write(HOLD, cpu_milli, memory_bytes, tx.now_ms, tx.now_ms, *key)


def hold_cpus(tx: Transaction, attempt_id: int, cpu_milli: int) -> None:
    """From now on each task of an attempt holds so much cpu, and of the rest what it held."""
    tx.link.write(KEEP_PAST_OF_ALL, tx.now_ms, attempt_id, tx.now_ms)
    tx.link.write(HOLD_CPUS, cpu_milli, tx.now_ms, tx.now_ms, attempt_id)
