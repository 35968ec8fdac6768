"""Copies of the store: is this file one, is it whole, and putting it in the store's place."""

from __future__ import annotations

import contextlib
import os
import shutil
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


def put_back(copy: Path, target: Path) -> None:
    """Replace the database by a copy in one step that a crash cannot split; the old one is kept as ``….before-restore``."""
    fresh = target.with_suffix(".restoring")
    shutil.copyfile(copy, fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    if target.exists():
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{target}{suffix}", f"{target}.before-restore{suffix}")
        os.replace(target, f"{target}.before-restore")
    os.replace(fresh, target)
