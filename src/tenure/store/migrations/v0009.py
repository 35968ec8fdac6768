"""Version 9: a shape may wish for a place, and for how long a job waits for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 8. Shapes that are there wish for nothing; their digests stay what they are."""
    op.add_column("shape", sa.Column("prefer", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("shape", sa.Column("prefer_wait_ms", _NUMBER, server_default=sa.text("0"), nullable=False))
