"""The tables of what is there and what runs: SQLAlchemy Core, no ORM, nothing that only one database knows.

A statement, a migration and the invariant check must mean the same column by the same name, so tables are written once: here those of
machines, people, jobs and their runs, in `tenure.store.plan_schema` what planning decides and goes by. Invariants that the
database itself holds: use never exceeds what is declared plus the excess recorded when a machine shrank (``over``), one live row per
(attempt, task), one row per array position. "Not released" is ``released_at_ms IS NULL``, "not ended" is ``ended_ms IS NULL``: they
render alike everywhere and carry information. States are stored by their names in `tenure.model.lifecycle`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from tenure.store import measured, people_schema  # noqa: F401 (their tables belong to the schema)
from tenure.store.fields import a_number as _int
from tenure.store.fields import a_text as _str
from tenure.store.fields import an_id as _id
from tenure.store.fields import maybe_a_number as _maybe
from tenure.store.fields import metadata
from tenure.store.fields import partial_index as _partial

SCHEMA_VERSION = 25
"""Raised by every migration; a database with a greater one belongs to a newer Tenure."""

meta = Table(
    "meta",
    metadata,
    _id(),
    _int("schema_version", None),
    _str("installation", None),
    _int("job_seq"),
    _int("attempt_seq"),
    _int("allocation_seq"),
    _int("event_seq"),
    _int("event_floor"),
    _str("leader"),
    _int("leader_epoch"),
    _int("leader_expires_ms"),
    *(_int(name) for name in ("audit_seq", "audit_floor")),
    *(_str(name) for name in ("audit_hash", "audit_floor_hash")),
    CheckConstraint("id = 1", name="one_row"),
)

user = Table("user_account", metadata, _id(), _int("uid", None, unique=True), _str("name", None), _int("role"), _int("disabled"))
project = Table("project", metadata, _id(), _str("name", None, unique=True), _int("weight_milli", 1000))

# What a user holds for a project and, as of a time, used for it (the older the less); ``revision`` is that of the last change.
account = Table(
    "account",
    metadata,
    _int("project_id", None),
    _int("user_id", None),
    _int("as_of_ms", None),
    _int("cpu_milli_ms"),
    _int("memory_mib_ms"),
    _int("gpu_milli_ms"),
    _int("held_cpu_milli"),
    _int("held_memory_bytes"),
    _int("held_gpu_milli"),
    _int("revision"),
    PrimaryKeyConstraint("project_id", "user_id"),
    sqlite_with_rowid=False,
)

queue = Table(
    "queue",
    metadata,
    _id(),
    _str("name", None, unique=True),
    _int("paused"),
    _int("default_limit_ms"),
    _int("max_limit_ms"),
    _int("bonus"),
)

shape = Table(
    "shape",
    metadata,
    _id(),
    _int("cpu_milli"),
    _int("memory_bytes"),
    _int("storage_bytes"),
    _int("bandwidth_bps"),
    _int("gpu_milli"),
    _int("gpu_memory_bytes"),
    _str("gpu_model"),
    _int("tasks", 1),
    _int("nodes"),
    _str("labels", "[]"),
    _str("digest", None, unique=True),
    _str("app"),
    _int("max_per_node"),
    _str("prefer"),
    _int("prefer_wait_ms"),
)

# What jobs of a sweep have in common (environment, script, origin) is kept once; a spec is what differs, and names its context.
job_context = Table("job_context", metadata, _id(), _str("digest", None, unique=True), Column("body", LargeBinary, nullable=False))
job_spec = Table(
    "job_spec",
    metadata,
    _id(),
    _str("digest", None, unique=True),
    Column("context_id", ForeignKey("job_context.id"), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

job = Table(
    "job",
    metadata,
    _id(),
    _maybe("array_id"),
    _int("array_index", -1),
    _int("array_position", -1),
    _str("name"),
    _str("kind", "batch"),
    _str("state", None),
    Column("spec_id", ForeignKey("job_spec.id"), nullable=False),
    Column("shape_id", ForeignKey("shape.id"), nullable=False),
    Column("queue_id", ForeignKey("queue.id"), nullable=False),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    _int("uid", None),
    _str("group_name"),
    _int("priority", 5),
    _int("submitted_ms"),
    _int("eligible_ms"),
    _int("limit_ms"),
    _int("deadline_ms"),
    _int("grace_ms", 10_000),
    _int("retries"),
    _int("retried"),
    _int("node_faults"),
    _int("blocked"),
    _int("dependents"),
    _int("attempts"),
    _int("attempt_id"),
    _int("last_attempt_id"),
    _int("started_ms"),
    _maybe("ended_ms"),
    _maybe("exit_code"),
    _int("signal"),
    _str("end_reason"),
    _str("why"),
    _int("cpu_ms"),
    _int("peak_memory_bytes"),
    _str("array_ranges"),
    _int("array_size"),
    _int("array_next"),
    _int("array_left"),
    _int("array_dropped"),
    _int("array_cap"),
    _int("array_live"),
    *(_int(f"array_{end}") for end in ("succeeded", "failed", "cancelled", "timed_out", "lost")),
    _maybe("lease_expires_at_ms"),
    _str("lease_token"),
    _int("ran_ms"),
    _int("array_pace_ms"),
    _int("expected_ms"),
    _int("lease_warned_ms"),
    _int("token_id"),
    CheckConstraint("array_left >= 0 AND array_live >= 0 AND blocked >= 0", name="counts"),
)

# How many lines of a listing (jobs and arrays, elements aside) are in a state, of whom in which project and queue: to be asked for, not
# counted.
line_count = Table(
    "line_count",
    metadata,
    _int("project_id", None),
    _int("user_id", None),
    _int("queue_id", None),
    _str("state", None),
    _int("lines"),
    PrimaryKeyConstraint("project_id", "user_id", "queue_id", "state"),
    sqlite_with_rowid=False,
)

WAITING = text("state IN ('held', 'pending')")
_partial("ix_job_waiting", job.c.state, job.c.array_id, job.c.priority, job.c.id, where=WAITING)
_partial("ix_job_listing", job.c.state, job.c.id, job.c.user_id, job.c.queue_id, where=job.c.array_id.is_(None))
ENDED_LINE = text("ended_ms IS NOT NULL AND array_id IS NULL")
_partial("ix_job_ended", job.c.ended_ms, job.c.id, where=ENDED_LINE)
OPEN_LEASE = text("lease_expires_at_ms IS NOT NULL AND ended_ms IS NULL")
_partial("ix_job_lease", job.c.lease_expires_at_ms, where=OPEN_LEASE)
_partial("ix_job_token", job.c.token_id, where=text("token_id != 0"))
_partial("uq_job_element", job.c.array_id, job.c.array_position, unique=True, where=job.c.array_id.is_not(None))

dependency = Table(
    "dependency",
    metadata,
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("on_job", ForeignKey("job.id"), nullable=False, index=True),
    _str("condition", None),
    _int("satisfied"),
    PrimaryKeyConstraint("job_id", "on_job"),
    sqlite_with_rowid=False,
)

attempt = Table(
    "attempt",
    metadata,
    _id(),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    # The attempts of a job are a chain from ``job.last_attempt_id``: most have one, and an index would cost every start a page.
    _int("previous_id"),
    _int("number", None),
    _int("fence", None),
    _int("tasks", 1),
    _int("limit_ms"),
    _int("committed_ms", None),
    _maybe("started_ms"),
    _maybe("ended_ms"),
    _str("outcome"),
    _str("stop_reason"),
    _str("stop_why"),
    _int("stop_at_ms"),
    # What the attempt's tasks must still be told, and the number of the last wish: 0 once all of them have heard it.
    _str("signal"),
    _int("wish"),
    _int("limit_due"),
    # Taking turns: see `tenure.model.job.RunningJob`; for how long it has rested.
    *(_int(name) for name in ("rest", "slice_ms", "stood_ms")),
    _int("checkpoint_ms"),
    # What each task is to hold where that was changed, the number of the wish while not all have confirmed it, and whether it was the
    # scheduler who lowered it.
    *(_int(name) for name in ("resize_cpu_milli", "resize_memory_bytes", "resize_due", "shrunk")),
)
SIGNALLED = text("wish != 0 AND ended_ms IS NULL")
_partial("ix_attempt_signalled", attempt.c.id, where=SIGNALLED)
RESIZING = text("resize_due != 0 AND ended_ms IS NULL")
_partial("ix_attempt_resizing", attempt.c.id, where=RESIZING)

node = Table(
    "node",
    metadata,
    _id(),
    _str("name", None, unique=True),
    _str("executor", None),
    _int("present", 1),
    _str("wanted", "up"),
    _str("drain_reason"),
    _str("labels", "[]"),
    _int("pretend"),
)

_CAPACITY = "{u} >= 0 AND {o} >= 0 AND {u} <= {c} + {o}"

node_capacity = Table(
    "node_capacity",
    metadata,
    Column("node_id", ForeignKey("node.id"), nullable=False),
    _str("resource", None),
    _int("capacity", None),
    _int("used"),
    # What rows held beyond the capacity at the moment it shrank: it only ever goes down, so the check stays honest.
    _int("over"),
    PrimaryKeyConstraint("node_id", "resource"),
    CheckConstraint(_CAPACITY.format(u="used", c="capacity", o="over"), name="bounded"),
    sqlite_with_rowid=False,
)

device = Table(
    "device",
    metadata,
    _id(),
    Column("node_id", ForeignKey("node.id"), nullable=False, index=True),
    _int("device_index", None),
    _str("uuid", None, unique=True),
    _str("model"),
    _int("memory_bytes"),
    _int("group_number"),
    _str("status", "ok"),
    _str("why"),
    _int("pretend"),
    _int("capacity_milli", 1000),
    _int("used_milli"),
    _int("used_memory"),
    _int("over_memory"),
    _int("capability"),
    CheckConstraint("used_milli >= 0 AND used_milli <= capacity_milli", name="milli_bounded"),
    CheckConstraint(_CAPACITY.format(u="used_memory", c="memory_bytes", o="over_memory"), name="memory_bounded"),
)

allocation = Table(
    "allocation",
    metadata,
    Column("attempt_id", ForeignKey("attempt.id"), nullable=False),
    _int("task", None),
    _int("id", None),
    _int("job_id", None),
    Column("node_id", ForeignKey("node.id"), nullable=False),
    _int("cpu_milli"),
    _int("memory_bytes"),
    _int("storage_bytes"),
    _int("bandwidth_bps"),
    _int("devices"),
    _str("state", None),
    _int("fence", None),
    _maybe("released_at_ms"),
    _int("pid"),
    _maybe("exit_code"),
    _int("signal"),
    _str("reason"),
    _str("why"),
    _maybe("started_ms"),
    _maybe("ended_ms"),
    _int("cpu_ms"),
    _int("peak_memory_bytes"),
    _str("stdout"),
    _str("stderr"),
    _int("heard"),
    _maybe("room"),
    _int("behind"),
    _int("resized"),
    _maybe("held_ms"),
    PrimaryKeyConstraint("attempt_id", "task"),
    sqlite_with_rowid=False,
)
# What an allocation held before it was changed, and from when until when: since ``held_ms`` it holds what its row says.
held_before = Table(
    "held_before",
    metadata,
    *(_int(name, None) for name in ("attempt_id", "task", "from_ms", "until_ms", "cpu_milli", "memory_bytes")),
    PrimaryKeyConstraint("attempt_id", "task", "until_ms"),
    sqlite_with_rowid=False,
)
_UNRELEASED = allocation.c.released_at_ms.is_(None)
_partial("ix_allocation_live", allocation.c.attempt_id, allocation.c.task, where=_UNRELEASED)
_partial("ix_allocation_room", allocation.c.room, allocation.c.attempt_id, where=text("room IS NOT NULL AND released_at_ms IS NULL"))

allocation_device = Table(
    "allocation_device",
    metadata,
    _int("attempt_id", None),
    _int("task", None),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    _int("milli", None),
    _int("memory_bytes", None),
    _maybe("released_at_ms"),
    PrimaryKeyConstraint("attempt_id", "task", "device_id"),
    sqlite_with_rowid=False,
)
_DEVICE_HELD = allocation_device.c.released_at_ms.is_(None)
_partial(
    "ix_allocation_device_live",
    allocation_device.c.attempt_id,
    allocation_device.c.task,
    allocation_device.c.device_id,
    where=_DEVICE_HELD,
)

idempotency = Table(
    "idempotency",
    metadata,
    _int("uid", None),
    _str("key", None),
    _str("content", None),
    _int("job_id"),
    _int("revision"),
    _str("note"),
    _int("at_ms", None, index=True),
    PrimaryKeyConstraint("uid", "key"),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("cursor", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    _str("kind", None),
    _int("job_id", index=True),
    _int("project_id"),
    _int("at_ms", None),
    _int("version", 1),
    _str("data", "{}"),
)

usage_sample = Table(
    "usage_sample",
    metadata,
    *(_int(name, None) for name in ("at_ms", "node_id")),
    *(_int(name) for name in ("cpu_milli", "memory_bytes", "gpu_milli", "jobs")),
    PrimaryKeyConstraint("at_ms", "node_id"),
    sqlite_with_rowid=False,
)
