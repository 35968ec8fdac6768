"""What clients send: submissions, selections, acts and changes. Amounts are the integers of `tenure.model`; every change carries an
idempotency key."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Request


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
    app: str = ""
    max_per_node: int = 0
    prefer: list[str] = msgspec.field(default_factory=list)
    prefer_wait_ms: int = 0
    work_class: str = ""
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


class SubmitManyRequest(Request):
    """Several submissions in one durable write."""

    jobs: list[SubmitRequest]


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
    storage_bytes: int | None = None
    nodes: int | None = None


class WaitRequest(Request):
    """Answer when all selected jobs have ended, or after ``timeout_ms`` (at most 30 s a call; a client asks again)."""

    select: Selection
    timeout_ms: int = 30_000


class NodeRequest(Request):
    """Drain or resume a node: ``status`` up or draining."""

    name: str
    status: str
    key: str
    reason: str = ""


class QueueRequest(Request):
    """Make or change a queue; an absent field is left alone."""

    name: str
    key: str
    paused: bool | None = None
    default_limit_ms: int | None = None
    max_limit_ms: int | None = None
    bonus: int | None = None


class BackupRequest(Request):
    """Write a consistent copy of the store to ``path`` on the daemon's machine; refused when it exists."""

    path: str
