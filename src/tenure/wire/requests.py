"""What clients send: submissions, selections, acts and changes. Amounts are the integers of `tenure.model`; every change carries an
idempotency key."""

from __future__ import annotations

from typing import Literal

import msgspec

from tenure.wire.base import Line, Number, Request, Text, Whole, Word


class AfterRef(Request):
    """A dependency: ``job`` in the id grammar, ``condition`` ok, any or failed."""

    job: Line
    condition: Word = "ok"


class SubmitRequest(Request):
    """One job or one array. ``key`` is the idempotency key, made by the client; the same key gives the same job.

    ``array`` is an index list such as ``0-99:2,200%8``. ``gpu_milli`` as in `tenure.model.shape`. ``after`` may name ``last``.
    """

    argv: list[str]
    cwd: Line
    key: Word = ""
    name: Word = ""
    kind: Word = "batch"
    env: dict[str, str] = msgspec.field(default_factory=dict)
    script: str = ""
    umask: Whole = 0o022
    stdout: Line = ""
    stderr: Line = ""
    submit_dir: Line = ""
    origin: dict[str, str] = msgspec.field(default_factory=dict)
    cpu_milli: Whole = 1000
    memory_bytes: Whole = 0
    storage_bytes: Whole = 0
    bandwidth_bps: Whole = 0
    gpu_milli: Whole = 0
    gpu_memory_bytes: Whole = 0
    gpu_model: Word = ""
    tasks: Whole = 1
    nodes: Whole = 0
    labels: list[Word] = msgspec.field(default_factory=list)
    app: Word = ""
    max_per_node: Whole = 0
    prefer: list[Word] = msgspec.field(default_factory=list)
    prefer_wait_ms: Whole = 0
    work_class: Word = ""
    limit_ms: Whole = 0
    grace_ms: Whole = 10_000
    priority: Whole = 5
    project: Word = "default"
    queue: Word = "default"
    after: list[AfterRef] = msgspec.field(default_factory=list)
    array: Text = ""
    retries: Whole = 0
    deadline_ms: Whole = 0
    not_before_ms: Whole = 0
    hold: bool = False
    group: Word = ""


class SubmitManyRequest(Request):
    """Several submissions in one durable write."""

    jobs: list[SubmitRequest]


JobOrder = Literal["", "newest", "oldest", "priority", "ended"]


class Selection(Request):
    """Which jobs: ``ids`` in the id grammar (ids, elements, ranges, ``last``, ``last~2``), or filters, joined by *and*.

    ``states`` are names of states or ``active`` (everything not ended), ``ended``, ``all``. ``mine`` restricts to the caller's.
    A page of them has ``limit`` jobs in an ``order`` (the newest first, unless told) after ``cursor``; ``before`` is a cursor of the
    newest first. The order priority is of jobs that have not ended, the order ended of those that have.
    """

    ids: list[Text] = msgspec.field(default_factory=list)
    name: Word = ""
    states: list[Word] = msgspec.field(default_factory=list)
    mine: bool = False
    user: Word = ""
    queue: Word = ""
    project: Word = ""
    group: Word = ""
    limit: Whole = 1000
    before: Whole = 0
    since_ms: Whole = 0
    order: JobOrder = ""
    cursor: Line = ""


class ActRequest(Request):
    """Do ``action`` (cancel, hold, release, requeue, suspend, resume) to the selected jobs."""

    action: Word
    select: Selection
    key: Word = ""
    why: Line = ""


class JobPatch(Request):
    """What is to change of one job; an absent field is left alone."""

    key: Word = ""
    name: Word | None = None
    priority: Whole | None = None
    limit_ms: Whole | None = None
    queue: Word | None = None
    deadline_ms: Whole | None = None
    array_cap: Whole | None = None
    retries: Whole | None = None
    cpu_milli: Whole | None = None
    memory_bytes: Whole | None = None
    gpu_milli: Whole | None = None
    gpu_memory_bytes: Whole | None = None
    gpu_model: Word | None = None
    tasks: Whole | None = None
    storage_bytes: Whole | None = None
    bandwidth_bps: Whole | None = None
    nodes: Whole | None = None


class UpdateRequest(JobPatch, kw_only=True):
    """Change the selected jobs; an absent field is left alone."""

    select: Selection


class WaitRequest(Request):
    """Answer when all selected jobs have ended, or after ``timeout_ms`` (at most 30 s a call; a client asks again)."""

    select: Selection
    timeout_ms: Whole = 30_000


class NodeRequest(Request):
    """Drain or resume a node: ``status`` up or draining."""

    name: Word
    status: Word
    key: Word = ""
    reason: Line = ""


class QueuePatch(Request):
    """What is to change of a queue, which is made if there is none; an absent field is left alone."""

    key: Word = ""
    paused: bool | None = None
    default_limit_ms: Whole | None = None
    max_limit_ms: Whole | None = None
    bonus: Number | None = None


class QueueRequest(QueuePatch, kw_only=True):
    """Make or change a queue; an absent field is left alone."""

    name: Word


class BackupRequest(Request):
    """Write a consistent copy of the store to ``path`` on the daemon's machine; refused when it exists."""

    path: Line
