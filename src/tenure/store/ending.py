"""What follows when jobs end or wait again: their rows, their arrays, the jobs that depend on them; followed until nothing is left.

Everything is collected and written by `Endings.write`. Invariant: an ended job never keeps a waiting dependent that can never start,
and a template ends in the same transaction as its last element.
"""

from __future__ import annotations

from tenure.core.successors import pace_after
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.model.outcomes import JobChange
from tenure.store import arrays, deps
from tenure.store.outcome import Result
from tenure.store.rows import JobRow, read_jobs, waiting_elements
from tenure.store.schema import job
from tenure.store.sql import Statement, param
from tenure.store.statements import SET_STATE
from tenure.store.tx import Transaction, to_json
from tenure.wire.ids import format_id

SETTLE_JOB = Statement(
    job.update()
    .ordered_values(
        (job.c.state, param("state")),
        (job.c.eligible_ms, param("eligible")),
        (job.c.retried, param("retried")),
        (job.c.node_faults, param("faults")),
        (job.c.attempt_id, param("attempt")),
        (job.c.started_ms, param("started")),
        (job.c.ended_ms, param("ended")),
        (job.c.exit_code, param("exit_code")),
        (job.c.signal, param("signal")),
        (job.c.end_reason, param("end_reason")),
        (job.c.why, param("why")),
        (job.c.cpu_ms, param("cpu")),
        (job.c.peak_memory_bytes, param("peak")),
        (job.c.ran_ms, job.c.ran_ms + param("ran")),
    )
    .where(job.c.id == param("id")),
    "state",
    "eligible",
    "retried",
    "faults",
    "attempt",
    "started",
    "ended",
    "exit_code",
    "signal",
    "end_reason",
    "why",
    "cpu",
    "peak",
    "ran",
    "id",
)

_ENDED = frozenset(state.value for state in ENDED_STATES)


def set_state(tx: Transaction, row: JobRow, state: str) -> None:
    """Have a job in another state than its row was read with; nothing else of it changes."""
    tx.link.write(SET_STATE, state, row.id)
    tx.move(row, state)


class _Open:
    """What changes of a template: deltas of its counters, and new values where an act sets them."""

    __slots__ = ("dropped", "ends", "left", "live", "next", "pace_ms", "reopened", "state")

    def __init__(self, row: JobRow) -> None:
        self.live = 0
        self.ends = [0, 0, 0, 0, 0]
        self.left = row.array_left
        self.next = row.array_next
        self.dropped = row.array_dropped
        self.pace_ms = row.array_pace_ms
        self.state = row.state
        self.reopened = False


class Endings:
    """Collects ends of jobs within one transaction. Rows given to it are as they were read; they are not read again."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._jobs: list[tuple[object, ...]] = []
        self._templates: dict[int, JobRow] = {}
        self._open: dict[int, _Open] = {}
        self._ended: list[tuple[JobRow, str]] = []
        self.changes: list[JobChange] = []

    def template(self, array_id: int) -> _Open:
        """The pending changes of an array; its row is read once."""
        found = self._open.get(array_id)
        if found is None:
            row = self._templates.get(array_id) or read_jobs(self._tx.link, [array_id])[array_id]
            self.know(row)
            found = self._open[array_id] = _Open(row)
        return found

    def know(self, template: JobRow) -> None:
        """A template row that the caller has read already."""
        self._templates.setdefault(template.id, template)

    def end_waiting(self, row: JobRow, state: JobState, why: str) -> None:
        """End a job that waits and holds nothing new. For a template this ends the rest of it that is not rows."""
        tx = self._tx
        if row.is_array:
            template = self._known(row)
            template.ends[arrays.ENDS[state.value]] += template.left
            template.dropped += template.left
            template.left = 0
            template.next = row.array_size
            template.state = JobState.RUNNING.value
            tx.emit("job.updated", row.id, row.project_id, to_json({"dropped": template.dropped, "why": why}))
            return
        values = (0, tx.now_ms, None, 0, "", why, 0, 0, 0, row.id)
        tx.move(row, state.value)
        self._jobs.append((state.value, row.eligible_ms, row.retried, row.node_faults, row.attempt_id, *values))
        if row.array_id:
            self.template(row.array_id).ends[arrays.ENDS[state.value]] += 1
        self._note_end(row, state.value, {"state": state.value, "why": why}, gone=row.attempt_id == 0)

    def settle(self, row: JobRow, result: Result, attempt_id: int, started_ms: int, ended_ms: int, cpu_ms: int, peak: int) -> None:
        """The attempt of a job is over: it ends or waits again. ``attempt_id`` is 0 once nothing of it is held any more."""
        state = result.state.value
        over = state in _ENDED
        self._tx.move(row, state)
        self._jobs.append(
            (
                state,
                result.eligible_ms if not over else row.eligible_ms,
                result.retried if not over else row.retried,
                result.node_faults,
                attempt_id,
                started_ms if over else 0,
                ended_ms if over else None,
                result.exit_code,
                result.signal,
                result.end_reason,
                result.why,
                cpu_ms,
                peak,
                max(0, ended_ms - started_ms) if started_ms else 0,
                row.id,
            )
        )
        if row.array_id:
            template = self.template(row.array_id)
            template.live -= 1
            if over:
                template.ends[arrays.ENDS[state]] += 1
                template.pace_ms = pace_after(template.pace_ms, ended_ms - started_ms if started_ms else 0)
        data = {
            "state": state,
            "attempt": row.attempts,
            "exit_code": result.exit_code,
            "signal": result.signal,
            "reason": result.end_reason,
        }
        if result.why:
            data["why"] = result.why
        if over:
            self._note_end(row, state, data, gone=attempt_id == 0)
        else:
            data["outcome"] = result.outcome
            self._tx.emit("job.requeued", row.id, row.project_id, to_json(data), row.array_id)
            self.changes.append(JobChange(row.id, state, row.array_id or 0))

    def _known(self, row: JobRow) -> _Open:
        self.know(row)
        return self.template(row.id)

    def _note_end(self, row: JobRow, state: str, data: dict[str, object], *, gone: bool) -> None:
        self._tx.emit("job.ended", row.id, row.project_id, to_json(data), row.array_id, gone=gone)
        self.changes.append(JobChange(row.id, state, row.array_id or 0))
        if row.dependents:
            self._ended.append((row, state))

    def write(self) -> None:
        """Write what was collected and everything that follows from it."""
        while self._jobs or self._open or self._ended:
            jobs, self._jobs = self._jobs, []
            self._tx.link.write_many(SETTLE_JOB, jobs)
            opened, self._open = self._open, {}
            for array_id in sorted(opened):
                self._write_template(self._templates.pop(array_id), opened[array_id])
            ended, self._ended = self._ended, []
            if ended:
                self._resolve(ended)

    def _write_template(self, row: JobRow, change: _Open) -> None:
        tx = self._tx
        ended_ms = None if change.reopened else row.ended_ms
        state = change.state
        if change.left == 0 and row.array_live + change.live == 0 and ended_ms is None:
            counts = self._counts(row.id, change)
            if sum(counts) == row.array_size:
                state = _array_state(counts)
                ended_ms = tx.now_ms
        standing = arrays.Standing(state, row.started_ms, ended_ms, change.next, change.left, change.dropped, change.pace_ms)
        arrays.write_template(tx, row, standing, change.live, change.ends)
        if ended_ms is not None and row.ended_ms is None:
            self._note_end(row, state, {"state": state}, gone=True)

    def _counts(self, array_id: int, change: _Open) -> list[int]:
        found = self._tx.link.row(arrays.END_COUNTS, array_id) or (0, 0, 0, 0, 0)
        return [old + more for old, more in zip(found, change.ends, strict=True)]

    def _resolve(self, ended: list[tuple[JobRow, str]]) -> None:
        """Let go, or cancel, the jobs that waited for these."""
        tx = self._tx
        by_id = {row.id: (row, state) for row, state in ended}
        satisfied: list[tuple[int, int]] = []
        never: dict[int, str] = {}
        for on_job, job_id, condition in tx.link.rows_in(deps.WAITING_ON, sorted(by_id)):
            row, state = by_id[on_job]
            if deps.verdict(condition, state):
                satisfied.append((job_id, on_job))
            else:
                on_id = format_id(row.id, row.array_id or 0, row.array_index)
                never.setdefault(job_id, deps.never_why(on_id, state, condition))
        tx.link.write_many(deps.SATISFY, satisfied)
        tx.link.write_many(deps.UNBLOCK, [(job_id,) for job_id, _ in satisfied])
        for job_id, row in sorted(read_jobs(tx.link, sorted({job_id for job_id, _ in satisfied} | never.keys())).items()):
            if row.ended_ms is not None or not (row.is_array or row.state in ("held", "pending")):
                continue
            elements = waiting_elements(tx.link, job_id) if row.is_array else []
            for one in (*elements, row):
                if job_id in never:
                    self.end_waiting(one, JobState.CANCELLED, never[job_id])
                elif not row.blocked:
                    tx.emit("job.ready", one.id, one.project_id)


def _array_state(counts: list[int]) -> str:
    _, failed, cancelled, timed_out, lost = counts
    if failed or timed_out or lost:
        return JobState.FAILED.value
    return JobState.CANCELLED.value if cancelled else JobState.SUCCEEDED.value
