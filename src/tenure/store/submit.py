"""Submitting: checks against rows, then one job row (an array: one template row), its dependencies, one event.

Nothing is written before everything is checked, so a refused submission leaves no trace. A dependency that already can never hold
does not refuse the submission: the job is queued and cancelled at once with the reason, so that a pipeline ends the same way however
fast its first job fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tenure.model.amounts import format_duration_ms
from tenure.model.commands import AcquireLease, Applied, DependsOn, Refused, SubmitJob
from tenure.model.job import NO_CAP
from tenure.model.lifecycle import JobState
from tenure.model.queue import Queue
from tenure.store import deps
from tenure.store.caps import refuse_above
from tenure.store.rows import read_jobs
from tenure.store.schema import job
from tenure.store.sql import insert
from tenure.store.statements import ADD_DEPENDENT
from tenure.store.tx import Transaction
from tenure.wire.ids import MAX_ARRAY, format_id, range_size
from tenure.wire.text import clock_text

INSERT_JOB = insert(
    job,
    "id",
    "name",
    "kind",
    "state",
    "spec_id",
    "shape_id",
    "queue_id",
    "project_id",
    "user_id",
    "uid",
    "group_name",
    "priority",
    "submitted_ms",
    "eligible_ms",
    "limit_ms",
    "deadline_ms",
    "grace_ms",
    "retries",
    "blocked",
    "array_ranges",
    "array_size",
    "array_left",
    "array_cap",
    "token_id",
)


@dataclass(slots=True)
class Submissions:
    """Job rows that wait to be inserted together; anything that reads jobs must `write` them first."""

    rows: list[tuple[object, ...]] = field(default_factory=list)

    def write(self, tx: Transaction) -> None:
        """Insert what was collected."""
        if self.rows:
            tx.link.write_many(INSERT_JOB, self.rows)
            self.rows = []


@dataclass(frozen=True, slots=True)
class _Wait:
    """One dependency, judged: ``holds`` None while the other job goes on."""

    on: DependsOn
    on_id: str
    state: str
    holds: bool | None


def submit(tx: Transaction, command: SubmitJob | AcquireLease, collected: Submissions) -> Applied | Refused:
    """Queue a job or refuse it."""
    request = command.request
    queue = tx.names.queues(tx.link).get(request.queue)
    if queue is None:
        return Refused(
            "not_found", f"there is no queue {request.queue!r}; see tenure queue, or make it with tenure queue set {request.queue}"
        )
    limit_ms = request.limit_ms or queue.default_limit_ms
    refusal = _refusal(tx, command, queue, limit_ms) or refuse_above(tx, command, limit_ms, collected)
    if refusal is not None:
        return refusal
    waits: list[_Wait] = []
    if request.after:
        collected.write(tx)
        judged = _judge(tx, request.after)
        if isinstance(judged, Refused):
            return judged
        waits = judged
    job_id = _collect(tx, command, queue, limit_ms, waits, collected)
    note = ""
    if waits:
        collected.write(tx)
        note = _wait_for(tx, job_id, waits)
    return Applied(job_id, tx.event_seq, note=note)


def _collect(
    tx: Transaction, command: SubmitJob | AcquireLease, queue: Queue, limit_ms: int, waits: list[_Wait], collected: Submissions
) -> int:
    """Stage the row of a job and what is told of it; its number."""
    request, job_id = command.request, tx.next_job()
    state = JobState.HELD.value if request.hold else JobState.PENDING.value
    size = sum(range_size(item) for item in request.array)
    project_id, user_id = tx.names.project_id(tx.link, request.project), tx.names.user_id(tx.link, command.caller)
    tx.lines.add((project_id, user_id, queue.id, state), 1)
    collected.rows.append(
        (
            job_id,
            request.name,
            request.kind,
            state,
            tx.names.spec_id(tx.link, command.spec),
            tx.names.shape_id(tx.link, request.shape),
            queue.id,
            project_id,
            user_id,
            command.caller.uid,
            request.group,
            request.priority,
            tx.now_ms,
            request.not_before_ms,
            limit_ms,
            request.deadline_ms,
            request.grace_ms,
            request.retries,
            sum(not wait.holds for wait in waits),
            msgspec.json.encode(request.array).decode() if size else "",
            size,
            size,
            request.array_cap if size else NO_CAP,
            command.caller.token,
        )
    )
    tx.emit("job.submitted", job_id, project_id)
    return job_id


def _refusal(tx: Transaction, command: SubmitJob | AcquireLease, queue: Queue, limit_ms: int) -> Refused | None:
    request = command.request
    if not command.spec.argv:
        return Refused("malformed", "a job needs a command; write it after --")
    if not 1 <= request.priority <= 10:
        return Refused("malformed", f"priority {request.priority} is not on the scale; write 1 (low) to 10 (critical)")
    if isinstance(command, SubmitJob) and (late := past_deadline(tx, request.deadline_ms)) is not None:
        return late
    too_long = limit_refusal(queue, limit_ms)
    if too_long is not None:
        return too_long
    if sum(range_size(item) for item in request.array) > MAX_ARRAY:
        return Refused("malformed", f"an array has at most {MAX_ARRAY} elements; split it into several arrays")
    return None


def past_deadline(tx: Transaction, deadline_ms: int) -> Refused | None:
    """Why a job cannot have this deadline (0: none): it is over, so that the job would be cancelled or, worse, run after it."""
    if 0 < deadline_ms <= tx.now_ms:
        return Refused("bad_time", f"the deadline {clock_text(deadline_ms)} is past; name one to come, such as +2h")
    return None


def limit_refusal(queue: Queue, limit_ms: int) -> Refused | None:
    """Why a queue does not allow this time limit (0: none)."""
    if queue.max_limit_ms and (limit_ms == 0 or limit_ms > queue.max_limit_ms):
        return Refused(
            "limit_too_long", f"queue {queue.name} allows at most {format_duration_ms(queue.max_limit_ms)}; ask for less with --time"
        )
    return None


def _judge(tx: Transaction, after: tuple[DependsOn, ...]) -> list[_Wait] | Refused:
    wanted: dict[int, DependsOn] = {}
    for item in after:
        if item.condition not in deps.CONDITIONS:
            return Refused("malformed", f"{item.condition!r} is not a condition; write ok, any or failed")
        if wanted.setdefault(item.job_id, item).condition != item.condition:
            return Refused("malformed", f"job {item.job_id} is waited for with two conditions; write it once")
    rows = read_jobs(tx.link, sorted(wanted))
    missing = sorted(set(wanted) - set(rows))
    if missing:
        return Refused("not_found", f"there is no job {missing[0]} to wait for; see tenure ps")
    cycle = deps.find_cycle(tx.link, tx.job_seq + 1, sorted(wanted))
    if cycle:
        return Refused("dependency_cycle", f"jobs {' -> '.join(map(str, cycle))} would wait for each other; leave one of them out")
    return [
        _Wait(
            item,
            format_id(item.job_id, rows[item.job_id].array_id or 0, rows[item.job_id].array_index),
            rows[item.job_id].state,
            deps.verdict(item.condition, rows[item.job_id].state),
        )
        for item in (wanted[number] for number in sorted(wanted))
    ]


def _wait_for(tx: Transaction, job_id: int, waits: list[_Wait]) -> str:
    """Write the dependency rows; a note when one of them can never hold, and the job is cancelled for it."""
    tx.link.write_many(deps.INSERT_DEPENDENCY, [(job_id, wait.on.job_id, wait.on.condition, 1 if wait.holds else 0) for wait in waits])
    tx.link.write_many(ADD_DEPENDENT, [(1, wait.on.job_id) for wait in waits])
    never = next((wait for wait in waits if wait.holds is False), None)
    if never is None:
        return ""
    from tenure.store.ending import Endings

    why = deps.never_why(never.on_id, never.state, never.on.condition)
    endings = Endings(tx)
    endings.end_waiting(read_jobs(tx.link, [job_id])[job_id], JobState.CANCELLED, why)
    endings.write()
    return why
