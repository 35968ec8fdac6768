"""Version 21: simulations in the background outlive the daemon that began them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 20, whose simulations ended with their daemon."""
    zero, nothing = sa.text("0"), sa.text("''")
    op.create_table(
        "simulation",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True),
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("uid", "made_ms")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("user_name", "state", "policies")),
        sa.Column("request", sa.LargeBinary),
        sa.Column("begun", _NUMBER, server_default=sa.text("1"), nullable=False),
        *(sa.Column(name, _NUMBER, server_default=zero, nullable=False) for name in ("done", "total")),
        *(sa.Column(name, sa.Text, server_default=nothing, nullable=False) for name in ("policy", "code", "text")),
        sa.Column("ended_ms", _NUMBER),
        sa.Column("result", sa.LargeBinary),
    )
