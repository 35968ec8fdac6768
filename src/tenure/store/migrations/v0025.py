"""Version 25: what waits is found by its priority without sorting all of it, and how many jobs are in a queue is kept, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = ("project_id", "user_id", "queue_id", "state")
_COUNT = f"""
INSERT INTO line_count ({", ".join(_KEY)}, lines)
SELECT {", ".join(_KEY)}, count(*) FROM job WHERE array_id IS NULL GROUP BY {", ".join(_KEY)}
"""


def upgrade(op: Operations) -> None:
    """From version 24. What is there is counted once."""
    op.drop_table("line_count")
    op.create_table(
        "line_count",
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("project_id", "user_id", "queue_id")),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lines", _NUMBER, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_line_count"),
        sqlite_with_rowid=False,
    )
    op.execute(sa.text(_COUNT))
    indexes = {
        "ix_job_waiting": (["state", "array_id", "priority", "id"], "state IN ('held', 'pending')"),
        "ix_job_listing": (["state", "id", "user_id", "queue_id"], "array_id IS NULL"),
    }
    for name, (columns, which) in indexes.items():
        where = sa.text(which)
        op.drop_index(name, "job")
        op.create_index(name, "job", columns, sqlite_where=where, postgresql_where=where)
