"""Version 14: what is measured of jobs over time, how far their reports were read, and anomalies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, _NUMBER, nullable=False) for name in names]


def upgrade(op: Operations) -> None:
    """From version 13. Measuring begins now."""
    key = sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True)
    name = sa.Column("name", sa.Text, nullable=False)
    op.create_table("series", key, *_numbers("job_id", "task"), name, *_numbers("reported"))
    op.create_index("ix_series_name", "series", ["job_id", "task", "name", "reported"], unique=True)
    op.create_table(
        "sample",
        *_numbers("series_id", "step_ms", "at_ms", "count"),
        *(sa.Column(one, sa.Double, nullable=False) for one in ("total", "low", "high", "last")),
        sa.PrimaryKeyConstraint("series_id", "step_ms", "at_ms", name="pk_sample"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "report",
        *_numbers("attempt_id", "task", "offset"),
        sa.PrimaryKeyConstraint("attempt_id", "task", name="pk_report"),
        sqlite_with_rowid=False,
    )
    _anomalies(op)


def _anomalies(op: Operations) -> None:
    nothing = sa.text("''")
    op.create_table(
        "anomaly",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("job_id", _NUMBER, server_default=sa.text("0"), nullable=False),
        *(sa.Column(one, sa.Text, server_default=nothing, nullable=False) for one in ("subject", "text", "remedy", "action")),
        sa.Column("evidence", sa.Text, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("opened_ms", _NUMBER, nullable=False),
        sa.Column("closed_ms", _NUMBER),
    )
    op.create_index("ix_anomaly_job_id", "anomaly", ["job_id"])
    where = sa.text("closed_ms IS NULL")
    op.create_index("ix_anomaly_open", "anomaly", ["key"], unique=True, sqlite_where=where, postgresql_where=where)
