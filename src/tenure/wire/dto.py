"""Values on the wire, version 1: JSON objects, decoded strictly, so that a misspelt field is refused and not ignored.

Amounts are the integers of `tenure.model` (milli-cpu, bytes, milliseconds); text such as ``8G`` is parsed by the client. They are
msgspec structs because both ends pay for them on every call: the command line cannot afford a slow import, the daemon a slow decode.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of what clients send."""


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of what the server answers: a client ignores fields it does not know."""


class AfterRef(Request):
    """A dependency: ``job`` in the id grammar, ``condition`` ok, any or failed."""

    job: str
    condition: str = "ok"


class SubmitRequest(Request):
    """One job or one array. ``key`` is the idempotency key, made by the client; the same key gives the same job.

    ``array`` is an index list such as ``0-99:2,200%8``. ``gpu_milli`` as in `tenure.model.shape`. ``after`` may name ``last``.
    """

    argv: list[str]
    cwd: str
    key: str
    name: str = ""
    kind: str = "batch"
    env: dict[str, str] = msgspec.field(default_factory=dict)
    script: str = ""
    umask: int = 0o022
    stdout: str = ""
    stderr: str = ""
    submit_dir: str = ""
    origin: dict[str, str] = msgspec.field(default_factory=dict)
    cpu_milli: int = 1000
    memory_bytes: int = 0
    storage_bytes: int = 0
    bandwidth_bps: int = 0
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    gpu_model: str = ""
    tasks: int = 1
    nodes: int = 0
    labels: list[str] = msgspec.field(default_factory=list)
    limit_ms: int = 0
    grace_ms: int = 10_000
    priority: int = 5
    project: str = "default"
    queue: str = "default"
    after: list[AfterRef] = msgspec.field(default_factory=list)
    array: str = ""
    retries: int = 0
    deadline_ms: int = 0
    not_before_ms: int = 0
    hold: bool = False
    group: str = ""


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


class SubmitManyRequest(Request):
    """Several submissions in one durable write."""

    jobs: list[SubmitRequest]


class SubmitManyReply(Reply):
    """One entry per job, in order: a reply or an error."""

    results: list[SubmitReply | ErrorReply]


class ErrorReply(Reply, tag="error", tag_field="type"):
    """The one error format. ``code`` is stable, ``message`` one sentence, ``remedy`` the way out, ``details`` typed by the code."""

    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Selection(Request):
    """Which jobs: ``ids`` in the id grammar (ids, elements, ranges, ``last``, ``last~2``), or filters, joined by *and*.

    ``states`` are names of states or ``active`` (everything not ended), ``ended``, ``all``. ``mine`` restricts to the caller's.
    """

    ids: list[str] = msgspec.field(default_factory=list)
    name: str = ""
    states: list[str] = msgspec.field(default_factory=list)
    mine: bool = False
    user: str = ""
    queue: str = ""
    project: str = ""
    group: str = ""
    limit: int = 1000
    before: int = 0
    since_ms: int = 0


class ActRequest(Request):
    """Do ``action`` (cancel, hold, release, requeue, suspend, resume) to the selected jobs."""

    action: str
    select: Selection
    key: str
    why: str = ""


class UpdateRequest(Request):
    """Change the selected jobs; an absent field is left alone."""

    select: Selection
    key: str
    name: str | None = None
    priority: int | None = None
    limit_ms: int | None = None
    queue: str | None = None
    deadline_ms: int | None = None
    array_cap: int | None = None
    retries: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    gpu_milli: int | None = None
    gpu_memory_bytes: int | None = None
    gpu_model: str | None = None
    tasks: int | None = None


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
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    gpu_model: str = ""
    tasks: int = 1
    nodes: int = 0
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
    """One task of an attempt: where it ran, what it held, how it ended."""

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


class AttemptView(Reply):
    """One run of a job."""

    number: int
    attempt: int
    started_ms: int = 0
    ended_ms: int = 0
    outcome: str = ""
    tasks: list[TaskView] = msgspec.field(default_factory=list)


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
    """A page of jobs; ``more`` is the ``before`` of the next page, 0 at the end. ``counts`` by state are of everything selected."""

    jobs: list[JobView]
    more: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    revision: int = 0


class EventView(Reply):
    """One event of the stream."""

    cursor: int
    kind: str
    at_ms: int
    job: str = ""
    project: str = ""
    version: int = 1
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class DeviceView(Reply):
    """One device: what it has, who holds it, what uses it."""

    node: str
    index: int
    uuid: str
    model: str
    memory_bytes: int
    status: str = "ok"
    why: str = ""
    pretend: bool = False
    used_milli: int = 0
    used_memory_bytes: int = 0
    jobs: list[str] = msgspec.field(default_factory=list)
    utilisation: int | None = None
    memory_in_use_bytes: int | None = None
    temperature_c: int | None = None
    power_mw: int | None = None


class NodeView(Reply):
    """One node: capacity and what is held of it."""

    name: str
    status: str
    executor: str = "local"
    pretend: bool = False
    drain_reason: str = ""
    labels: list[str] = msgspec.field(default_factory=list)
    cpu_milli: int = 0
    memory_bytes: int = 0
    used_cpu_milli: int = 0
    used_memory_bytes: int = 0
    devices: int = 0
    devices_used_milli: int = 0
    jobs: int = 0


class NodesReply(Reply):
    """All nodes and devices, by name and index."""

    nodes: list[NodeView]
    devices: list[DeviceView] = msgspec.field(default_factory=list)


class NodeRequest(Request):
    """Drain or resume a node: ``status`` up or draining."""

    name: str
    status: str
    key: str
    reason: str = ""


class QueueView(Reply):
    """One queue and what waits in it."""

    name: str
    paused: bool = False
    default_limit_ms: int = 0
    max_limit_ms: int = 0
    bonus: int = 0
    pending: int = 0
    running: int = 0


class QueuesReply(Reply):
    """All queues, by name."""

    queues: list[QueueView]


class QueueRequest(Request):
    """Make or change a queue; an absent field is left alone."""

    name: str
    key: str
    paused: bool | None = None
    default_limit_ms: int | None = None
    max_limit_ms: int | None = None
    bonus: int | None = None


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


class WaitReply(Reply):
    """How a job ended, or how it stands when the time was over (``done`` false)."""

    done: bool
    jobs: list[JobView] = msgspec.field(default_factory=list)


class StatusView(Reply):
    """The daemon about itself. ``healthy`` is false when its loop is stuck, ``problems`` says so in sentences."""

    version: str
    protocol: int
    pid: int
    home: str
    socket: str
    store: str
    started_ms: int
    healthy: bool
    problems: list[str] = msgspec.field(default_factory=list)
    loop_age_ms: int = 0
    cycles: int = 0
    revision: int = 0
    supervisor_pid: int = 0
    supervisor_version: str = ""
    limits: dict[str, str] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)


class CheckView(Reply):
    """One finding of ``doctor``: ``level`` ok, note, warning or problem."""

    name: str
    level: str
    text: str
    remedy: str = ""


class DoctorReply(Reply):
    """All findings, the worst last."""

    checks: list[CheckView]


class WaitRequest(Request):
    """Answer when all selected jobs have ended, or after ``timeout_ms`` (at most 30 s a call; a client asks again)."""

    select: Selection
    timeout_ms: int = 30_000


class BackupRequest(Request):
    """Write a consistent copy of the store to ``path`` on the daemon's machine; refused when it exists."""

    path: str


class BackupReply(Reply):
    """Where the copy is, and what is in it."""

    path: str
    bytes: int
    jobs: int
