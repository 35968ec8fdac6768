"""Version 16: users have roles and memberships, tokens let programs and browsers in, and what is done is kept in a chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, _NUMBER, server_default=None if default is None else sa.text(default), nullable=False)


def _text(name: str, default: str | None = "''") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=None if default is None else sa.text(default), nullable=False)


def _key() -> sa.Column[int]:
    return sa.Column("id", _NUMBER, primary_key=True, autoincrement=False)


def upgrade(op: Operations) -> None:
    """From version 15. Nobody has a role yet beside whom the daemon runs under; the record begins now."""
    for name in ("audit_seq", "audit_floor"):
        op.add_column("meta", _number(name))
    for name in ("audit_hash", "audit_floor_hash"):
        op.add_column("meta", _text(name))
    for name in ("role", "disabled"):
        op.add_column("user_account", _number(name))
    op.add_column("job", _number("token_id"))
    where = sa.text("token_id != 0")
    op.create_index("ix_job_token", "job", ["token_id"], sqlite_where=where, postgresql_where=where)
    user, project = sa.ForeignKey("user_account.id"), sa.ForeignKey("project.id")
    op.create_table(
        "member",
        sa.Column("user_id", _NUMBER, user, nullable=False),
        sa.Column("project_id", _NUMBER, project, nullable=False),
        _number("role", None),
        sa.PrimaryKeyConstraint("user_id", "project_id", name="pk_member"),
        sqlite_with_rowid=False,
    )
    _tokens(op)
    op.create_table(
        "audit",
        _key(),
        *(_number(name, None) for name in ("at_ms", "uid")),
        *(_text(name) for name in ("user_name", "via")),
        _number("token_id"),
        _text("what", None),
        _number("count", "1"),
        *(_text(name) for name in ("target", "outcome")),
        _text("detail", "'{}'"),
        _text("hash", None),
    )


def _tokens(op: Operations) -> None:
    op.create_table(
        "token",
        _key(),
        sa.Column("digest", sa.Text(), nullable=False, unique=True),
        *(_text(name, None) for name in ("prefix", "kind")),
        sa.Column("user_id", _NUMBER, sa.ForeignKey("user_account.id"), nullable=False),
        _text("label"),
        _number("role", None),
        *(_text(name) for name in ("only", "verbs")),
        *(_number(name) for name in ("gpu_milli_ms", "jobs", "lease_ms")),
        _number("made_ms", None),
        _text("made_by"),
        _number("expires_ms"),
        sa.Column("revoked_ms", _NUMBER),
    )
    op.create_index("ix_token_user_id", "token", ["user_id"])
