"""Version 12: nodes and parts of them can be reserved for a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _numbers(*names: str, default: str | None = None) -> list[sa.Column[int]]:
    server = None if default is None else sa.text(default)
    return [sa.Column(name, _NUMBER, server_default=server, nullable=False) for name in names]


def _text(name: str, default: str | None = "''") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=None if default is None else sa.text(default), nullable=False)


def upgrade(op: Operations) -> None:
    """From version 11. Nothing is reserved yet."""
    op.create_table(
        "reservation",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=False),
        _text("name", None),
        *_numbers("project_id", "user_id", default="0"),
        *_numbers("from_ms", "until_ms", "made_ms", "uid"),
        _text("made_by"),
        *_numbers("first_attempt", default="0"),
        sa.Column("removed_ms", _NUMBER, nullable=True),
        _text("removed_by"),
        sa.CheckConstraint("from_ms < until_ms", name="ck_reservation_ends_later"),
        sa.PrimaryKeyConstraint("id", name="pk_reservation"),
    )
    where = sa.text("removed_ms IS NULL")
    op.create_index("ix_reservation_open", "reservation", ["until_ms"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "reservation_part",
        sa.Column("reservation_id", _NUMBER, sa.ForeignKey("reservation.id"), nullable=False),
        sa.Column("node_id", _NUMBER, sa.ForeignKey("node.id"), nullable=False),
        *_numbers("whole", default="1"),
        *_numbers("cpu_milli", "memory_bytes", "storage_bytes", "bandwidth_bps", default="0"),
        _text("devices", "'[]'"),
        sa.PrimaryKeyConstraint("reservation_id", "node_id", name="pk_reservation_part"),
        sqlite_with_rowid=False,
    )
