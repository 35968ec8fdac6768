"""Copies of the store: is this file one, and is it whole? Asked before anything is put in its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tenure.ports import StoreUnavailable
from tenure.store.schema import SCHEMA_VERSION
from tenure.store.sqlite import APPLICATION_ID


def check_copy(path: Path) -> int:
    """How many jobs a copy holds. Raises StoreUnavailable: ``unreadable``, ``foreign_database``, ``newer_database``, ``corrupt``."""
    if not path.is_file():
        raise StoreUnavailable("unreadable", f"there is no backup at {path}")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
            if copy.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise StoreUnavailable("foreign_database", f"{path} is not a backup made by tenure")
            version = int(copy.execute("SELECT schema_version FROM meta").fetchone()[0])
            if version > SCHEMA_VERSION:
                raise StoreUnavailable("newer_database", f"{path} was made by a newer tenure; update tenure, then restore it")
            if copy.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise StoreUnavailable("corrupt", f"{path} is damaged; use an older backup")
            return int(copy.execute("SELECT count(*) FROM job").fetchone()[0])
    except sqlite3.Error as error:
        raise StoreUnavailable("foreign_database", f"{path} is not a backup made by tenure ({error})") from None
