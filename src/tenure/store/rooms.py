"""Room that is taken over: several allocations, one after another, of which one counts as use.

A room is named by the attempt that took it. Its members hold the same amounts on the same node; all but one are behind and count
nothing. Invariant: while any member is not released, exactly one of those that are not is not behind; so when the one that counts is
released, the first of the others counts from then on, and capacity is given back only with the last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select

from tenure.store.outcome import TaskRow
from tenure.store.schema import allocation, job
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.store.tx import Transaction

MEMBERS = InList(
    lambda keys: (
        select(allocation.c.room, allocation.c.attempt_id, allocation.c.task, job.c.id, job.c.project_id, job.c.array_id)
        .join(job, job.c.id == allocation.c.job_id)
        .where(allocation.c.room.in_(keys), allocation.c.room.is_not(None), allocation.c.released_at_ms.is_(None))
        .order_by(allocation.c.room, allocation.c.attempt_id, allocation.c.task)
    )
)
_counting = allocation.alias("counting")
BEHIND_IN = InList(
    lambda keys: (
        select(job.c.array_id, func.count())
        .select_from(allocation.join(job, job.c.id == allocation.c.job_id))
        .where(
            allocation.c.room.is_not(None),
            allocation.c.released_at_ms.is_(None),
            allocation.c.behind != const(0),
            job.c.array_id.in_(keys),
        )
        .group_by(job.c.array_id)
    )
)
IN_FRONT_OF = Statement(
    select(_counting.c.job_id)
    .join(allocation, allocation.c.room == _counting.c.room)
    .where(
        allocation.c.attempt_id == param("attempt"),
        allocation.c.released_at_ms.is_(None),
        allocation.c.behind != const(0),
        _counting.c.room.is_not(None),
        _counting.c.released_at_ms.is_(None),
        _counting.c.behind == const(0),
    ),
    "attempt",
)
COUNT = Statement(
    allocation.update().values(behind=const(0)).where(allocation.c.attempt_id == param("attempt"), allocation.c.task == param("task")),
    "attempt",
    "task",
)


def pass_on(tx: Transaction, freed: Sequence[TaskRow], reported: Collection[int]) -> list[TaskRow]:
    """Of released tasks, those whose amounts nobody takes over; to be called once their rows say that they are released.

    ``reported`` are attempts that have an event in this transaction already.
    """
    counted = [task for task in freed if not task.behind]
    names = sorted({task.room for task in counted if task.room is not None})
    if not names:
        return counted
    heirs: dict[int, tuple[int, int]] = {}
    for room, attempt_id, task, job_id, project_id, array_id in tx.link.rows_in(MEMBERS, names):
        if room in heirs:
            continue
        heirs[room] = (attempt_id, task)
        if attempt_id not in reported:
            tx.emit("job.task", job_id, project_id, array_id=array_id)
    tx.link.write_many(COUNT, list(heirs.values()))
    return [task for task in counted if task.room not in heirs]


def count_behind(link: Link, arrays: Sequence[int]) -> dict[int, int]:
    """How many elements of these arrays have not begun, because another one has the room they take over; 0 is left out."""
    return dict(link.rows_in(BEHIND_IN, arrays))


def in_front_of(link: Link, attempt_id: int) -> int:
    """The job that has the room which this attempt takes over; 0 when it waits for nobody's."""
    found = link.row(IN_FRONT_OF, attempt_id)
    return found[0] if found else 0
