"""Version 8: conflicts that plans find, with who resolved them and how."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 7. The next plan finds what conflicts there are."""
    zero, nothing, nobody = sa.text("0"), sa.text("''"), sa.text("'[]'")
    op.create_table(
        "conflict",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("room", sa.Text, server_default=nothing, nullable=False),
        sa.Column("contenders", sa.Text, server_default=nobody, nullable=False),
        sa.Column("holders", sa.Text, server_default=nobody, nullable=False),
        sa.Column("severity", _NUMBER, server_default=zero, nullable=False),
        sa.Column("opened_ms", _NUMBER, nullable=False),
        sa.Column("updated_ms", _NUMBER, nullable=False),
        sa.Column("closed_ms", _NUMBER),
        sa.Column("resolved_ms", _NUMBER),
        sa.Column("resolution", sa.Text, server_default=nothing, nullable=False),
        sa.Column("resolved_by", sa.Text, server_default=nothing, nullable=False),
    )
    where = sa.text("closed_ms IS NULL")
    op.create_index("ix_conflict_open", "conflict", ["key"], unique=True, sqlite_where=where, postgresql_where=where)
