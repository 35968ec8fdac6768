"""Steps from one schema version to the next, each written with Alembic's operations and never changed once released.

Alembic is imported only when a step is due: a fresh database is made from the schema of today, and a database that is up to date needs
none. Invariant: all steps, from nothing, give the same schema as today's (a test). A step and the new version number are one
transaction, so a crash leaves the old version, whole.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

STEPS: tuple[str, ...] = tuple(f"tenure.store.migrations.v{number:04}" for number in range(1, 26))
"""The module of each step; the step at position n leads to version n + 1."""


def migrate(connection: Connection, found: int, steps: tuple[str, ...] = STEPS) -> None:
    """Run every step after version ``found``, and write the new version. The caller commits."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from sqlalchemy import text

    context = MigrationContext.configure(connection)
    with Operations.context(context) as operations:
        for name in steps[found:]:
            import_module(name).upgrade(operations)
    connection.execute(text("UPDATE meta SET schema_version = :version").bindparams(version=len(steps)))
