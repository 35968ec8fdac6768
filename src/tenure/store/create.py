"""A fresh database: every table, the one meta row, the default queue."""

from __future__ import annotations

import uuid

from sqlalchemy import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from tenure.ports import StoreUnavailable
from tenure.store.fields import metadata
from tenure.store.intern import INSERT_QUEUE
from tenure.store.schema import SCHEMA_VERSION, meta
from tenure.store.sql import Link, insert

DEFAULT_QUEUE = "default"
INSERT_META = insert(meta, "id", "schema_version", "installation")


def ddl(dialect: Dialect) -> list[str]:
    """The statements that make every table and index."""
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            if "where" in index.info:
                index.dialect_kwargs[f"{dialect.name}_where"] = index.info["where"]
            statements.append(str(CreateIndex(index).compile(dialect=dialect)))
    return statements


def create(link: Link) -> None:
    """Make everything, inside the caller's transaction."""
    for statement in ddl(link.dialect):
        link.cursor.execute(statement)
    link.write(INSERT_META, 1, SCHEMA_VERSION, uuid.uuid4().hex)
    link.write(INSERT_QUEUE, 1, DEFAULT_QUEUE, 0, 0, 0, 0)


def refuse_newer(found: int) -> None:
    """Raise `StoreUnavailable` for a database that a newer Tenure has written."""
    if found > SCHEMA_VERSION:
        raise StoreUnavailable(
            "newer_database",
            f"the database has schema {found}, this Tenure knows {SCHEMA_VERSION}; upgrade Tenure, or restore an older backup",
        )
