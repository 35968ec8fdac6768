"""Running a job again: an ended one from the start, a running one after it has been stopped."""

from __future__ import annotations

from tenure.model.commands import Answer, Applied, Refused
from tenure.model.lifecycle import ENDED_STATES
from tenure.store import arrays, deps
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import job
from tenure.store.sql import Statement, const, param
from tenure.store.tx import Transaction, to_json
from tenure.store.wishes import ASK_STOP
from tenure.wire.ids import format_id

REOPEN_JOB = Statement(
    job.update()
    .ordered_values(
        (job.c.state, const("pending")),
        (job.c.eligible_ms, const(0)),
        (job.c.retried, const(0)),
        (job.c.node_faults, const(0)),
        (job.c.started_ms, const(0)),
        (job.c.ended_ms, param("ended")),
        (job.c.exit_code, param("exit_code")),
        (job.c.signal, const(0)),
        (job.c.end_reason, const("")),
        (job.c.why, const("")),
    )
    .where(job.c.id == param("id")),
    "ended",
    "exit_code",
    "id",
)
_ENDED = frozenset(state.value for state in ENDED_STATES)


def requeue_all(tx: Transaction, row: JobRow, only: int = -1) -> Answer:
    """Run a job, or every element of an array, again. ``only`` is the position of an element that was dropped before it was a row."""
    if not row.is_array:
        return _requeue(tx, row)
    if only < 0:
        elements = [number for (number,) in tx.link.rows(arrays.ELEMENTS, row.id)]
        found = read_jobs(tx.link, elements)
        for number in elements:
            if found[number].state not in ("held", "pending"):
                _requeue(tx, found[number])
        row = read_jobs(tx.link, [row.id])[row.id]
    if row.array_dropped:
        _bring_back(tx, row, only)
    return Applied(row.id, tx.event_seq)


def _requeue(tx: Transaction, row: JobRow) -> Answer:
    name = format_id(row.id, row.array_id or 0, row.array_index)
    if row.state in ("held", "pending"):
        return Applied(row.id, tx.event_seq, note="it waits already")
    if row.state not in _ENDED:
        wish = tx.emit("job.stopping", row.id, row.project_id, to_json({"reason": "requeued"}))
        tx.link.write(ASK_STOP, "requeued", "a person asked to run it again", tx.now_ms, wish, row.attempt_id)
        return Applied(row.id, tx.event_seq, note="it is being stopped first")
    never = _never(tx, row)
    if never:
        return Refused("dependency_never", f"job {name} cannot run: {never}; requeue that one first")
    tx.link.write(REOPEN_JOB, None, None, row.id)
    tx.move(row, "pending")
    if row.array_id:
        _reopen(tx, row.array_id, row.state)
    tx.emit("job.requeued", row.id, row.project_id, to_json({"state": "pending", "outcome": "requeued"}))
    return Applied(row.id, tx.event_seq)


def _never(tx: Transaction, row: JobRow) -> str:
    """Why its dependencies can never hold as things stand; empty when they still can."""
    for _, on_job, condition, satisfied, state in tx.link.rows_in(deps.ON_JOBS, [row.id]):
        if not satisfied and deps.verdict(condition, state) is False:
            return deps.never_why(str(on_job), state, condition)
    return ""


def _reopen(tx: Transaction, array_id: int, was: str) -> None:
    """An element that had ended ``was`` waits again: so the array goes on."""
    template = read_jobs(tx.link, [array_id])[array_id]
    ends = [0, 0, 0, 0, 0]
    ends[arrays.ENDS[was]] -= 1
    _write(tx, template, template.array_next, template.array_left, template.array_dropped, ends)


def _bring_back(tx: Transaction, template: JobRow, only: int) -> None:
    """Elements that were cancelled before they were rows wait again: all of them, or one as a row of its own."""
    ends = [0, 0, 0, 0, 0]
    cancelled = arrays.ENDS["cancelled"]
    if only >= 0:
        ends[cancelled] = -1
        _write(tx, template, template.array_next, template.array_left, template.array_dropped - 1, ends)
        job_id = tx.next_job()
        tx.link.write(arrays.INSERT_ELEMENT, *arrays.element_values(template, job_id, only, "pending"))
        tx.emit("job.requeued", job_id, template.project_id, to_json({"state": "pending", "outcome": "requeued"}))
        return
    ends[cancelled] = -template.array_dropped
    rows = {position for (position,) in tx.link.rows(arrays.TOUCHED_FROM, template.id, 0)}
    first = next(position for position in range(template.array_size + 1) if position not in rows)
    _write(tx, template, first, template.array_left + template.array_dropped, 0, ends)
    tx.emit("job.requeued", template.id, template.project_id, to_json({"state": "pending", "outcome": "requeued"}))


def _write(tx: Transaction, template: JobRow, following: int, left: int, dropped: int, ends: list[int]) -> None:
    state = "pending" if left else "running"
    if left and template.state == "held":
        state = "held"
    standing = arrays.Standing(state, template.started_ms, None, following, left, dropped, template.array_pace_ms)
    arrays.write_template(tx, template, standing, 0, ends)
