"""Jobs that rest while others have their turn: asked to, at rest, and going on; the rows of `tenure.core.rotation`.

A plan asks an attempt to rest, which is a wish like a person's (`tenure.store.wishes`). Only when all its tasks have reported that they
stand still, their cpus are given back; until then they count. Going on takes the cpus again in the transaction that says so, by the
same guarded update as a start. Invariant: the tasks of an attempt that rests, and no others, hold no cpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select

from tenure.core.ledger import NOTHING, Account
from tenure.model.amounts import RESOURCES
from tenure.model.job import RESTS, STOPS
from tenure.model.outcomes import Violation
from tenure.model.plan import Resume, Suspend
from tenure.model.project import Bundle
from tenure.store import accounts
from tenure.store.ending import set_state
from tenure.store.held import ALIVE, hold_cpus
from tenure.store.rows import JobRow
from tenure.store.schema import allocation, attempt, job, shape
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.store.statements import GIVE_CAPACITY
from tenure.store.tx import Transaction, to_json

CPU = RESOURCES[0]

ASK_REST = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.signal, const("suspend")),
        (attempt.c.wish, param("wish")),
        (attempt.c.rest, const(STOPS)),
        (attempt.c.slice_ms, param("now")),
    )
    .where(attempt.c.id == param("id"), attempt.c.ended_ms.is_(None), attempt.c.stop_reason == const(""), attempt.c.rest == const(0)),
    "wish",
    "now",
    "id",
)
GO_ON = Statement(
    attempt.update()
    .ordered_values(
        (attempt.c.signal, const("resume")),
        (attempt.c.wish, param("wish")),
        (attempt.c.rest, const(0)),
        (attempt.c.stood_ms, attempt.c.stood_ms + param("now") - attempt.c.slice_ms),
        (attempt.c.slice_ms, param("since")),
    )
    .where(
        attempt.c.id == param("id"), attempt.c.ended_ms.is_(None), attempt.c.stop_reason == const(""), attempt.c.rest == const(RESTS)
    ),
    "wish",
    "now",
    "since",
    "id",
)
STANDING_STILL = InList(
    lambda keys: (
        select(attempt.c.id, job.c.id, job.c.project_id, job.c.user_id, job.c.array_id)
        .join(job, job.c.id == attempt.c.job_id)
        .where(attempt.c.id.in_(keys), attempt.c.rest == const(STOPS), attempt.c.wish == const(0), attempt.c.ended_ms.is_(None))
        .order_by(attempt.c.id)
    )
)
TASKS = InList(
    lambda keys: (
        select(allocation.c.attempt_id, allocation.c.node_id, allocation.c.cpu_milli, shape.c.cpu_milli)
        .join(job, job.c.id == allocation.c.job_id)
        .join(shape, shape.c.id == job.c.shape_id)
        .where(allocation.c.attempt_id.in_(keys), *ALIVE)
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)
TURNS = Statement(
    select(
        *(attempt.c.id, attempt.c.rest, job.c.state, allocation.c.cpu_milli),
        *(shape.c.cpu_milli, attempt.c.resize_cpu_milli, shape.c.tasks),
    )
    .select_from(
        allocation.join(attempt, attempt.c.id == allocation.c.attempt_id)
        .join(job, job.c.id == attempt.c.job_id)
        .join(shape, shape.c.id == job.c.shape_id)
    )
    .where(*ALIVE, attempt.c.ended_ms.is_(None))
    .order_by(attempt.c.id, allocation.c.task)
)
SET_REST = Statement(attempt.update().values(rest=const(RESTS)).where(attempt.c.id == param("id")), "id")
REST = Statement(select(attempt.c.rest, attempt.c.slice_ms).where(attempt.c.id == param("id")), "id")
KEEP_RESTING = Statement(
    attempt.update()
    .ordered_values((attempt.c.slice_ms, param("since")), (attempt.c.stood_ms, attempt.c.stood_ms + param("stood")))
    .where(attempt.c.id == param("id")),
    "since",
    "stood",
    "id",
)


def settle(tx: Transaction, attempts: Sequence[int]) -> None:
    """Give back the cpus of those of these attempts that were asked to rest and now stand still."""
    found = tx.link.rows_in(STANDING_STILL, attempts)
    if not found:
        return
    moved: dict[Account, Bundle] = {}
    given: dict[int, int] = {}
    owners = {row[0]: (row[2], row[3]) for row in found}
    for attempt_id, node_id, cpu_milli, _ in tx.link.rows_in(TASKS, sorted(owners)):
        given[node_id] = given.get(node_id, 0) + cpu_milli
        owner = owners[attempt_id]
        moved[owner] = moved.get(owner, NOTHING).minus(Bundle(cpu_milli))
    tx.link.write_many(GIVE_CAPACITY, [(n, n, n, node_id, CPU) for node_id, n in sorted(given.items())])
    for attempt_id in sorted(owners):
        hold_cpus(tx, attempt_id, 0)
    tx.link.write_many(SET_REST, [(attempt_id,) for attempt_id in owners])
    accounts.move(tx, moved)
    for _, job_id, project_id, _, array_id in found:
        tx.emit("job.rests", job_id, project_id, array_id=array_id)


def by_person(tx: Transaction, row: JobRow, *, resume: bool) -> str:
    """A person wants a job that rests to stay so, or no longer; what became of that, empty for a job that does not rest.

    It has no turn as long as a person keeps it; afterwards it is as if it had begun to rest just now.
    """
    rest, since_ms = tx.link.row(REST, row.attempt_id) or (0, 0)
    if not rest:
        return ""
    if resume == bool(since_ms):
        return "it rests and goes on when its turn comes" if resume else "it is suspended already"
    tx.link.write(KEEP_RESTING, tx.now_ms if resume else 0, 0 if resume else tx.now_ms - since_ms, row.attempt_id)
    tx.emit("job.task", row.id, row.project_id, array_id=row.array_id)
    return "it goes on when its turn comes" if resume else "it keeps resting until it is resumed"


class Turns:
    """What accepted decisions say of who rests and who goes on, to be written with them."""

    def __init__(self, rows: Mapping[int, JobRow]) -> None:
        self._rows = rows
        self._suspends: list[Suspend] = []
        self._resumes: list[tuple[Resume, int]] = []

    def __bool__(self) -> bool:
        return bool(self._suspends or self._resumes)

    def suspend(self, suspend: Suspend) -> None:
        """Stage that an attempt is asked to rest."""
        self._suspends.append(suspend)

    def resume(self, resume: Resume, cpu_milli: int) -> None:
        """Stage that an attempt goes on, each of its tasks with so much cpu."""
        self._resumes.append((resume, cpu_milli))

    def write(self, tx: Transaction) -> int:
        """Write all that concerns the attempts; the id of a job that is not as it should be, 0 for none."""
        for suspend in self._suspends:
            row = self._rows[suspend.job_id]
            wish = tx.emit("job.suspended", row.id, row.project_id, to_json({"for": suspend.beneficiary}), row.array_id)
            if not tx.link.write(ASK_REST, wish, tx.now_ms, suspend.attempt_id):
                return row.id
            set_state(tx, row, "suspended")
        for resume, cpu_milli in self._resumes:
            row = self._rows[resume.job_id]
            wish = tx.emit("job.resumed", row.id, row.project_id, array_id=row.array_id)
            if not tx.link.write(GO_ON, wish, tx.now_ms, tx.now_ms, resume.attempt_id):
                return row.id
            hold_cpus(tx, resume.attempt_id, cpu_milli)
            set_state(tx, row, "running")
        return 0


def violations(link: Link) -> Iterator[Violation]:
    """What is wrong with those who rest, and with what those who do not hold of cpus."""
    for number, rest, state, cpu_milli, asked_milli, resized_milli, tasks in link.rows(TURNS):
        if rest and state != "suspended":
            yield Violation("who_rests_is_suspended", f"attempt {number}", f"rest {rest}, state {state}")
        least_milli = resized_milli or asked_milli
        if tasks > 1:  # one of them may have been lowered and another not: what was told of all is the most of them
            least_milli = min(1, asked_milli)
        if cpu_milli != 0 if rest == RESTS else not least_milli <= cpu_milli <= asked_milli:
            yield Violation("who_rests_holds_no_cpus", f"attempt {number}", f"rest {rest}, {cpu_milli} of {asked_milli} held")
