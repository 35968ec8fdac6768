"""What the store needs of a database product; the rest of the store does not know which one it is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tenure.store.sql import Link


class Closing(Protocol):
    """A connection, as far as its owner needs it."""

    def close(self) -> None:
        """Give it back."""
        ...


class Database(Protocol):
    """One writer's connection and the borders of its transactions. Failures are raised as `StoreUnavailable`."""

    written: str
    """The query that gives another number once any other connection has written, if the same reader asks it again."""

    @property
    def link(self) -> Link:
        """The writer's connection, opened when it is not."""
        ...

    def begin(self, *, lasting: bool = True) -> None:
        """Begin a transaction that will write; waits a bounded time for another writer. One that is not ``lasting`` may be undone by
        the end of the machine, until the next one that is."""
        ...

    def begin_read(self) -> None:
        """Begin a consistent read."""
        ...

    def commit(self) -> None:
        """End the transaction; what it wrote is durable when this returns, as far as that was asked for."""
        ...

    def rollback(self) -> None:
        """End the transaction without a trace; never raises."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Raise the product's errors as `StoreUnavailable`."""
        ...

    @property
    def url(self) -> str:
        """Where it is, as people write it."""
        ...

    def reader(self) -> tuple[Closing, Link]:
        """A new connection that can only read, for any one thread at a time."""
        ...

    def translated_read(self) -> AbstractContextManager[None]:
        """The same as `translated` for a reader's connection."""
        ...

    def copy_to(self, target: Path) -> int:
        """Write a consistent copy to a new file, made durable before it gets its name; how many jobs it holds. Raises OSError."""
        ...

    def has_room(self) -> bool:
        """Whether there is room for more than what must be written; after a full disk this is where room is looked for again."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...
