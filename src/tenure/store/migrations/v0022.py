"""Version 22: what is foretold of how long jobs will run is kept, to be compared with what came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 21. Of jobs that wait something is said from now on."""
    op.create_table(
        "forecast",
        sa.Column("job_id", _NUMBER, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("as_of_ms", "p50_ms", "p90_ms")),
        sa.PrimaryKeyConstraint("job_id", "model", name="pk_forecast"),
        sqlite_with_rowid=False,
    )
