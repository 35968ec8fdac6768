"""Version 20: what a running attempt holds can be changed where it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 19, in which every attempt held what its job asked for."""
    for name in ("resize_cpu_milli", "resize_memory_bytes", "resize_due", "shrunk"):
        op.add_column("attempt", sa.Column(name, _NUMBER, server_default=sa.text("0"), nullable=False))
    op.add_column("allocation", sa.Column("resized", _NUMBER, server_default=sa.text("0"), nullable=False))
    where = sa.text("resize_due != 0 AND ended_ms IS NULL")
    op.create_index("ix_attempt_resizing", "attempt", ["id"], sqlite_where=where, postgresql_where=where)
