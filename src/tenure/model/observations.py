"""What an executor reports and what it is asked to do. Every value names the attempt and the fence, so that a late message of a past
attempt or of a past leader is recognised and refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec


@dataclass(frozen=True, slots=True)
class Launch:
    """Start one task. ``devices`` are UUIDs in CUDA order; ``limit_ms`` and ``memory_bytes`` 0 mean none. ``stdout`` is a full path.

    ``peers`` are the node names of all tasks of the attempt, by task: a gang finds its members by them. Tasks with the same ``room``
    (the attempt that took it; 0: shared with nobody) run one after another, in the order they were sent: the next one starts once
    nothing is left of the one before. One that has waited ``wait_ms`` for its turn is handed back (`LaunchRejected` with `RETURNED`).
    ``uid`` is whose job it is; an executor that serves several users of a machine runs it as that user.
    """

    attempt_id: int
    job_id: int
    task: int
    fence: int
    node: str
    name: str
    spec: JobSpec
    amounts: Amounts
    tasks: int = 1
    array_id: int = 0
    array_index: int = -1
    attempt_number: int = 1
    devices: tuple[str, ...] = ()
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    limit_ms: int = 0
    grace_ms: int = 10_000
    peers: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    room: int = 0
    wait_ms: int = 0
    uid: int = -1


RETURNED = "returned"
"""The code of a rejection that is nobody's fault: the task waited for its room, and its turn did not come in time."""


class SignalAction(StrEnum):
    """What to do to a task. ``stop`` is polite, then hard after the grace; it always takes the whole tree. ``limit`` is a new time
    limit, counted from the start as the first one was: a task that has run for longer already ends as timed out. ``resize`` keeps a
    task to other amounts of cpu and memory than before, as far as it does not use more memory than that now (`Resized`).

    A lease has no process to tell: it is over after the grace of a stop, and at its limit at once; it cannot be suspended."""

    STOP = "stop"
    SUSPEND = "suspend"
    RESUME = "resume"
    LIMIT = "limit"
    RESIZE = "resize"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Signal:
    """Ask a task to stop, pause, go on, save its work or keep another time limit (``limit_ms``, 0: none). ``reason`` is echoed in the
    report of its end. A task that is told to stop or pause is followed by nobody: those that wait for its room are handed back, and
    so is one that waits itself.

    ``left_ms`` above 0 sets the limit so that the task ends that much later than now, whatever it has used.

    A ``number`` above 0 asks to be told (`SignalDone`, of a resize `Resized`) when this signal was carried out; numbers of one attempt
    only grow. ``cpu_milli`` and ``memory_bytes`` (0: none) are those of a resize.
    """

    attempt_id: int
    task: int
    fence: int
    action: SignalAction
    grace_ms: int = 10_000
    reason: str = ""
    number: int = 0
    limit_ms: int = 0
    left_ms: int = 0
    cpu_milli: int = 0
    memory_bytes: int = 0


class EndReason(StrEnum):
    """Why a task ended. ``unknown``: nobody could collect its exit; it is reported, never guessed."""

    EXIT = "exit"
    STOPPED = "stopped"
    TIMEOUT = "timeout"
    OOM = "oom"
    OOM_SAMPLED = "oom_sampled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task's process runs."""

    attempt_id: int
    task: int
    fence: int
    at_ms: int
    pid: int = 0


@dataclass(frozen=True, slots=True)
class LaunchRejected:
    """A task was not started and never will be by this launch. ``job_fault``: the job's own doing (no retry); else the node's."""

    attempt_id: int
    task: int
    fence: int
    job_fault: bool
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task's main process is gone. ``empty``: so is everything it left behind. ``exit_code`` None with ``signal`` 0 is unknown."""

    attempt_id: int
    task: int
    fence: int
    reason: EndReason
    exit_code: int | None
    signal: int = 0
    started_at_ms: int = 0
    ended_at_ms: int = 0
    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    empty: bool = True
    stop_reason: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TaskEmptied:
    """Evidence that nothing of a task is left: what it held may be given to others."""

    attempt_id: int
    task: int
    fence: int
    strays_killed: int = 0


@dataclass(frozen=True, slots=True)
class SignalDone:
    """The signal ``number`` and those before it were carried out, and need not be sent again: they outlive whoever asked."""

    attempt_id: int
    task: int
    fence: int
    number: int


@dataclass(frozen=True, slots=True)
class Resized:
    """To what a task is kept since the resize ``number`` was carried out; ``why`` says what hindered it where that is not what was
    asked for, and is empty where it is. None: it is not known, so nothing has changed that anybody may rely on."""

    attempt_id: int
    task: int
    fence: int
    number: int
    cpu_milli: int | None
    memory_bytes: int | None
    why: str = ""


Observation = TaskStarted | LaunchRejected | TaskEnded | TaskEmptied | SignalDone | Resized


@dataclass(frozen=True, slots=True)
class Observations:
    """Reports in order, and the cursor after them: `observe(since=cursor)` goes on from there."""

    cursor: int
    items: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveTask:
    """A task that an executor knows of: what `discover` finds after a restart."""

    attempt_id: int
    task: int
    fence: int
    pid: int
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class NodeFound:
    """A node that an executor offers, with what it has; devices by uuid with their present status."""

    name: str
    capacity: Amounts
    devices: tuple[DeviceFound, ...] = ()
    labels: tuple[str, ...] = ()
    executor: str = "local"
    pretend: bool = False


@dataclass(frozen=True, slots=True)
class DeviceFound:
    """A device as found on a node. ``why`` explains a status other than ok, e.g. which foreign process uses it."""

    uuid: str
    index: int
    model: str
    memory_bytes: int
    group: int = 0
    status: str = "ok"
    pretend: bool = False
    why: str = ""
    capability: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor can do and what it enforces; a policy does not use what is absent. ``limit``: the time limit of a task that
    runs can be changed; ``rooms``: tasks can wait for each other's room; ``leases``: it can hold what a caller leases; ``resize``:
    the cpu and memory that a task is kept to can be changed while it runs."""

    suspend: bool = False
    checkpoint: bool = False
    limit: bool = False
    rooms: bool = False
    leases: bool = False
    resize: bool = False
    enforces: dict[str, str] = field(default_factory=dict)
