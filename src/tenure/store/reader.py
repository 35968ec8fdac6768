"""Read-only connections for the threads that answer people: none of them can hold up the writer, nor be held up by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Executable

from tenure.store.database import Closing, Database
from tenure.store.sql import Link, Rows


class Reader:
    """A pool of connections that can only read; as many as threads read at once, opened when first needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._idle: list[tuple[Closing, Link]] = []
        self._closed = False
        self._watching: tuple[Closing, Link] | None = None
        self._watches = 0

    @contextmanager
    def read(self) -> Iterator[Link]:
        """One consistent read: everything asked inside sees the same revision. Raises StoreUnavailable."""
        with self._lock:
            pair = self._idle.pop() if self._idle else None
        connection, link = pair or self._database.reader()
        sound = False
        try:
            with self._database.translated_read():
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

    def stamp(self) -> tuple[int, int]:
        """What is another pair once anybody has written, this process or another. Not for several threads at once. Raises
        StoreUnavailable.

        It has a connection of its own: the number says something only of the connection that it was read from."""
        if self._watching is None:
            self._watching = self._database.reader()
            self._watches += 1
        try:
            with self._database.translated_read():
                cursor = self._watching[1].cursor
                cursor.execute(self._database.written)
                return self._watches, int(cursor.fetchone()[0])
        except BaseException:
            watching, self._watching = self._watching, None
            watching[0].close()
            raise

    def close(self) -> None:
        """Close the idle connections; one that is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._watching is not None:
                idle.append(self._watching)
                self._watching = None
        for connection, _ in idle:
            connection.close()


def ask(link: Link, clause: Executable) -> Rows:
    """All rows of a query that was put together for this one call."""
    compiled = clause.compile(dialect=link.dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    values = compiled.construct_params()
    link.cursor.execute(str(compiled), [values[name] for name in compiled.positiontup or ()])
    return link.cursor.fetchall()
