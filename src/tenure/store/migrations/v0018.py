"""Version 18: guidance, by which somebody raises or lowers a class of work, or lets another policy decide, for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 17. Nothing stands yet."""
    zero, nothing = sa.text("0"), sa.text("''")
    op.create_table(
        "guidance",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True),
        *(sa.Column(name, _NUMBER, server_default=zero, nullable=False) for name in ("steps", "project_id", "queue_id", "user_id")),
        *(sa.Column(name, sa.Text, server_default=nothing, nullable=False) for name in ("name", "policy", "before", "note")),
        sa.Column("uid", _NUMBER, nullable=False),
        sa.Column("made_by", sa.Text, server_default=nothing, nullable=False),
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("made_ms", "until_ms")),
        sa.Column("ended_ms", _NUMBER),
        sa.Column("ended_by", sa.Text, server_default=nothing, nullable=False),
    )
    where = sa.text("ended_ms IS NULL")
    op.create_index("ix_guidance_open", "guidance", ["until_ms"], sqlite_where=where, postgresql_where=where)
