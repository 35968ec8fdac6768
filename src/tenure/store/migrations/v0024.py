"""Version 24: the conflicts of the past are found by how severe they were, without reading all of them."""

from __future__ import annotations

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """From version 23, which sorted the whole history for each page."""
    op.create_index("ix_conflict_severity", "conflict", ["severity", "id"])
