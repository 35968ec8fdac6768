"""Read-only connections for the threads that answer people: none of them can hold up the writer, nor be held up by it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Executable

from tenure.store.sql import Link, Rows
from tenure.store.sqlite import SqliteDatabase


class Reader:
    """A pool of connections that can only read; as many as threads read at once, opened when first needed."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._idle: list[tuple[Any, Link]] = []
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[Link]:
        """One consistent read: everything asked inside sees the same revision. Raises StoreUnavailable."""
        with self._lock:
            pair = self._idle.pop() if self._idle else None
        connection, link = pair or self._database.reader()
        sound = False
        try:
            with self._database.translated():
                link.cursor.execute("BEGIN")
                yield link
                link.cursor.execute("COMMIT")
            sound = True
        finally:
            with self._lock:
                if sound and not self._closed:
                    self._idle.append((connection, link))
                else:
                    connection.close()

    def copy_to(self, target: Path) -> int:
        """Write a consistent copy to a new file, made durable before it gets its name; how many jobs it holds."""
        connection, _ = self._database.reader()
        partial = target.with_name(target.name + ".partial")
        try:
            with self._database.translated(), closing(sqlite3.connect(partial)) as copy:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
                jobs = int(copy.execute("SELECT count(*) FROM job").fetchone()[0])
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.link(partial, target)
        finally:
            connection.close()
            partial.unlink(missing_ok=True)
        return jobs

    def close(self) -> None:
        """Close the idle connections; one that is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()


def ask(link: Link, clause: Executable) -> Rows:
    """All rows of a query that was put together for this one call."""
    compiled = clause.compile(dialect=link.dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    values = compiled.construct_params()
    link.cursor.execute(str(compiled), [values[name] for name in compiled.positiontup or ()])
    return link.cursor.fetchall()
