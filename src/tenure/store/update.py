"""Changing a job after its submission: everything of a waiting one, little of a running one, nothing of an ended one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenure.core.set_aside import reaching
from tenure.model.commands import LEASE, Answer, Applied, Refused, UpdateJob
from tenure.model.job import limit_until
from tenure.model.lifecycle import ENDED_STATES
from tenure.store import arrays
from tenure.store.amounts import Change, change_of
from tenure.store.leases import SET_EXPIRY
from tenure.store.nodes import read_capacities
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import job
from tenure.store.snapshot import read_holders
from tenure.store.sql import Statement, param
from tenure.store.submit import limit_refusal, past_deadline
from tenure.store.tx import Transaction, to_json
from tenure.store.wishes import ASK_LIMIT
from tenure.wire.ids import format_id
from tenure.wire.text import clock_text

_CHANGEABLE = ("name", "shape_id", "queue_id", "priority", "limit_ms", "deadline_ms", "retries", "array_cap")
WRITE_JOB = Statement(
    job.update().ordered_values(*((job.c[name], param(name)) for name in _CHANGEABLE)).where(job.c.id == param("id")),
    *_CHANGEABLE,
    "id",
)
_WAITING = frozenset({"held", "pending"})
_ASKED = "it runs, and what keeps it to its amounts is being told; tenure show {name} says what it holds then, and why if not that"
"""What becomes of it only its executor can tell: a limit below what it uses would end it."""
_ENDED = frozenset(state.value for state in ENDED_STATES)
_WHILE_RUNNING = frozenset({"name", "priority", "limit_ms"})


def update(tx: Transaction, command: UpdateJob, row: JobRow) -> Answer:
    """Change a job, or an array with all of its elements that have not ended."""
    name = format_id(row.id, row.array_id or 0, row.array_index)
    wanted = _wanted(tx, command)
    if isinstance(wanted, Refused):
        return wanted
    amounts = command.cpu_milli is not None or command.memory_bytes is not None
    impossible = _impossible(row, name, wanted, amounts=amounts)
    if impossible is not None:
        return impossible
    found: Change | Answer = Applied(row.id, tx.event_seq, note="nothing changes")
    if amounts and not row.is_array and row.state not in _WAITING and _is_of_amounts(tx, command, row):
        wanted.pop("shape_id", None)
        found = change_of(tx, command, row)
    if isinstance(found, Refused) or (isinstance(found, Applied) and not wanted):
        return found
    return _carry_out(tx, row, wanted, found if isinstance(found, Change) else None)


def _impossible(row: JobRow, name: str, wanted: dict[str, Any], *, amounts: bool) -> Refused | None:
    if row.state in _ENDED and (wanted or amounts):
        return Refused("ended", f"job {name} has ended; requeue runs it again")
    if "array_cap" in wanted and not row.is_array:
        return Refused("not_an_array", f"job {name} is not an array; it has no cap")
    return None


def _is_of_amounts(tx: Transaction, command: UpdateJob, row: JobRow) -> bool:
    """Whether nothing else of what the job asks for would change than its cpu and memory."""
    if command.shape is None:
        return True
    present = tx.names.shape(tx.link, row.shape_id)
    cpu_milli, memory_bytes = present.amounts.cpu_milli, present.amounts.memory_bytes
    return replace(command.shape, amounts=replace(command.shape.amounts, cpu_milli=cpu_milli, memory_bytes=memory_bytes)) == present


def _carry_out(tx: Transaction, row: JobRow, wanted: dict[str, Any], change: Change | None) -> Answer:
    """Write what is wanted of a job, or say why not; of an array, to those of its elements to which it can be done."""
    rows = [row]
    if row.is_array:
        ids = [number for (number,) in tx.link.rows(arrays.OPEN_ELEMENTS, row.id)]
        found = read_jobs(tx.link, ids)
        rows += [found[number] for number in ids]
    refused = [_refusal(tx, one, wanted) for one in rows]
    if all(refused):
        return refused[0] or Applied(row.id)
    for one, refusal in zip(rows, refused, strict=True):
        if refusal is None and wanted:
            _write(tx, one, wanted)
    if change is not None:
        change.write(tx)
    if any(refused):
        return Applied(row.id, tx.event_seq, note="elements that run keep what they have")
    return Applied(
        row.id, tx.event_seq, note=_ASKED.format(name=format_id(row.id, row.array_id or 0, row.array_index)) if change else ""
    )


def _wanted(tx: Transaction, command: UpdateJob) -> dict[str, Any] | Refused:
    """The columns to change, or why they cannot be."""
    wanted: dict[str, Any] = {
        key: getattr(command, key)
        for key in ("name", "priority", "limit_ms", "deadline_ms", "array_cap", "retries")
        if getattr(command, key) is not None
    }
    if "priority" in wanted and not 1 <= wanted["priority"] <= 10:
        return Refused("malformed", f"priority {wanted['priority']} is not on the scale; write 1 (low) to 10 (critical)")
    if min((wanted.get(key, 0) for key in ("limit_ms", "deadline_ms", "retries")), default=0) < 0 or wanted.get("array_cap", 1) < 1:
        return Refused("malformed", "a limit, a deadline and a count of retries are not negative, and a cap is at least 1")
    if (late := past_deadline(tx, wanted.get("deadline_ms", 0))) is not None:
        return late
    queues = tx.names.queues(tx.link)
    if command.queue is not None:
        found = queues.get(command.queue)
        if found is None:
            return Refused("not_found", f"there is no queue {command.queue!r}; see tenure queue")
        wanted["queue_id"] = found.id
    if command.shape is not None:
        wanted["shape_id"] = tx.names.shape_id(tx.link, command.shape)
    return wanted


def _refusal(tx: Transaction, row: JobRow, wanted: dict[str, Any]) -> Refused | None:
    waits = row.state in _WAITING
    late = sorted(wanted.keys() - _WHILE_RUNNING - ({"array_cap"} if row.is_array else set()))
    if late and not waits:
        name = format_id(row.id, row.array_id or 0, row.array_index)
        return Refused("not_waiting", f"job {name} is {row.state}; only its name, priority, time limit, cpus and memory can change now")
    if "limit_ms" in wanted or "queue_id" in wanted:
        queue_id, limit_ms = wanted.get("queue_id", row.queue_id), wanted.get("limit_ms", row.limit_ms)
        found = limit_refusal(next(queue for queue in tx.names.queues(tx.link).values() if queue.id == queue_id), limit_ms)
        return found or (_runs_into(tx, row, limit_ms) if row.attempt_id and "limit_ms" in wanted else None)
    return None


def _runs_into(tx: Transaction, row: JobRow, limit_ms: int) -> Refused | None:
    """Why a running job cannot have that limit: it would last into what is set aside for others, as it does not now."""
    standing = [found for found in tx.names.reservations(tx.link) if found.until_ms > tx.now_ms]
    own = read_holders(tx.link, (), [row.attempt_id]).get(row.id) if standing else None
    if own is None:
        return None
    if row.deadline_ms:
        limit_ms = limit_until(row.deadline_ms, limit_ms, own.started_ms)
    running = read_holders(tx.link, sorted({held.node_id for held in own.allocations}), ())
    longer = running | {row.id: replace(own, ends_by_ms=own.started_ms + limit_ms if limit_ms else 0)}
    capacity = read_capacities(tx.link)
    for found in standing:
        before, after = (row.id in reaching(found.window, jobs.values(), capacity, tx.now_ms) for jobs in (running, longer))
        if after and not before:
            name, begins = format_id(row.id, row.array_id or 0, row.array_index), clock_text(found.from_ms)
            why = f"with that limit job {name} would run into {found.name}, which begins at {begins} and is not for it"
            return Refused("reserved", f"{why}; choose a shorter one, or tenure unreserve {found.name}")
    return None


def _write(tx: Transaction, row: JobRow, wanted: dict[str, Any]) -> None:
    changes = {key: value for key, value in wanted.items() if key != "array_cap" or row.is_array}
    values = [changes.get(key, getattr(row, key)) for key in _CHANGEABLE]
    tx.link.write(WRITE_JOB, *values, row.id)
    tx.move_to_queue(row, changes.get("queue_id", row.queue_id))
    wish = tx.emit("job.updated", row.id, row.project_id, to_json({"changed": sorted(changes)}))
    if row.attempt_id and "limit_ms" in changes:
        limit_ms = changes["limit_ms"]
        if row.deadline_ms:
            limit_ms = limit_until(row.deadline_ms, limit_ms, row.started_ms or tx.now_ms)
        tx.link.write(ASK_LIMIT, limit_ms, wish, row.attempt_id)
        if row.kind == LEASE and row.started_ms:
            tx.link.write(SET_EXPIRY, row.started_ms + limit_ms, row.id)
