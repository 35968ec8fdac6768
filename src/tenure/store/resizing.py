"""Attempts that are to hold other amounts than before, until every task has confirmed it; the rows of `tenure.core.resizing`.

What is more is taken in the transaction that decides it, what is less is given back in the one that records that the executor keeps the
task to it. The wish has a number, the cursor of its event: it is due for every task that has not answered it, also after a crash, and
an answer to an earlier one changes nothing. Invariant: no row ever says less than what the task may really use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import and_, case, func, or_, select

from tenure.core.ledger import NOTHING, Account
from tenure.core.resizing import wider
from tenure.model.allocation import Allocation
from tenure.model.amounts import RESOURCES
from tenure.model.observations import Resized, Signal, SignalAction
from tenure.model.outcomes import Violation
from tenure.model.plan import Resize
from tenure.model.project import Bundle
from tenure.store import accounts
from tenure.store.held import ALIVE, OWN, hold
from tenure.store.rows import JobRow
from tenure.store.schema import RESIZING, allocation, attempt, job, shape
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.store.statements import GIVE_CAPACITY
from tenure.store.tx import Transaction, to_json

CHANGED = RESOURCES[:2]
"""What can be changed: cpu and memory."""

ASK_RESIZE = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.resize_cpu_milli, param("cpu")),
        (attempt.c.resize_memory_bytes, param("memory")),
        (attempt.c.resize_due, param("due")),
    )
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None), attempt.c.stop_reason == const("")),
    *("cpu", "memory", "due", "id"),
)
ANSWERED = Statement(allocation.update().values(resized=param("number")).where(*OWN), "number", "attempt", "task")
DUE = Statement(
    select(*(attempt.c[name] for name in ("id", "resize_due", "resize_cpu_milli", "resize_memory_bytes")))
    .where(RESIZING)
    .order_by(attempt.c.id)
)
UNANSWERED = InList(
    lambda keys: (
        select(allocation.c.attempt_id, allocation.c.task, allocation.c.resized)
        .where(allocation.c.attempt_id.in_(keys), *ALIVE)
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)
ASKED = InList(
    lambda keys: (
        select(
            *(allocation.c[name] for name in ("attempt_id", "task", "node_id", "cpu_milli", "memory_bytes", "resized")),
            attempt.c.resize_due,
            *(job.c[name] for name in ("id", "project_id", "user_id", "array_id")),
            shape.c.cpu_milli,
        )
        .select_from(
            allocation.join(attempt, attempt.c.id == allocation.c.attempt_id)
            .join(job, job.c.id == attempt.c.job_id)
            .join(shape, shape.c.id == job.c.shape_id)
        )
        .where(allocation.c.attempt_id.in_(keys), attempt.c.resize_due != const(0), *ALIVE)
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)
SETTLE = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.resize_cpu_milli, param("cpu")), (attempt.c.resize_memory_bytes, param("memory")), (attempt.c.resize_due, const(0))
    )
    .where(
        attempt.c.id == param("id"),
        ~select(allocation.c.task)
        .where(allocation.c.attempt_id == attempt.c.id, *ALIVE, allocation.c.resized < attempt.c.resize_due)
        .exists(),
    ),
    *("cpu", "memory", "id"),
)
_LEFT = case((attempt.c.resize_memory_bytes != const(0), attempt.c.resize_memory_bytes), else_=shape.c.memory_bytes)
ODD = Statement(
    select(allocation.c.attempt_id, func.max(allocation.c.cpu_milli), func.max(allocation.c.memory_bytes), _LEFT)
    .select_from(
        allocation.join(attempt, attempt.c.id == allocation.c.attempt_id)
        .join(job, job.c.id == attempt.c.job_id)
        .join(shape, shape.c.id == job.c.shape_id)
    )
    .where(
        allocation.c.released_at_ms.is_(None),
        or_(
            allocation.c.cpu_milli > shape.c.cpu_milli,
            allocation.c.memory_bytes > shape.c.memory_bytes,
            and_(shape.c.tasks == const(1), allocation.c.memory_bytes < _LEFT),
        ),
    )
    .group_by(allocation.c.attempt_id)
    .order_by(allocation.c.attempt_id)
)


class Resizes:
    """What accepted decisions say of what attempts are to hold, to be written with them."""

    def __init__(self, rows: Mapping[int, JobRow]) -> None:
        self._rows = rows
        self._resizes: list[tuple[Resize, Sequence[Allocation]]] = []

    def __bool__(self) -> bool:
        return bool(self._resizes)

    def add(self, resize: Resize, held: Sequence[Allocation]) -> None:
        """Stage that the tasks of an attempt, which hold this, are to hold something else."""
        self._resizes.append((resize, held))

    def write(self, tx: Transaction) -> int:
        """Write the wishes, and what is taken at once; the id of a job that is not as it should be, 0 for none."""
        for resize, held in self._resizes:
            row = self._rows[resize.job_id]
            data = {"cpu_milli": resize.cpu_milli, "memory_bytes": resize.memory_bytes, "why": resize.why}
            number = tx.emit("job.resizing", row.id, row.project_id, to_json(data), row.array_id)
            if not tx.link.write(ASK_RESIZE, resize.cpu_milli, resize.memory_bytes, number, resize.attempt_id):
                return row.id
            for one in held:
                wide = wider(one.amounts, resize)
                if wide != one.amounts:
                    hold(tx, (one.attempt_id, one.task), wide.cpu_milli, wide.memory_bytes)
        return 0


def due(tx: Transaction) -> tuple[Signal, ...]:
    """The wishes that tasks have not answered yet, by attempt and task."""
    wishes = {row[0]: row[1:] for row in tx.link.rows(DUE)}
    found = []
    for attempt_id, task, answered in tx.link.rows_in(UNANSWERED, list(wishes)):
        number, cpu_milli, memory_bytes = wishes[attempt_id]
        if answered < number:
            amounts = {"cpu_milli": cpu_milli, "memory_bytes": memory_bytes}
            found.append(Signal(attempt_id, task, tx.leader_epoch, SignalAction.RESIZE, number=number, **amounts))
    return tuple(found)


class _Task(NamedTuple):
    """A living task of an attempt that is to hold something else."""

    attempt_id: int
    task: int
    node_id: int
    cpu_milli: int
    memory_bytes: int
    answered: int
    number: int
    job_id: int
    project_id: int
    user_id: int
    array_id: int | None
    asked_milli: int


def settle(tx: Transaction, reports: Sequence[Resized], left: Sequence[int] = ()) -> None:
    """Note to what tasks are kept now, and give back what they held beyond it. ``left``: attempts of which a task has ended, so that
    nobody may be left who has not answered."""
    told = {(item.attempt_id, item.task, item.number): item for item in reports}
    tasks = [_Task(*row) for row in tx.link.rows_in(ASKED, sorted({*left, *(item.attempt_id for item in reports)}))]
    given: dict[tuple[int, str], int] = {}
    moved: dict[Account, Bundle] = {}
    held: dict[int, tuple[int, int]] = {}
    said: dict[int, str] = {}
    for one in tasks:
        cpu_milli, memory_bytes = one.cpu_milli, one.memory_bytes
        item = told.get((one.attempt_id, one.task, one.number))
        if item is not None and one.number > one.answered:
            cpu_milli, memory_bytes = _least(cpu_milli, item.cpu_milli), _least(memory_bytes, item.memory_bytes)
            less = Bundle(one.cpu_milli - cpu_milli, one.memory_bytes - memory_bytes)
            tx.link.write(ANSWERED, one.number, one.attempt_id, one.task)
            if less != NOTHING:
                hold(tx, (one.attempt_id, one.task), cpu_milli, memory_bytes)
            for resource, amount in zip(CHANGED, less, strict=False):
                given[one.node_id, resource] = given.get((one.node_id, resource), 0) + amount
            owner = (one.project_id, one.user_id)
            moved[owner] = moved.get(owner, NOTHING).minus(less)
            said[one.attempt_id] = item.why or said.get(one.attempt_id, "")
        awake_milli = cpu_milli or (item and item.cpu_milli) or one.asked_milli  # who rests holds no cpus
        most = held.get(one.attempt_id, (0, 0))
        held[one.attempt_id] = (max(most[0], awake_milli), max(most[1], memory_bytes))
    tx.link.write_many(GIVE_CAPACITY, [(n, n, n, *key) for key, n in sorted(given.items()) if n])
    accounts.move(tx, {owner: bundle for owner, bundle in moved.items() if bundle != NOTHING})
    for attempt_id, one in sorted({one.attempt_id: one for one in tasks}.items()):
        amounts = held[attempt_id]
        if tx.link.write(SETTLE, *amounts, attempt_id) or attempt_id in said:
            data = {"cpu_milli": amounts[0], "memory_bytes": amounts[1], "why": said.get(attempt_id, "")}
            tx.emit("job.resized", one.job_id, one.project_id, to_json(data), one.array_id)


def _least(held: int, kept: int | None) -> int:
    return held if kept is None else min(held, kept)


def violations(link: Link) -> Iterator[Violation]:
    """Who holds more than was asked for, or less memory than was left to it."""
    for attempt_id, cpu_milli, memory_bytes, left_bytes in link.rows(ODD):
        rule = "nobody_holds_less_than_left" if memory_bytes < left_bytes else "nobody_holds_more_than_asked"
        yield Violation(rule, f"attempt {attempt_id}", f"{cpu_milli} thousandths of a cpu, {memory_bytes} bytes of {left_bytes}")
