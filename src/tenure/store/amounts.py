"""Changing what a job that runs holds: on behalf of its owner, or of the scheduler when it uses much less than it holds.

A change is a decision like any other (`tenure.core.resizing`), verified under the same locks as the start of a job. The scheduler
lowers a job once at most, and never one of which its owner has said what it is to hold; what it has lowered it may only give back.
Invariant: what is refused has written nothing.
"""

from __future__ import annotations

from sqlalchemy import select

from tenure.model.commands import LEASE, Answer, Applied, Refused, UpdateJob
from tenure.model.lifecycle import AllocationState
from tenure.model.plan import Decision, Rejection, Resize
from tenure.store.commit import Batch
from tenure.store.outcome import BY_SCHEDULER
from tenure.store.rows import JobRow
from tenure.store.schema import allocation, attempt
from tenure.store.sql import Rows, Statement, const, param
from tenure.store.tx import Transaction
from tenure.wire.ids import format_id
from tenure.wire.text import amounts_text

SINCE_TOLD = 2
"""An attempt was lowered by the scheduler, and its owner has said since what it is to hold."""
_WANTED = ("stop_reason", "resize_cpu_milli", "resize_memory_bytes", "shrunk", "resize_due")
ATTEMPT = Statement(select(*(attempt.c[name] for name in _WANTED)).where(attempt.c.id == param("id")), "id")
TASKS = Statement(
    select(*(allocation.c[name] for name in ("state", "room", "cpu_milli", "memory_bytes"))).where(
        allocation.c.attempt_id == param("id"), allocation.c.released_at_ms.is_(None)
    ),
    "id",
)
KEEP = Statement(
    attempt.update()
    .ordered_values((attempt.c.resize_cpu_milli, param("cpu")), (attempt.c.resize_memory_bytes, param("memory")))
    .where(attempt.c.id == param("id"), attempt.c.resize_due == const(0)),
    *("cpu", "memory", "id"),
)
BEFORE = Statement(select(attempt.c.previous_id, attempt.c.shrunk).where(attempt.c.id == param("id")), "id")
SHRUNK = Statement(attempt.update().values(shrunk=const(BY_SCHEDULER)).where(attempt.c.id == param("id")), "id")
TOLD = Statement(
    attempt.update().values(shrunk=const(SINCE_TOLD)).where(attempt.c.id == param("id"), attempt.c.shrunk == const(BY_SCHEDULER)), "id"
)
KEPT = "its owner has said what it holds, or it was lowered before: it keeps that"


class Change:
    """A change of what a job holds that was found possible, to be written. ``batch`` None: it holds that, and now somebody said so."""

    def __init__(self, row: JobRow, wanted: tuple[int, int], batch: Batch | None, *, unasked: bool) -> None:
        self._row = row
        self._wanted = wanted
        self._batch = batch
        self._unasked = unasked

    def write(self, tx: Transaction) -> None:
        """Write it."""
        tx.link.write(SHRUNK if self._unasked else TOLD, self._row.attempt_id)
        if self._batch is None:
            tx.link.write(KEEP, *self._wanted, self._row.attempt_id)
            tx.emit("job.updated", self._row.id, self._row.project_id, '{"changed":["amounts"]}', self._row.array_id)
            return
        self._batch.staged.write(tx)


def change_of(tx: Transaction, command: UpdateJob, row: JobRow) -> Change | Answer:
    """The change that a command wants of a job that has started, or the answer where there is none to be made."""
    name = format_id(row.id, row.array_id or 0, row.array_index)
    found = tx.link.row(ATTEMPT, row.attempt_id)
    tasks = tx.link.rows(TASKS, row.attempt_id)
    refusal = _not_now(row, name, tasks, found is None or bool(found[0]))
    if refusal is not None or found is None:
        return refusal or Refused("not_running", f"job {name} does not run")
    asked = tx.names.shape(tx.link, row.shape_id).amounts
    is_told = bool(found[1] or found[2])
    now = (found[1], found[2]) if is_told else (asked.cpu_milli, asked.memory_bytes)
    wishes = (command.cpu_milli, command.memory_bytes)
    wanted = tuple(present if wish is None else wish for wish, present in zip(wishes, now, strict=True))
    unasked = command.caller.via == "daemon"
    if unasked:
        is_lowered = found[3] == BY_SCHEDULER
        if not is_lowered and (is_told or _was_shrunk(tx, row.attempt_id)):
            return Applied(row.id, tx.event_seq, note=KEPT)
        wanted = tuple(map(max if is_lowered else min, wanted, now))
    if wanted[0] > asked.cpu_milli or wanted[1] > asked.memory_bytes:
        whole = amounts_text(asked.cpu_milli, asked.memory_bytes)
        return Refused(
            "above_ask", f"job {name} asked for {whole}: while it runs it may hold less, or that again; submit it anew for more"
        )
    if (asked.cpu_milli and not wanted[0]) or (asked.memory_bytes and not wanted[1]):
        return Refused("malformed", f"job {name} would be left without cpu or memory; name the amount that it needs")
    is_on_its_way = bool(found[4])
    if wanted == now and (is_on_its_way or all((cpu_milli, memory_bytes) == now for _, _, cpu_milli, memory_bytes in tasks)):
        is_known = unasked or (is_told and found[3] != BY_SCHEDULER)
        return Applied(row.id, tx.event_seq, note="nothing changes") if is_known else Change(row, now, None, unasked=False)
    decision = Decision(resizes=(Resize(row.id, row.attempt_id, wanted[0], wanted[1], command.why),))
    batch = Batch(tx, [decision])
    rejection = batch.judge(decision)
    return _refused(rejection, name) if rejection is not None else Change(row, (wanted[0], wanted[1]), batch, unasked=unasked)


def _not_now(row: JobRow, name: str, tasks: Rows, is_stopping: bool) -> Refused | None:
    if row.kind == LEASE:
        return Refused("is_a_lease", f"{name} is a lease: its holder has it as it was granted; release it and ask anew")
    if row.state != "running" or is_stopping:
        state = "being stopped" if row.state == "running" else row.state
        return Refused("not_running", f"job {name} is {state}; what it holds can change while it runs")
    if any(room is not None for _, room, *_ in tasks):
        return Refused("shares_room", f"job {name} hands its room on to other elements of its array, so it keeps the room as it is")
    if any(state != AllocationState.ACTIVE.value for state, *_ in tasks):
        return Refused("not_running", f"not all tasks of job {name} run; try again when they do")
    return None


def _was_shrunk(tx: Transaction, attempt_id: int) -> bool:
    while attempt_id:
        found = tx.link.row(BEFORE, attempt_id)
        if found is None:
            return False
        attempt_id, shrunk = found
        if shrunk:
            return True
    return False


def _refused(rejection: Rejection, name: str) -> Refused:
    if rejection.code == "no_room":
        return Refused("no_room", f"job {name} cannot have that back now: others hold it or are promised it; try again later")
    if rejection.code == "reserved":
        return Refused("reserved", f"what job {name} would have back is set aside for others (tenure reservations); try again later")
    if rejection.code == "maximum":
        return Refused("no_room", f"job {name} cannot have that back now: {rejection.detail}")
    return Refused("not_running", f"job {name} does not run any more")
