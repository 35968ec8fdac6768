"""Version 1: every table of the first release, written out as it was, because today's schema moves on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From an empty database."""
    for make in (
        _event,
        _hold,
        _idempotency,
        _job_context,
        _meta,
        _node,
        _project,
        _queue,
        _shape,
        _usage_sample,
        _user_account,
        _device,
        _job_spec,
        _node_capacity,
        _allocation_device,
        _job,
        _attempt,
        _claim,
        _dependency,
        _allocation,
    ):
        make(op)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, autoincrement=False, nullable=False)


def _number(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, server_default=None if default is None else sa.text(default), nullable=False)


def _zeros(*names: str) -> list[sa.Column[int]]:
    return [_number(name, "0") for name in names]


def _numbers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, _NUMBER, nullable=nullable) for name in names]


def _words(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=None if default is None else sa.text(default), nullable=False)


def _event(op: Operations) -> None:
    op.create_table(
        "event",
        _key("cursor"),
        _words("kind"),
        *_zeros("job_id", "project_id"),
        *_numbers("at_ms"),
        _number("version", "1"),
        _words("data", "'{}'"),
        sa.PrimaryKeyConstraint("cursor", name="pk_event"),
    )
    op.create_index("ix_event_job_id", "event", ["job_id"])


def _hold(op: Operations) -> None:
    op.create_table(
        "hold",
        *_numbers("shape_id", "queue_id"),
        _words("code"),
        _words("reason"),
        *_zeros("first_job", "since_ms"),
        sa.PrimaryKeyConstraint("shape_id", "queue_id", "code", name="pk_hold"),
        sqlite_with_rowid=False,
    )


def _idempotency(op: Operations) -> None:
    op.create_table(
        "idempotency",
        *_numbers("uid"),
        _words("key"),
        _words("content"),
        *_zeros("job_id", "revision"),
        _words("note", "''"),
        *_numbers("at_ms"),
        sa.PrimaryKeyConstraint("uid", "key", name="pk_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_at_ms", "idempotency", ["at_ms"])


def _job_context(op: Operations) -> None:
    op.create_table(
        "job_context",
        _key("id"),
        _words("digest"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_context"),
        sa.UniqueConstraint("digest", name="uq_job_context_digest"),
    )


def _meta(op: Operations) -> None:
    op.create_table(
        "meta",
        _key("id"),
        *_numbers("schema_version"),
        _words("installation"),
        *_zeros("job_seq", "attempt_seq", "allocation_seq", "event_seq", "event_floor"),
        _words("leader", "''"),
        *_zeros("leader_epoch", "leader_expires_ms"),
        sa.CheckConstraint("id = 1", name="ck_meta_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_meta"),
    )


def _node(op: Operations) -> None:
    op.create_table(
        "node",
        _key("id"),
        _words("name"),
        _words("executor"),
        _number("present", "1"),
        _words("wanted", "'up'"),
        _words("drain_reason", "''"),
        _words("labels", "'[]'"),
        *_zeros("pretend"),
        sa.PrimaryKeyConstraint("id", name="pk_node"),
        sa.UniqueConstraint("name", name="uq_node_name"),
    )


def _project(op: Operations) -> None:
    op.create_table(
        "project",
        _key("id"),
        _words("name"),
        _number("weight_milli", "1000"),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
        sa.UniqueConstraint("name", name="uq_project_name"),
    )


def _queue(op: Operations) -> None:
    op.create_table(
        "queue",
        _key("id"),
        _words("name"),
        *_zeros("paused", "default_limit_ms", "max_limit_ms", "bonus"),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
        sa.UniqueConstraint("name", name="uq_queue_name"),
    )


def _shape(op: Operations) -> None:
    op.create_table(
        "shape",
        _key("id"),
        *_zeros("cpu_milli", "memory_bytes", "storage_bytes", "bandwidth_bps", "gpu_milli", "gpu_memory_bytes"),
        _words("gpu_model", "''"),
        _number("tasks", "1"),
        *_zeros("nodes"),
        _words("labels", "'[]'"),
        _words("digest"),
        sa.PrimaryKeyConstraint("id", name="pk_shape"),
        sa.UniqueConstraint("digest", name="uq_shape_digest"),
    )


def _usage_sample(op: Operations) -> None:
    op.create_table(
        "usage_sample",
        *_numbers("at_ms", "node_id"),
        *_zeros("cpu_milli", "memory_bytes", "gpu_milli", "jobs"),
        sa.PrimaryKeyConstraint("at_ms", "node_id", name="pk_usage_sample"),
        sqlite_with_rowid=False,
    )


def _user_account(op: Operations) -> None:
    op.create_table(
        "user_account",
        _key("id"),
        *_numbers("uid"),
        _words("name"),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("uid", name="uq_user_account_uid"),
    )


def _device(op: Operations) -> None:
    op.create_table(
        "device",
        _key("id"),
        *_numbers("node_id", "device_index"),
        _words("uuid"),
        _words("model", "''"),
        *_zeros("memory_bytes", "group_number"),
        _words("status", "'ok'"),
        _words("why", "''"),
        *_zeros("pretend"),
        _number("capacity_milli", "1000"),
        *_zeros("used_milli", "used_memory", "over_memory"),
        sa.CheckConstraint(
            "used_memory >= 0 AND over_memory >= 0 AND used_memory <= memory_bytes + over_memory", name="ck_device_memory_bounded"
        ),
        sa.CheckConstraint("used_milli >= 0 AND used_milli <= capacity_milli", name="ck_device_milli_bounded"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_device_node_id"),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
        sa.UniqueConstraint("uuid", name="uq_device_uuid"),
    )
    op.create_index("ix_device_node_id", "device", ["node_id"])


def _job_spec(op: Operations) -> None:
    op.create_table(
        "job_spec",
        _key("id"),
        _words("digest"),
        *_numbers("context_id"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["context_id"], ["job_context.id"], name="fk_job_spec_context_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job_spec"),
        sa.UniqueConstraint("digest", name="uq_job_spec_digest"),
    )


def _node_capacity(op: Operations) -> None:
    op.create_table(
        "node_capacity",
        *_numbers("node_id"),
        _words("resource"),
        *_numbers("capacity"),
        *_zeros("used", "over"),
        sa.CheckConstraint("used >= 0 AND over >= 0 AND used <= capacity + over", name="ck_node_capacity_bounded"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_node_capacity_node_id"),
        sa.PrimaryKeyConstraint("node_id", "resource", name="pk_node_capacity"),
        sqlite_with_rowid=False,
    )


def _allocation_device(op: Operations) -> None:
    op.create_table(
        "allocation_device",
        *_numbers("attempt_id", "task", "device_id", "milli", "memory_bytes"),
        *_numbers("released_at_ms", nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name="fk_allocation_device_device_id"),
        sa.PrimaryKeyConstraint("attempt_id", "task", "device_id", name="pk_allocation_device"),
        sqlite_with_rowid=False,
    )
    where = sa.text("released_at_ms IS NULL")
    op.create_index(
        "ix_allocation_device_live",
        "allocation_device",
        ["attempt_id", "task", "device_id"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _job(op: Operations) -> None:
    op.create_table(
        "job",
        _key("id"),
        *_numbers("array_id", nullable=True),
        _number("array_index", "-1"),
        _number("array_position", "-1"),
        _words("name", "''"),
        _words("kind", "'batch'"),
        _words("state"),
        *_numbers("spec_id", "shape_id", "queue_id", "project_id", "user_id", "uid"),
        _words("group_name", "''"),
        _number("priority", "5"),
        *_zeros("submitted_ms", "eligible_ms", "limit_ms", "deadline_ms"),
        _number("grace_ms", "10000"),
        *_zeros(
            "retries", "retried", "node_faults", "blocked", "dependents", "attempts", "attempt_id", "last_attempt_id", "started_ms"
        ),
        *_numbers("ended_ms", "exit_code", nullable=True),
        *_zeros("signal"),
        _words("end_reason", "''"),
        _words("why", "''"),
        *_zeros("cpu_ms", "peak_memory_bytes"),
        _words("array_ranges", "''"),
        *_zeros(
            "array_size",
            "array_next",
            "array_left",
            "array_dropped",
            "array_cap",
            "array_live",
            "array_succeeded",
            "array_failed",
            "array_cancelled",
            "array_timed_out",
            "array_lost",
        ),
        *_numbers("lease_expires_at_ms", nullable=True),
        _words("lease_token", "''"),
        sa.CheckConstraint("array_left >= 0 AND array_live >= 0 AND blocked >= 0", name="ck_job_counts"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_job_project_id"),
        sa.ForeignKeyConstraint(["queue_id"], ["queue.id"], name="fk_job_queue_id"),
        sa.ForeignKeyConstraint(["shape_id"], ["shape.id"], name="fk_job_shape_id"),
        sa.ForeignKeyConstraint(["spec_id"], ["job_spec.id"], name="fk_job_spec_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_job_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    _job_indexes(op)


def _job_indexes(op: Operations) -> None:
    where = sa.text("array_id IS NULL")
    op.create_index("ix_job_listing", "job", ["state", "id", "user_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state IN ('held', 'pending')")
    op.create_index("ix_job_waiting", "job", ["state", "array_id", "id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("array_id IS NOT NULL")
    op.create_index("uq_job_element", "job", ["array_id", "array_position"], unique=True, sqlite_where=where, postgresql_where=where)


def _attempt(op: Operations) -> None:
    op.create_table(
        "attempt",
        _key("id"),
        *_numbers("job_id"),
        *_zeros("previous_id"),
        *_numbers("number", "fence"),
        _number("tasks", "1"),
        *_zeros("limit_ms"),
        *_numbers("committed_ms"),
        *_numbers("started_ms", "ended_ms", nullable=True),
        _words("outcome", "''"),
        _words("stop_reason", "''"),
        _words("stop_why", "''"),
        *_zeros("stop_at_ms"),
        _words("signal", "''"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    where = sa.text("signal != '' AND ended_ms IS NULL")
    op.create_index("ix_attempt_signalled", "attempt", ["id"], sqlite_where=where, postgresql_where=where)


def _claim(op: Operations) -> None:
    op.create_table(
        "claim",
        _key("id"),
        *_numbers("job_id"),
        _words("placements"),
        *_numbers("deadline_ms"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_claim_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
    )


def _dependency(op: Operations) -> None:
    op.create_table(
        "dependency",
        *_numbers("job_id", "on_job"),
        _words("condition"),
        *_zeros("satisfied"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_dependency_job_id"),
        sa.ForeignKeyConstraint(["on_job"], ["job.id"], name="fk_dependency_on_job"),
        sa.PrimaryKeyConstraint("job_id", "on_job", name="pk_dependency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_dependency_on_job", "dependency", ["on_job"])


def _allocation(op: Operations) -> None:
    op.create_table(
        "allocation",
        *_numbers("attempt_id", "task", "id", "job_id", "node_id"),
        *_zeros("cpu_milli", "memory_bytes", "storage_bytes", "bandwidth_bps", "devices"),
        _words("state"),
        *_numbers("fence"),
        *_numbers("released_at_ms", nullable=True),
        *_zeros("pid"),
        *_numbers("exit_code", nullable=True),
        *_zeros("signal"),
        _words("reason", "''"),
        _words("why", "''"),
        *_numbers("started_ms", "ended_ms", nullable=True),
        *_zeros("cpu_ms", "peak_memory_bytes"),
        _words("stdout", "''"),
        _words("stderr", "''"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_allocation_attempt_id"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_allocation_node_id"),
        sa.PrimaryKeyConstraint("attempt_id", "task", name="pk_allocation"),
        sqlite_with_rowid=False,
    )
    where = sa.text("released_at_ms IS NULL")
    op.create_index("ix_allocation_live", "allocation", ["attempt_id", "task"], sqlite_where=where, postgresql_where=where)
