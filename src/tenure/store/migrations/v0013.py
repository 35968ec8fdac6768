"""Version 13: attempts take turns, and say whether they rest, since when, and for how long they have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 12. Nobody rests yet."""
    for name in ("rest", "slice_ms", "stood_ms"):
        op.add_column("attempt", sa.Column(name, _NUMBER, server_default=sa.text("0"), nullable=False))
