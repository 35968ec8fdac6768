"""Version 2: what an attempt's tasks were asked is numbered, so that it is sent until they have heard it and not until they end; and a
new time limit can be asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 1. A signal that is under way is sent once more, and then confirmed."""
    op.add_column("attempt", sa.Column("wish", _NUMBER, server_default=sa.text("0"), nullable=False))
    op.add_column("attempt", sa.Column("limit_due", _NUMBER, server_default=sa.text("0"), nullable=False))
    op.add_column("allocation", sa.Column("heard", _NUMBER, server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE attempt SET wish = 1 WHERE signal != '' AND ended_ms IS NULL")
    op.drop_index("ix_attempt_signalled", "attempt")
    where = sa.text("wish != 0 AND ended_ms IS NULL")
    op.create_index("ix_attempt_signalled", "attempt", ["id"], sqlite_where=where, postgresql_where=where)
