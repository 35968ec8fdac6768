"""Version 19: how many jobs are in which state is kept and not counted, and jobs can be listed by when they ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNT = """
INSERT INTO line_count (project_id, user_id, state, lines)
SELECT project_id, user_id, state, count(*) FROM job WHERE array_id IS NULL GROUP BY project_id, user_id, state
"""


def upgrade(op: Operations) -> None:
    """From version 18. What is there is counted once."""
    op.create_table(
        "line_count",
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("project_id", "user_id")),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lines", _NUMBER, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", "state", name="pk_line_count"),
        sqlite_with_rowid=False,
    )
    op.execute(sa.text(_COUNT))
    where = sa.text("ended_ms IS NOT NULL AND array_id IS NULL")
    op.create_index("ix_job_ended", "job", ["ended_ms", "id"], sqlite_where=where, postgresql_where=where)
