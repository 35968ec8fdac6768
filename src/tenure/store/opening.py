"""Opening the store at a path: create it when it is new, migrate it when it is old, refuse it when it is newer or not ours."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import select

from tenure.ports import StoreUnavailable
from tenure.store.create import create, refuse_newer
from tenure.store.migrations import migrate
from tenure.store.schema import SCHEMA_VERSION, meta
from tenure.store.settings import StoreSettings
from tenure.store.sql import Link, Statement, const
from tenure.store.sqlite import SqliteDatabase
from tenure.store.store import SqlStore

READ_VERSION = Statement(select(meta.c.schema_version).where(meta.c.id == const(1)))


def open_sqlite(path: str, settings: StoreSettings | None = None) -> SqlStore:
    """The store in a database file, made when there is none.

    Raises `StoreUnavailable`: ``network_file_system``, ``foreign_database``, ``corrupt``, ``unreadable``, ``newer_database``,
    ``disk_full``, ``locked``.
    """
    settings = settings or StoreSettings()
    database = SqliteDatabase(path, settings.busy_timeout_ms, settings.ballast_bytes)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    database.hold_ballast()
    return SqlStore(database, settings)


def _prepare(database: SqliteDatabase) -> None:
    """Make the tables of a new database; bring those of an old one up to date."""
    database.begin()
    try:
        with database.translated():
            found = _version(database.link)
            if found is None:
                create(database.link)
            elif found < SCHEMA_VERSION:
                _keep_copy(database, found)
                database.alter(lambda connection: migrate(connection, found))
            else:
                refuse_newer(found)
    except BaseException:
        database.rollback()
        raise
    database.commit()


def _keep_copy(database: SqliteDatabase, found: int) -> None:
    """Keep what an older Tenure could go back to; one copy per version is enough. Raises `StoreUnavailable` when there is no room."""
    target = Path(f"{database.path}.version-{found}")
    try:
        with contextlib.suppress(FileExistsError):
            database.copy_to(target)
    except OSError as error:
        why = f"the store must be brought up to date, but its copy {target} cannot be written ({error}); free some space"
        raise StoreUnavailable("disk_full", why) from error


def _version(link: Link) -> int | None:
    """The schema version of a database, None for an empty one."""
    link.cursor.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
    if link.cursor.fetchone()[0] == 0:
        return None
    row = link.row(READ_VERSION)
    return int(row[0]) if row else 0
