"""Version 6: what each user holds and has used for each project; a reason for waiting may concern one project alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_HELD = """
INSERT INTO account (project_id, user_id, as_of_ms, held_cpu_milli, held_memory_bytes, held_gpu_milli)
SELECT job.project_id, job.user_id, max(attempt.committed_ms), sum(allocation.cpu_milli), sum(allocation.memory_bytes),
  coalesce(sum((SELECT sum(milli) FROM allocation_device AS part
    WHERE part.attempt_id = allocation.attempt_id AND part.task = allocation.task AND part.released_at_ms IS NULL)), 0)
FROM allocation JOIN attempt ON attempt.id = allocation.attempt_id JOIN job ON job.id = attempt.job_id
WHERE allocation.released_at_ms IS NULL GROUP BY job.project_id, job.user_id
"""


def upgrade(op: Operations) -> None:
    """From version 5. Use counts from now on: of those that run, since the last of them started. Holds are what the next plan finds."""
    zero = sa.text("0")
    op.create_table(
        "account",
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("project_id", "user_id", "as_of_ms")),
        *(sa.Column(name, _NUMBER, server_default=zero, nullable=False) for name in ("cpu_milli_ms", "memory_mib_ms", "gpu_milli_ms")),
        *(
            sa.Column(f"held_{name}", _NUMBER, server_default=zero, nullable=False)
            for name in ("cpu_milli", "memory_bytes", "gpu_milli")
        ),
        sa.Column("revision", _NUMBER, server_default=zero, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_account"),
        sqlite_with_rowid=False,
    )
    op.execute(_HELD)
    op.drop_table("hold")
    op.create_table(
        "hold",
        sa.Column("shape_id", _NUMBER, nullable=False),
        sa.Column("queue_id", _NUMBER, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("project_id", _NUMBER, server_default=zero, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("first_job", _NUMBER, server_default=zero, nullable=False),
        sa.Column("since_ms", _NUMBER, server_default=zero, nullable=False),
        sa.PrimaryKeyConstraint("shape_id", "queue_id", "code", "project_id", name="pk_hold"),
        sqlite_with_rowid=False,
    )
