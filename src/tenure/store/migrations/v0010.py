"""Version 10: for how long a job ran in attempts that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 9. It counts from now on."""
    op.add_column("job", sa.Column("ran_ms", _NUMBER, server_default=sa.text("0"), nullable=False))
