"""What executors report, made rows by the lifecycle tables.

A report is believed only if its task exists, is at the stage the report is about, and carries a fence that is not older than the
task's: repeated and stale reports are counted and ignored, so executors may report as often as they like. An attempt ends when all
its tasks have. Its end gives back what it held in the same transaction where there is evidence that nothing is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenure.model.commands import LEASE
from tenure.model.lifecycle import AllocationState
from tenure.model.observations import (
    RETURNED,
    EndReason,
    LaunchRejected,
    Observation,
    Resized,
    Signal,
    SignalAction,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.model.outcomes import JobChange
from tenure.store import resizing, resting, rooms, wishes
from tenure.store.attempts import WRITE_ATTEMPT, WRITE_TASK, read_attempts
from tenure.store.ending import Endings
from tenure.store.leases import SET_EXPIRY
from tenure.store.outcome import GANG, JOB_FAULT, NODE_FAULT, AttemptRow, TaskRow, judge
from tenure.store.release import give_back
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import job
from tenure.store.sql import Statement, const, param
from tenure.store.statements import CLEAR_ATTEMPT
from tenure.store.tx import Transaction

RUN_JOB = Statement(
    job.update()
    .ordered_values((job.c.state, const("running")), (job.c.started_ms, param("started")), (job.c.node_faults, const(0)))
    .where(job.c.id == param("id"), job.c.state == const("starting")),
    "started",
    "id",
)
_LAUNCHING = AllocationState.LAUNCHING.value
_ACTIVE = AllocationState.ACTIVE.value
_RELEASING = AllocationState.RELEASING.value
_RELEASED = AllocationState.RELEASED.value


class Recording:
    """The observations of one call, applied to rows in memory and then written."""

    def __init__(self, tx: Transaction, observations: Sequence[Observation]) -> None:
        self._tx = tx
        self._endings = Endings(tx)
        self._attempts = read_attempts(tx.link, sorted({item.attempt_id for item in observations}))
        arrays = {entry.array_id for entry in self._attempts.values() if entry.array_id}
        self._jobs = read_jobs(tx.link, sorted({entry.job_id for entry in self._attempts.values()} | arrays))
        for number in sorted(arrays):
            self._endings.know(self._jobs[number])
        self._running: list[tuple[int, int]] = []
        self._freed: list[TaskRow] = []
        self._heard: list[SignalDone] = []
        self._resized: list[Resized] = []
        self._gangs: list[tuple[int, int]] = []
        self.changes: list[JobChange] = []
        self.stops: list[Signal] = []
        self.ignored = 0
        self._observations = observations

    def run(self) -> None:
        """Apply and write everything."""
        for item in self._observations:
            if not self._apply(item):
                self.ignored += 1
        touched = [entry for entry in self._attempts.values() if entry.changed or any(task.changed for task in entry.tasks)]
        if touched:
            self._follow(touched)
        if self._heard:
            resting.settle(self._tx, wishes.hear(self._tx.link, self._heard))
        left = [entry.id for entry in touched if entry.resize_due and entry.ended_ms is None]
        if self._resized or left:
            resizing.settle(self._tx, self._resized, left)

    def _follow(self, touched: list[AttemptRow]) -> None:
        """What the changed attempts mean for their jobs; everything written."""
        for entry in touched:
            if entry.ended_ms is not None:
                continue
            if all(task.ended_ms is not None for task in entry.tasks):
                self._conclude(entry)
            else:
                self._note_running(entry)
        self._write(touched)
        self._give_back()
        self._endings.write()
        self.changes += self._endings.changes
        self.stops = [stop for stop in self.stops if self._goes_on(stop)]

    def _apply(self, item: Observation) -> bool:
        entry = self._attempts.get(item.attempt_id)
        task = next((task for task in entry.tasks if task.task == item.task), None) if entry else None
        if entry is None or task is None or item.fence < task.fence:
            return False
        if isinstance(item, TaskEnded):
            return self._ended(entry, task, item)
        if isinstance(item, TaskStarted):
            return self._started(entry, task, item)
        if isinstance(item, TaskEmptied):
            return self._emptied(task)
        if isinstance(item, SignalDone | Resized):
            return self._answered(entry, task, item)
        return self._rejected(entry, task, item)

    def _answered(self, entry: AttemptRow, task: TaskRow, item: SignalDone | Resized) -> bool:
        if isinstance(item, Resized):
            self._resized.append(item)
        else:
            self._heard.append(item)
        self.changes.append(JobChange(entry.job_id, self._jobs[entry.job_id].state))
        return task.ended_ms is None

    def _goes_on(self, stop: Signal) -> bool:
        """Whether the task that a stop is for had not ended by the end of this call."""
        return any(task.task == stop.task and task.ended_ms is None for task in self._attempts[stop.attempt_id].tasks)

    def _started(self, entry: AttemptRow, task: TaskRow, item: TaskStarted) -> bool:
        if task.state != _LAUNCHING:
            return False
        task.state, task.pid, task.started_ms, task.changed = _ACTIVE, item.pid, item.at_ms, True
        if entry.started_ms is None or item.at_ms < entry.started_ms:
            entry.started_ms = item.at_ms
        entry.changed = True
        return True

    def _ended(self, entry: AttemptRow, task: TaskRow, item: TaskEnded) -> bool:
        if task.ended_ms is not None:
            return False
        task.reason = item.reason.value
        task.exit_code, task.signal = item.exit_code, item.signal
        task.cpu_ms, task.peak_memory_bytes = item.cpu_ms, item.peak_memory_bytes
        task.why = (item.stop_reason or item.why) if item.reason is EndReason.STOPPED else item.why
        task.ended_ms = item.ended_at_ms or self._tx.now_ms
        if task.started_ms is None and item.started_at_ms:
            task.started_ms = item.started_at_ms
        if task.started_ms is not None and (entry.started_ms is None or task.started_ms < entry.started_ms):
            entry.started_ms = task.started_ms
        self._finish_task(entry, task, empty=item.empty)
        return True

    def _rejected(self, entry: AttemptRow, task: TaskRow, item: LaunchRejected) -> bool:
        if task.state != _LAUNCHING:
            return False
        task.reason = JOB_FAULT if item.job_fault else RETURNED if item.code == RETURNED else NODE_FAULT
        task.why = item.why
        task.ended_ms = self._tx.now_ms
        self._finish_task(entry, task, empty=True)
        return True

    def _emptied(self, task: TaskRow) -> bool:
        if task.state != _RELEASING:
            return False
        self._release(task)
        return True

    def _finish_task(self, entry: AttemptRow, task: TaskRow, *, empty: bool) -> None:
        entry.changed = task.changed = True
        task.state = _RELEASING
        if empty:
            self._release(task)
        if len(entry.tasks) > 1 and not task.is_clean:
            self._stop_others(entry)

    def _release(self, task: TaskRow) -> None:
        task.state, task.released_at_ms, task.changed = _RELEASED, self._tx.now_ms, True
        self._freed.append(task)

    def _stop_others(self, entry: AttemptRow) -> None:
        """The first failing task of a gang ends the rest of it."""
        if entry.stop_reason:
            return
        entry.stop_reason = GANG
        wish = self._tx.event_seq + 1
        self._gangs.append((wish, entry.id))
        grace_ms = self._jobs[entry.job_id].grace_ms
        for task in entry.tasks:
            if task.ended_ms is None:
                self.stops.append(Signal(entry.id, task.task, self._tx.leader_epoch, SignalAction.STOP, grace_ms, GANG, wish))

    def _conclude(self, entry: AttemptRow) -> None:
        tx = self._tx
        row = self._jobs[entry.job_id]
        result = judge(row, entry, tx.settings, tx.now_ms, tx.names.shape(tx.link, row.shape_id).amounts.memory_bytes)
        entry.outcome = result.outcome
        tasks = entry.tasks
        entry.ended_ms = max(task.ended_ms or 0 for task in tasks)
        held = any(task.state != _RELEASED for task in tasks)
        self._endings.settle(
            row,
            result,
            entry.id if held else 0,
            entry.started_ms or 0,
            entry.ended_ms,
            sum(task.cpu_ms for task in tasks),
            max(task.peak_memory_bytes for task in tasks),
        )

    def _note_running(self, entry: AttemptRow) -> None:
        """The first task of an attempt runs: so does the job. What else changed of a gang is an event too, for whoever follows."""
        row: JobRow = self._jobs[entry.job_id]
        if row.state == "starting" and row.attempt_id == entry.id and entry.started_ms is not None:
            self._running.append((entry.started_ms, row.id))
            self._tx.move(row, "running")
            if row.kind == LEASE:
                self._tx.link.write(SET_EXPIRY, entry.started_ms + entry.limit_ms, row.id)
            self._tx.emit("job.running", row.id, row.project_id, array_id=row.array_id)
            self.changes.append(JobChange(row.id, "running", row.array_id or 0))
        elif not any(task.attempt_id == entry.id for task in self._freed):
            self._tx.emit("job.task", row.id, row.project_id, array_id=row.array_id)

    def _write(self, touched: list[AttemptRow]) -> None:
        link = self._tx.link
        link.write_many(RUN_JOB, self._running)
        link.write_many(
            WRITE_TASK,
            [
                (
                    task.state,
                    task.released_at_ms,
                    task.pid,
                    task.exit_code,
                    task.signal,
                    task.reason,
                    task.why,
                    task.started_ms,
                    task.ended_ms,
                    task.cpu_ms,
                    task.peak_memory_bytes,
                    task.attempt_id,
                    task.task,
                )
                for entry in touched
                for task in entry.tasks
                if task.changed
            ],
        )
        link.write_many(
            WRITE_ATTEMPT,
            [(entry.started_ms, entry.ended_ms, entry.outcome, entry.id) for entry in touched if entry.changed],
        )
        link.write_many(wishes.ASK_GANG_STOP, self._gangs)

    def _give_back(self) -> None:
        """Give back what freed tasks held, and tell where a job's last allocation went after its end."""
        freed = sorted({task.attempt_id for task in self._freed})
        rows = {attempt_id: self._jobs[self._attempts[attempt_id].job_id] for attempt_id in freed}
        gone = rooms.pass_on(self._tx, self._freed, self._attempts)
        give_back(self._tx, gone, {attempt_id: (row.project_id, row.user_id) for attempt_id, row in rows.items()})
        for attempt_id in freed:
            self._note_released(self._attempts[attempt_id])

    def _note_released(self, entry: AttemptRow) -> None:
        row = self._jobs[entry.job_id]
        if entry.outcome and row.attempt_id == entry.id:
            return  # it ended in this very call: its end says so already
        if all(task.state == _RELEASED for task in entry.tasks):
            self._tx.link.write(CLEAR_ATTEMPT, row.id, entry.id)
        self._tx.emit("job.released", row.id, row.project_id, array_id=row.array_id)
