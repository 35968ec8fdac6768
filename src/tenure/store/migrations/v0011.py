"""Version 11: tasks can take over each other's room, and an array says how long its elements have run of late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 10. Every task that is there has room of its own."""
    op.add_column("job", sa.Column("array_pace_ms", _NUMBER, server_default=sa.text("0"), nullable=False))
    op.add_column("allocation", sa.Column("room", _NUMBER, nullable=True))
    op.add_column("allocation", sa.Column("behind", _NUMBER, server_default=sa.text("0"), nullable=False))
    where = sa.text("room IS NOT NULL AND released_at_ms IS NULL")
    op.create_index("ix_allocation_room", "allocation", ["room", "attempt_id"], sqlite_where=where, postgresql_where=where)
