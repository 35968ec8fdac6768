"""What the end of an attempt means for its job: a pure function of what its tasks reported and of what was asked of it.

The decisive task is the first (by time, then number) that did not end cleanly and was not merely stopped because of another. Retries
are for failed and lost runs; a launch that the job itself spoilt is not repeated, one that a node spoilt is, a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tenure.model.amounts import RESOURCES
from tenure.model.commands import LEASE, RELEASED
from tenure.model.lifecycle import JobState
from tenure.model.observations import RETURNED, EndReason
from tenure.store.rows import JobRow
from tenure.store.settings import StoreSettings

JOB_FAULT = "job_fault"
NODE_FAULT = "node_fault"
GANG = "gang"
NEVER_RAN = (NODE_FAULT, RETURNED)
"""Why an attempt of a job never ran although the job itself is not at fault."""

BY_SCHEDULER = 1
"""An attempt was lowered by the scheduler, and nobody has said since what it is to hold."""
MEMORY = RESOURCES.index("memory_bytes")
_OUT_OF_MEMORY = (EndReason.OOM.value, EndReason.OOM_SAMPLED.value)


@dataclass(slots=True)
class TaskRow:
    """One task of an attempt, as its row said and as observations changed it. ``changed`` marks it for writing."""

    attempt_id: int
    task: int
    node_id: int
    amounts: tuple[int, int, int, int]
    devices: int
    state: str
    fence: int
    released_at_ms: int | None
    pid: int
    exit_code: int | None
    signal: int
    reason: str
    why: str
    started_ms: int | None
    ended_ms: int | None
    cpu_ms: int
    peak_memory_bytes: int
    room: int | None = None
    behind: int = 0
    changed: bool = False
    freed: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.reason == EndReason.EXIT.value and self.exit_code == 0 and self.signal == 0


@dataclass(slots=True)
class AttemptRow:
    """One attempt with its tasks in order."""

    id: int
    job_id: int
    number: int
    started_ms: int | None
    ended_ms: int | None
    stop_reason: str
    stop_why: str
    limit_ms: int
    array_id: int | None
    shrunk: int = 0
    resize_due: int = 0
    tasks: list[TaskRow] = field(default_factory=list)
    changed: bool = False
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of the job. ``outcome`` is the attempt's; ``state`` the job's next; ``eligible_ms`` the earliest new start."""

    state: JobState
    outcome: str
    end_reason: str
    why: str
    exit_code: int | None = None
    signal: int = 0
    eligible_ms: int = 0
    retried: int = 0
    node_faults: int = 0


def judge(job: JobRow, attempt: AttemptRow, settings: StoreSettings, now_ms: int, asked_bytes: int) -> Result:
    """The result of an attempt whose tasks have all ended; ``asked_bytes`` of memory were asked for each."""
    first = decisive(attempt.tasks)
    if attempt.stop_reason in (RELEASED, "requeued"):
        return _as_wished(attempt, first)
    if first is None:
        return Result(JobState.SUCCEEDED, "succeeded", EndReason.EXIT.value, "", 0, 0)
    stopped = first.reason == EndReason.STOPPED.value
    if stopped or (attempt.stop_reason in ("cancelled", "preempted") and first.reason in (EndReason.UNKNOWN.value, *NEVER_RAN)):
        return _stopped(job, attempt, first)
    if first.reason in NEVER_RAN:
        return _not_started(job, first, settings, now_ms)
    is_lowered = attempt.shrunk == BY_SCHEDULER and (first.amounts[MEMORY] < asked_bytes or attempt.resize_due != 0)
    if is_lowered and first.reason in _OUT_OF_MEMORY and attempt.stop_reason != "cancelled":
        why = "it needed more memory than was left to it, so it runs again with what it asked for"
        return _again(first, "shrunk", why, 0, job.retried, 0)
    return _ran(job, attempt, first, settings, now_ms)


def _ran(job: JobRow, attempt: AttemptRow, first: TaskRow, settings: StoreSettings, now_ms: int) -> Result:
    """It ended by itself, and runs again where that is wished."""
    result = _ended(first)
    may_repeat = result.state in (JobState.FAILED, JobState.LOST) and first.reason != JOB_FAULT and attempt.stop_reason != "cancelled"
    if may_repeat and job.retried < job.retries:
        eligible = now_ms + back_off_ms(settings, job.retried)
        return _again(first, result.outcome, result.why, eligible, job.retried + 1, 0)
    return result


def _as_wished(attempt: AttemptRow, first: TaskRow | None) -> Result:
    """A lease was given back, or a job is to run again: whatever became of the attempt, that is what was wanted of it."""
    if attempt.stop_reason == RELEASED:
        return Result(JobState.SUCCEEDED, "succeeded", EndReason.EXIT.value, attempt.stop_why)
    return _again(first, "requeued", attempt.stop_why, 0, 0, 0)


def decisive(tasks: Sequence[TaskRow]) -> TaskRow | None:
    """The task whose end decides for a gang; None when all ended cleanly."""
    unclean = [task for task in tasks if not task.is_clean]
    if len(unclean) < 2:
        return unclean[0] if unclean else None
    own = [task for task in unclean if not (task.reason == EndReason.STOPPED.value and task.why == GANG)]
    return min(own or unclean, key=lambda task: (task.ended_ms or 0, task.task), default=None)


def back_off_ms(settings: StoreSettings, times: int) -> int:
    """How long to wait before trying again for the ``times`` + 1st time."""
    return min(settings.retry_most_ms, settings.retry_first_ms << min(times, 30))


def _ended(task: TaskRow) -> Result:
    """The plain meaning of a task's end."""
    reason, code, signal = task.reason, task.exit_code, task.signal
    if reason == EndReason.TIMEOUT.value:
        return Result(JobState.TIMED_OUT, "timed_out", reason, task.why or "it reached its time limit", code, signal)
    if reason in _OUT_OF_MEMORY:
        return Result(JobState.FAILED, "failed", reason, task.why or "it used more memory than it asked for", code, signal)
    if reason == EndReason.UNKNOWN.value:
        return Result(JobState.LOST, "lost", reason, task.why or "nobody could collect its exit", code, signal)
    if reason == JOB_FAULT:
        return Result(JobState.FAILED, "failed", reason, task.why, code, signal)
    why = task.why or (f"it was killed by signal {signal}" if signal else f"it ended with exit code {code}")
    return Result(JobState.FAILED, "failed", reason, why, code, signal)


def _stopped(job: JobRow, attempt: AttemptRow, task: TaskRow) -> Result:
    asked = attempt.stop_reason or task.why
    if asked == "preempted" and job.kind == LEASE:  # whoever held it was told; nobody waits for another run
        return Result(JobState.CANCELLED, "preempted", "stopped", attempt.stop_why)
    if asked == "preempted":
        return _again(task, "preempted", attempt.stop_why, job.eligible_ms, job.retried, 0)
    if asked == "cancelled":
        return Result(JobState.CANCELLED, "cancelled", "stopped", attempt.stop_why, task.exit_code, task.signal)
    why = f"its executor stopped it ({asked})" if asked else "its executor stopped it"
    return Result(JobState.FAILED, "failed", "stopped", why, task.exit_code, task.signal)


def _not_started(job: JobRow, task: TaskRow, settings: StoreSettings, now_ms: int) -> Result:
    if task.reason == RETURNED:
        return _again(task, RETURNED, "", job.eligible_ms, job.retried, job.node_faults)
    faults = job.node_faults + 1
    if faults >= settings.max_node_faults:
        return Result(JobState.FAILED, "failed", NODE_FAULT, f"nodes refused to start it {faults} times in a row: {task.why}")
    return _again(task, NODE_FAULT, task.why, now_ms + back_off_ms(settings, faults - 1), job.retried, faults)


def _again(task: TaskRow | None, outcome: str, why: str, eligible_ms: int, retried: int, faults: int) -> Result:
    """The job waits again; what the attempt left is kept in its rows."""
    code, signal = (None, 0) if task is None else (task.exit_code, task.signal)
    return Result(JobState.PENDING, outcome, "", why, code, signal, eligible_ms, retried, faults)
