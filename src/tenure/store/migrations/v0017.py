"""Version 17: attempts know when their last checkpoint was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 16, to which no job told of a checkpoint."""
    op.add_column("attempt", sa.Column("checkpoint_ms", _NUMBER, server_default=sa.text("0"), nullable=False))
