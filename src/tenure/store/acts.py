"""What people do to jobs, nodes and queues. Each act checks first and writes then; an act on an array acts on all of it.

Acts on a running job never wait for it: they write what is wanted (a stop, a pause) and the loop carries it to the executor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from tenure.model.commands import (
    LEASE,
    Answer,
    Applied,
    CancelJob,
    Command,
    EndGuidance,
    Guide,
    HoldJob,
    MakeReservation,
    Refused,
    ReleaseJob,
    ReleaseLease,
    RemoveReservation,
    RenewLease,
    RequeueJob,
    ResolveConflict,
    SetNode,
    SetPolicy,
    SetQueue,
    SuspendJob,
    UpdateJob,
)
from tenure.model.lifecycle import ENDED_STATES, JobState, NodeStatus
from tenure.model.simulation import BeginSimulation
from tenure.store import arrays, resting
from tenure.store.caps import refuse_more
from tenure.store.choosing import choose
from tenure.store.ending import Endings, set_state
from tenure.store.guiding import end as end_guidance
from tenure.store.guiding import guide
from tenure.store.intern import INSERT_QUEUE, next_id
from tenure.store.leases import renew
from tenure.store.nodes import NODE_BY_NAME, WRITE_WANTED
from tenure.store.people import SETTERS as PEOPLE
from tenure.store.releasing import release
from tenure.store.requeue import requeue_all
from tenure.store.reserving import reserve, unreserve
from tenure.store.resolving import resolve
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import attempt, queue
from tenure.store.simulated import begin as begin_simulation
from tenure.store.sql import Statement, param
from tenure.store.tx import Transaction, to_json
from tenure.store.update import update
from tenure.store.wishes import ASK_SIGNAL, ASK_STOP
from tenure.wire.ids import format_id

STOPS = Statement(select(attempt.c.stop_reason).where(attempt.c.id == param("id")), "id")
WRITE_QUEUE = Statement(
    queue.update()
    .ordered_values(
        (queue.c.paused, param("paused")),
        (queue.c.default_limit_ms, param("default")),
        (queue.c.max_limit_ms, param("most")),
        (queue.c.bonus, param("bonus")),
    )
    .where(queue.c.id == param("id")),
    "paused",
    "default",
    "most",
    "bonus",
    "id",
)

_ENDED = frozenset(state.value for state in ENDED_STATES)
_WAITING = frozenset({"held", "pending"})
JobCommand = CancelJob | HoldJob | ReleaseJob | RequeueJob | SuspendJob | UpdateJob


def act(tx: Transaction, command: Command) -> Answer:
    """Carry out a command that is not a submission."""
    setter = _SETTERS.get(type(command))
    if setter is not None:
        return setter(tx, command)
    if not isinstance(command, JobCommand):
        return Refused("malformed", f"the store does not know {type(command).__name__}; upgrade Tenure")
    row = read_jobs(tx.link, [command.job_id]).get(command.job_id)
    if row is None:
        return Refused("not_found", f"there is no job {command.job_id}; see tenure ps --all")
    refusal = _not_allowed(tx, command, row) or _refusal(command, row)
    if refusal is not None:
        return refusal
    if row.is_array and command.position >= 0:
        found = tx.link.row(arrays.ELEMENT_AT, row.id, command.position)
        if found is None:
            return _on_waiting_element(tx, command, row)
        row = read_jobs(tx.link, [int(found[0])])[int(found[0])]
    return _on_row(tx, command, row)


def _not_allowed(tx: Transaction, command: JobCommand, row: JobRow) -> Refused | None:
    if not command.caller.acts_on(row.uid, tx.names.project_name(tx.link, row.project_id)):
        return Refused("not_yours", f"job {row.id} belongs to another user; ask them, or an operator")
    return refuse_more(command, row, tx.names.shape(tx.link, row.shape_id))


def _refusal(command: JobCommand, row: JobRow) -> Refused | None:
    if row.kind == LEASE and isinstance(command, SuspendJob | RequeueJob):
        return Refused("is_a_lease", f"{row.id} is a lease: its holder has it or not; tenure cancel takes it back")
    if command.position >= 0 and not row.is_array:
        return Refused("not_an_array", f"job {row.id} is not an array; name it without an element")
    if command.position >= row.array_size > 0:
        return Refused("not_found", f"array {row.id} has {row.array_size} elements only")
    return None


def _on_row(tx: Transaction, command: JobCommand, row: JobRow) -> Answer:
    if isinstance(command, CancelJob):
        return _each(tx, row, lambda one, endings: _cancel(tx, one, endings, command.why or "a person cancelled it"))
    if isinstance(command, HoldJob):
        return _each(tx, row, lambda one, _: _hold(tx, one))
    if isinstance(command, ReleaseJob):
        return _each(tx, row, lambda one, _: _release(tx, one))
    if isinstance(command, RequeueJob):
        return requeue_all(tx, row)
    if isinstance(command, SuspendJob):
        return _each(tx, row, lambda one, _: _suspend(tx, one, resume=command.resume))
    return update(tx, command, row)


def _each(tx: Transaction, row: JobRow, change: Callable[[JobRow, Endings], str | Refused]) -> Answer:
    """Act on a job, or on an array's elements and then on the rest of it. Refused only if nothing could be acted on."""
    endings = Endings(tx)
    rows = [row]
    if row.is_array:
        elements = [number for (number,) in tx.link.rows(arrays.OPEN_ELEMENTS, row.id)]
        found = read_jobs(tx.link, elements)
        endings.know(row)
        rows = [*(found[number] for number in elements), row]
    outcomes = [change(one, endings) for one in rows]
    endings.write()
    notes = [note for note in outcomes if not isinstance(note, Refused)]
    if not notes:
        return outcomes[-1] if isinstance(outcomes[-1], Refused) else Applied(row.id, tx.event_seq)
    return Applied(row.id, tx.event_seq, note=notes[-1])


def _cancel(tx: Transaction, row: JobRow, endings: Endings, why: str) -> str:
    if row.is_array:
        if row.array_left:
            endings.end_waiting(row, JobState.CANCELLED, why)
        return "" if row.ended_ms is None else "it has ended already"
    if row.state in _ENDED:
        return "it has ended already"
    if row.state in _WAITING:
        endings.end_waiting(row, JobState.CANCELLED, why)
        return ""
    if not stop(tx, row, "cancelled", why):
        return "it is being stopped already"
    return ""


def stop(tx: Transaction, row: JobRow, reason: str, why: str) -> bool:
    """Ask for the end of a running job's attempt; False when that was asked for already."""
    present = tx.link.row(STOPS, row.attempt_id)
    if present is not None and present[0] in (reason, "cancelled"):
        return False
    wish = tx.emit("job.stopping", row.id, row.project_id, to_json({"reason": reason, "why": why}))
    tx.link.write(ASK_STOP, reason, why, tx.now_ms, wish, row.attempt_id)
    return True


def stands(state: str) -> str:
    """How a job stands, behind its name: ``is running``, ``has ended (failed)``."""
    return f"has ended ({state.replace('_', ' ')})" if state in _ENDED else f"is {state}"


def _hold(tx: Transaction, row: JobRow) -> str | Refused:
    name = format_id(row.id, row.array_id or 0, row.array_index)
    if row.is_array and not (row.array_left and row.ended_ms is None):
        return Refused("not_waiting", f"nothing of array {name} waits any more; cancel it to stop it")
    if row.state not in _WAITING:
        return Refused("not_waiting", f"job {name} {stands(row.state)}; only a waiting job can be held (suspend pauses a running one)")
    if row.state == "held":
        return "it is held already"
    set_state(tx, row, "held")
    tx.emit("job.held", row.id, row.project_id)
    return ""


def _release(tx: Transaction, row: JobRow) -> str | Refused:
    if row.state == "held":
        set_state(tx, row, "pending")
        tx.emit("job.unheld", row.id, row.project_id)
        return ""
    if row.state == "pending":
        return "it is not held"
    name = format_id(row.id, row.array_id or 0, row.array_index)
    return Refused("not_waiting", f"job {name} {stands(row.state)}; only a held job can be released")


def _suspend(tx: Transaction, row: JobRow, *, resume: bool) -> str | Refused:
    name = format_id(row.id, row.array_id or 0, row.array_index)
    wanted, present = ("running", "suspended") if resume else ("suspended", "running")
    if row.is_array:
        return Refused("not_running", f"nothing of array {name} is {present}")
    if row.state == "suspended":
        note = resting.by_person(tx, row, resume=resume)
        if note:
            return note
    if row.state == wanted:
        return f"it is {wanted} already"
    if row.state != present:
        return Refused(
            "not_running", f"job {name} {stands(row.state)}; only a {present} job can be {'resumed' if resume else 'suspended'}"
        )
    stopping = tx.link.row(STOPS, row.attempt_id)
    if stopping is not None and stopping[0]:
        return Refused("not_running", f"job {name} is being stopped")
    set_state(tx, row, wanted)
    wish = tx.emit("job.resumed" if resume else "job.suspended", row.id, row.project_id)
    tx.link.write(ASK_SIGNAL, "resume" if resume else "suspend", wish, row.attempt_id)
    return ""


def _on_waiting_element(tx: Transaction, command: JobCommand, template: JobRow) -> Answer:
    """Act on an element that is not a row: make it one where the act changes it."""
    if template.array_left == 0:
        return _on_dropped_element(tx, command, template)
    if isinstance(command, SuspendJob):
        name = format_id(0, template.id, arrays.index_at(template.array_ranges, command.position))
        return Refused("not_running", f"job {name} has not started")
    if isinstance(command, RequeueJob) or (isinstance(command, ReleaseJob) and template.state != "held"):
        return Applied(template.id, tx.event_seq, note="it waits already" if isinstance(command, RequeueJob) else "it is not held")
    if isinstance(command, CancelJob | UpdateJob):
        return _on_row(tx, command, arrays.materialise(tx, template, command.position, template.state))
    held = isinstance(command, HoldJob)
    row = arrays.materialise(tx, template, command.position, "held" if held else "pending")
    tx.emit("job.held" if held else "job.unheld", row.id, row.project_id, array_id=template.id)
    return Applied(row.id, tx.event_seq)


def _on_dropped_element(tx: Transaction, command: JobCommand, template: JobRow) -> Answer:
    """Act on an element that was cancelled with its array before it was a row."""
    if isinstance(command, CancelJob):
        return Applied(template.id, tx.event_seq, note="it has ended already")
    if isinstance(command, RequeueJob):
        return requeue_all(tx, template, only=command.position)
    name = format_id(0, template.id, arrays.index_at(template.array_ranges, command.position))
    return Refused("not_waiting", f"job {name} was cancelled before it started; requeue runs it")


def set_node(tx: Transaction, command: SetNode) -> Answer:
    """Drain, resume or mark a node."""
    row = tx.link.row(NODE_BY_NAME, command.name)
    if row is None:
        return Refused("not_found", f"there is no node {command.name!r}; see tenure nodes")
    if command.status not in {status.value for status in NodeStatus}:
        return Refused("malformed", f"{command.status!r} is not a status; write up or draining")
    reason = command.reason if command.status != "up" else ""
    if (row[1], row[2]) == (command.status, reason):
        return Applied(0, tx.event_seq, note=f"it is {command.status} already")
    tx.before = {"status": row[1], "reason": row[2]}
    tx.link.write(WRITE_WANTED, command.status, reason, row[0])
    data = {"nodes": [command.name], "status": command.status, "reason": reason, "by": command.caller.user}
    return Applied(0, tx.emit("node.changed", data=to_json(data)))


def set_queue(tx: Transaction, command: SetQueue) -> Answer:
    """Make or change a queue."""
    present = tx.names.queues(tx.link).get(command.name)
    wanted: list[Any] = [command.paused, command.default_limit_ms, command.max_limit_ms, command.bonus]
    old = [present.paused, present.default_limit_ms, present.max_limit_ms, present.bonus] if present else [False, 0, 0, 0]
    values = [int(was if new is None else new) for new, was in zip(wanted, old, strict=True)]
    if not command.name or min(values[1:3]) < 0:
        return Refused("malformed", "a queue has a name, and limits that are not negative")
    if values[2] and values[1] > values[2]:
        return Refused("malformed", f"the default limit of queue {command.name} would be longer than its longest; lower it")
    if present is None:
        tx.link.write(INSERT_QUEUE, next_id(tx.link, queue), command.name, *values)
    elif values == [int(item) for item in old]:
        return Applied(0, tx.event_seq, note="nothing changes")
    else:
        tx.before = dict(zip(("paused", "default_limit_ms", "max_limit_ms", "bonus"), old, strict=True))
        tx.link.write(WRITE_QUEUE, *values, present.id)
    tx.names.forget_queues()
    return Applied(0, tx.emit("queue.changed", data=to_json({"queue": command.name, "by": command.caller.user})))


_SETTERS: dict[type[Any], Callable[[Transaction, Any], Answer]] = {
    RenewLease: renew,
    ReleaseLease: release,
    SetNode: set_node,
    SetQueue: set_queue,
    SetPolicy: choose,
    ResolveConflict: resolve,
    MakeReservation: reserve,
    RemoveReservation: unreserve,
    Guide: guide,
    EndGuidance: end_guidance,
    BeginSimulation: begin_simulation,
    **PEOPLE,
}
"""Who carries out what is no act on a job that a person names."""
