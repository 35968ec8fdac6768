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
