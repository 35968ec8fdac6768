"""Version 15: leases are found by when they end, their holders are warned once, and a job may say for how long it expects to run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 14, which had no leases."""
    for name in ("expected_ms", "lease_warned_ms"):
        op.add_column("job", sa.Column(name, _NUMBER, server_default=sa.text("0"), nullable=False))
    where = sa.text("lease_expires_at_ms IS NOT NULL AND ended_ms IS NULL")
    op.create_index("ix_job_lease", "job", ["lease_expires_at_ms"], sqlite_where=where, postgresql_where=where)
