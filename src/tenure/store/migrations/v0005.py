"""Version 5: a shape may be of an app, of which a node takes at most so many tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 4. Shapes that are there are of no app; their digests stay what they are."""
    op.add_column("shape", sa.Column("app", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("shape", sa.Column("max_per_node", _NUMBER, server_default=sa.text("0"), nullable=False))
