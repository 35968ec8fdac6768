"""What the daemon says of jobs: lines of a listing, everything about one, why it is where it is, what became of an act. Times are
milliseconds since the epoch, 0 for none."""

from __future__ import annotations

from typing import Any

import msgspec

from tenure.wire.base import ErrorReply, Reply


class SubmitReply(Reply, tag="job", tag_field="type"):
    """The job that was queued. ``id`` is what people type. ``replayed``: the key was known, this is the job of then."""

    id: str
    number: int
    name: str = ""
    replayed: bool = False
    elements: int = 0
    limit_ms: int = 0
    log: str = ""
    note: str = ""


class SubmitManyReply(Reply):
    """One entry per job, in order: a reply or an error."""

    results: list[SubmitReply | ErrorReply]


class ActResult(Reply):
    """What became of one selected job."""

    id: str
    ok: bool
    code: str = ""
    text: str = ""


class ActReply(Reply):
    """One entry per selected job, by id."""

    results: list[ActResult]


class AfterView(Reply):
    """A job that another one waits for: its name and state now, and whether the condition holds already."""

    job: str
    condition: str = "ok"
    name: str = ""
    state: str = ""
    is_met: bool = False


class ReasonView(Reply):
    """Why a job waits: a code of `tenure.model.reasons`, what cures it, one sentence, and the typed payload."""

    code: str
    cure: str
    text: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict)


class ArrayView(Reply):
    """How an array stands: counts of its elements by state, ``waiting`` being those that are not jobs of their own yet."""

    indices: str
    size: int
    waiting: int
    cap: int = 0
    states: dict[str, int] = msgspec.field(default_factory=dict)


class JobView(Reply):
    """One line of a listing. Times are milliseconds since the epoch, 0 for none. ``id`` is ``12`` or ``12_3``.

    ``exit_code`` is None while unknown. ``eta_ms`` is the expected start, 0 when unknown. ``end_reason`` as in `EndReason`.
    """

    id: str
    number: int
    name: str
    state: str
    kind: str = "batch"
    user: str = ""
    project: str = "default"
    queue: str = "default"
    priority: int = 5
    group: str = ""
    submitted_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    limit_ms: int = 0
    deadline_ms: int = 0
    not_before_ms: int = 0
    cpu_milli: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    bandwidth_bps: int = 0
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    gpu_model: str = ""
    tasks: int = 1
    nodes: int = 0
    app: str = ""
    max_per_node: int = 0
    prefer: str = ""
    prefer_wait_ms: int = 0
    on_nodes: list[str] = msgspec.field(default_factory=list)
    stopping: bool = False
    attempts: int = 0
    retries: int = 0
    exit_code: int | None = None
    signal: int = 0
    end_reason: str = ""
    why: str = ""
    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    reason: ReasonView | None = None
    eta_ms: int = 0
    array: ArrayView | None = None
    command: str = ""


class TaskView(Reply):
    """One task of an attempt: where it ran, what it held, how it ended. ``behind`` is the job whose room it takes over next;
    ``cpu_milli`` and ``memory_bytes`` are what it holds, or held at its end, which may be less than its job asked for."""

    task: int
    node: str
    state: str
    devices: list[str] = msgspec.field(default_factory=list)
    device_indices: list[int] = msgspec.field(default_factory=list)
    pretend: bool = False
    pid: int = 0
    exit_code: int | None = None
    signal: int = 0
    end_reason: str = ""
    why: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    log: str = ""
    stderr: str = ""
    behind: str = ""
    cpu_milli: int = 0
    memory_bytes: int = 0


class AttemptView(Reply):
    """One run of a job. ``why`` is what it was stopped for, empty where nobody stopped it. ``rests_ms`` is since when it rests while
    others have their turn, 0 where it does not; ``checkpoint_ms`` when it last told of a checkpoint, 0 for never."""

    number: int
    attempt: int
    started_ms: int = 0
    ended_ms: int = 0
    outcome: str = ""
    tasks: list[TaskView] = msgspec.field(default_factory=list)
    why: str = ""
    rests_ms: int = 0
    checkpoint_ms: int = 0


class EventView(Reply):
    """One event of the stream. ``uid`` is that of the job's user, -1 where it is of no job."""

    cursor: int
    kind: str
    at_ms: int
    job: str = ""
    project: str = ""
    version: int = 1
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    uid: int = -1


class JobDetail(Reply):
    """Everything about one job. Secrets in ``env`` are redacted."""

    job: JobView
    argv: list[str] = msgspec.field(default_factory=list)
    script: str = ""
    cwd: str = ""
    submit_dir: str = ""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    origin: dict[str, str] = msgspec.field(default_factory=dict)
    after: list[AfterView] = msgspec.field(default_factory=list)
    attempts: list[AttemptView] = msgspec.field(default_factory=list)
    events: list[EventView] = msgspec.field(default_factory=list)


class JobsReply(Reply):
    """A page of jobs; ``next`` is the cursor of the next one, empty at the end; ``more`` the same for the newest first, as a number.
    ``counts`` by state are of everything selected; where it is narrowed by more than user, project, queue and state, the first page has
    them."""

    jobs: list[JobView]
    next: str = ""
    more: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    revision: int = 0


class WaitReply(Reply):
    """How a job ended, or how it stands when the time was over (``done`` false)."""

    done: bool
    jobs: list[JobView] = msgspec.field(default_factory=list)


class HolderView(Reply):
    """Who holds what a job waits for."""

    job: str
    name: str = ""
    node: str = ""
    text: str = ""
    ends_by_ms: int = 0


class SuggestionView(Reply):
    """A change that would make it start (sooner): a sentence, the options to give, and when it would start then (0: now)."""

    kind: str
    text: str
    options: str = ""
    start_ms: int = 0


class ExplanationView(Reply):
    """Why a job is where it is. ``summary`` is one sentence. ``earliest_ms`` and ``latest_ms`` bound the expected start, 0: unknown."""

    id: str
    state: str
    summary: str
    blockers: list[ReasonView] = msgspec.field(default_factory=list)
    nearest_node: str = ""
    nearest_lacks: list[str] = msgspec.field(default_factory=list)
    holders: list[HolderView] = msgspec.field(default_factory=list)
    earliest_ms: int = 0
    latest_ms: int = 0
    eta_text: str = ""
    suggestions: list[SuggestionView] = msgspec.field(default_factory=list)
    evidence: list[str] = msgspec.field(default_factory=list)
    next_step: str = ""
    is_array: bool = False
