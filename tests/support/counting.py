"""What reads of a store cost, in the instructions of its database: they grow with the rows that are read, and are the same on every
machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from tenure.store import SqlStore
from tenure.store.queries import Queries
from tenure.store.sql import Link

STEP = 10
"""Instructions of the database between two counts."""


class Counting:
    """The reads of a store, counted."""

    def __init__(self, store: SqlStore) -> None:
        self.counts = 0
        opened = store.database.reader

        def count() -> int:
            self.counts += 1
            return 0

        def reader() -> tuple[sqlite3.Connection, Link]:
            connection, link = opened()
            connection.set_progress_handler(count, STEP)
            return connection, link

        store.database.reader = reader  # type: ignore[method-assign]
        self.queries = store.queries()

    def cost(self, read: Callable[[Queries], object]) -> int:
        """The instructions that a read takes, once what never changes has been read."""
        read(self.queries)
        before = self.counts
        read(self.queries)
        return (self.counts - before) * STEP


def repeat(cursor: sqlite3.Cursor, table: str, key: str, number: int, times: int, **changed: str) -> None:
    """Have a row of jobs or events again and again, under numbers of its own after all others. ``changed`` are columns in terms of
    ``n``, which counts from 1."""
    names = [row[1] for row in cursor.execute(f"PRAGMA table_info({table})")]
    rest = [name for name in names if name != key]
    (first,) = cursor.execute(f"SELECT max({key}) FROM {table}").fetchone()
    count = "WITH RECURSIVE upto(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM upto WHERE n < ?)"
    values = ", ".join(changed.get(name, name) for name in rest)
    sql = (
        f"{count} INSERT INTO {table} ({key}, {', '.join(rest)}) SELECT {first} + n, {values} FROM upto, {table} WHERE {key} = {number}"
    )
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute(sql, (times,))
    cursor.execute(f"UPDATE meta SET {table}_seq = {first} + ?", (times,))
    if table == "job":
        line = f"(SELECT project_id, user_id, queue_id, state FROM job WHERE id = {number})"
        cursor.execute(f"UPDATE line_count SET lines = lines + ? WHERE (project_id, user_id, queue_id, state) = {line}", (times,))
    cursor.execute("COMMIT")
