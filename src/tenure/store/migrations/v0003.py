"""Version 3: what a device can compute (its compute capability, in tenths), so that it can be asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 2. It is unknown until the executor has looked again, which it does when the daemon starts."""
    op.add_column("device", sa.Column("capability", _NUMBER, server_default=sa.text("0"), nullable=False))
