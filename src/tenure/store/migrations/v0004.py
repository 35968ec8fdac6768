"""Version 4: which policy was chosen when and by whom, so that each is known by what it did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """From version 3. What was done before the first choice belongs to no policy."""
    zero = sa.text("0")
    op.create_table(
        "policy_choice",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False, primary_key=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("by_person", _NUMBER, server_default=zero, nullable=False),
        sa.Column("user_name", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("uid", _NUMBER, server_default=sa.text("-1"), nullable=False),
        sa.Column("at_ms", _NUMBER, nullable=False),
        sa.Column("first_attempt", _NUMBER, server_default=zero, nullable=False),
        sa.Column("rejected", _NUMBER, server_default=zero, nullable=False),
        sa.Column("reasons", _NUMBER, server_default=zero, nullable=False),
        sa.Column("strategy", sa.Text, server_default=sa.text("''"), nullable=False),
    )
