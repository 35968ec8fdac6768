"""Version 7: a claim says when it was made and who was displaced for it, so that evictions can be counted and told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 6. No earlier version made a claim."""
    op.add_column("claim", sa.Column("made_ms", _NUMBER, server_default=sa.text("0"), nullable=False))
    op.add_column("claim", sa.Column("victims", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
