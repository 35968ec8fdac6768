"""Version 23: what an allocation held before it was changed is kept, so that sums of the past are right."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_COLUMNS = ("attempt_id", "task", "from_ms", "until_ms", "cpu_milli", "memory_bytes")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 22. What was changed before counts as held from the start."""
    op.add_column("allocation", sa.Column("held_ms", _NUMBER))
    op.create_table(
        "held_before",
        *(sa.Column(name, _NUMBER, nullable=False) for name in _COLUMNS),
        sa.PrimaryKeyConstraint("attempt_id", "task", "until_ms"),
        sqlite_with_rowid=False,
    )
