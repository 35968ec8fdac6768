"""SQLite: one writer connection, read-only connections for everybody else, and refusal of whatever could lose data.

Durability: WAL with synchronous=FULL, so a commit that returned is on disk. Writers begin with BEGIN IMMEDIATE, so a transaction
never discovers half-way that it must wait. A network file system is refused because its locks are not to be trusted. A database that
cannot be read is reported in one sentence and never removed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.pool import StaticPool

from tenure.ports import StoreUnavailable
from tenure.store.ballast import Ballast
from tenure.store.sql import Link

APPLICATION_ID: Final = 0x7E4E5253
"""Marks a file as ours, so that a foreign database is recognised before anything is read or written."""

_STATEMENTS = 512
_NETWORK: Final = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB2",
    0xFF534D42: "CIFS",
    0x564C: "NCP",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x01021997: "9P",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
}


class _Translator:
    """Raises the errors of a database as `StoreUnavailable`; one object serves all uses, because it keeps no state."""

    __slots__ = ("_unavailable",)

    def __init__(self, unavailable: Callable[[sqlite3.Error], StoreUnavailable]) -> None:
        self._unavailable = unavailable

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise self._unavailable(error) from error


class SqliteDatabase:
    """A database file. `link` is the writer's connection; `reader` opens another one that can only read."""

    written = "PRAGMA data_version"

    def __init__(self, path: str, busy_timeout_ms: int, ballast_bytes: int = 0) -> None:
        self.path = path
        self._ballast = Ballast(f"{path}.ballast", ballast_bytes)
        self.dialect = sqlite_dialect()
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None
        self._link: Link | None = None
        self._lasting = True
        self._translator = _Translator(self._unavailable)
        self._read_translator = _Translator(lambda error: StoreUnavailable(*_explain(error, self.path)))

    @property
    def link(self) -> Link:
        """The writer's connection, opened again after an error."""
        if self._link is None:
            self._connection, self._lasting = self._open(), True
            self._link = Link(self._connection.cursor(), self.dialect)
        return self._link

    def begin(self, *, lasting: bool = True) -> None:
        """Begin a write transaction; waits for another process's to end, at most the busy timeout. One that is not lasting is not
        synchronised with the disk: the next one that is takes it along, since both are in the same log."""
        with self.translated():
            cursor = self.link.cursor
            if lasting != self._lasting:
                cursor.execute(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
                self._lasting = lasting
            cursor.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Begin a consistent read on the writer's connection."""
        with self.translated():
            self.link.cursor.execute("BEGIN")

    def commit(self) -> None:
        """Make the transaction durable."""
        with self.translated():
            self.link.cursor.execute("COMMIT")

    def alter(self, change: Callable[[Connection], None]) -> None:
        """Run a change of the schema inside the transaction that has begun; SQLite's schema changes are transactional."""
        raw = self._connection
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
        with engine.connect() as connection, connection.begin():
            # Not SQLAlchemy's but the caller's commit ends the transaction: both see the same connection below.
            change(connection)
        self.link.cursor.execute("BEGIN IMMEDIATE")

    def rollback(self) -> None:
        """Undo the transaction; when even that fails the connection is dropped, which undoes it too."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
        except sqlite3.Error:
            self.drop()

    def drop(self) -> None:
        """Close the writer's connection; the next use opens it again."""
        connection, self._connection, self._link = self._connection, None, None
        if connection is not None:
            connection.close()

    def reader(self) -> tuple[sqlite3.Connection, Link]:
        """A new connection that can only read."""
        with self.translated_read():
            connection = sqlite3.connect(
                f"file:{_quoted(self.path)}?mode=ro",
                uri=True,
                timeout=self._busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS,
            )
            connection.execute("PRAGMA query_only=ON")
            return connection, Link(connection.cursor(), self.dialect)

    @property
    def url(self) -> str:
        """Where it is, as people write it."""
        return f"sqlite:///{self.path}"

    def copy_to(self, target: Path) -> int:
        """Write a consistent copy to a new file, made durable before it gets its name; how many jobs it holds.

        Raises OSError when it cannot be written (FileExistsError when there is a file of that name).
        """
        connection, _ = self.reader()
        partial = target.with_name(target.name + ".partial")
        try:
            with closing(sqlite3.connect(partial)) as copy:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
                jobs = int(copy.execute("SELECT count(*) FROM job").fetchone()[0])
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.link(partial, target)
        except sqlite3.Error as error:
            raise OSError(f"{target}: {error}") from error
        finally:
            connection.close()
            partial.unlink(missing_ok=True)
        return jobs

    def has_room(self) -> bool:
        """False from the moment the disk was full until there is room for the ballast again."""
        return not self._ballast.is_given_up or self._ballast.take()

    def hold_ballast(self) -> None:
        """Keep room for the moment the disk is full, if there is any to keep."""
        self._ballast.take()

    def close(self) -> None:
        """Give the writer's connection back; the write-ahead log is merged by the last one to close."""
        self.drop()

    def translated(self) -> AbstractContextManager[None]:
        """Errors of the database as `StoreUnavailable` with a stable code."""
        return self._translator

    def translated_read(self) -> AbstractContextManager[None]:
        """The same for a reader's connection: the writer's is left alone."""
        return self._read_translator

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        """One sentence for an error on the writer's connection, which is opened again unless another process merely held it up."""
        code, why = _explain(error, self.path)
        if code == "disk_full":
            self._ballast.give_up()
        if code != "locked":
            self.drop()
        return StoreUnavailable(code, why)

    def _open(self) -> sqlite3.Connection:
        refuse_network(self.path)
        with self.translated():
            connection = sqlite3.connect(
                self.path,
                timeout=self._busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS,
            )
            try:
                _recognise(connection, self.path)
                for pragma in (
                    "journal_mode=WAL",
                    "synchronous=FULL",
                    "foreign_keys=ON",
                    "temp_store=MEMORY",
                    "wal_autocheckpoint=2000",
                ):
                    connection.execute(f"PRAGMA {pragma}")
            except BaseException:
                connection.close()
                raise
            return connection


def refuse_network(path: str) -> None:
    """Raise `StoreUnavailable` when the file lies (or would lie) on a network file system."""
    kind = _NETWORK.get(_file_system(os.path.dirname(os.path.abspath(path))))
    if kind is not None:
        raise StoreUnavailable(
            "network_file_system",
            f"{path} is on a network file system ({kind}), whose locks cannot be trusted; set TENURE_HOME to a local directory",
        )


def _file_system(directory: str) -> int:
    """The kernel's number for the file system of a directory."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_long * 32)()
    if libc.statfs(directory.encode(), ctypes.byref(buffer)) != 0:
        return 0
    return int(buffer[0]) & 0xFFFFFFFF


def _recognise(connection: sqlite3.Connection, path: str) -> None:
    """Mark an empty file as ours; refuse one that belongs to another program."""
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    if mark == APPLICATION_ID:
        return
    if mark != 0 or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreUnavailable("foreign_database", f"{path} is a database of another program; set TENURE_HOME to another directory")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))


def _explain(error: sqlite3.Error, path: str) -> tuple[str, str]:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    table: tuple[tuple[str, str, str], ...] = (
        ("SQLITE_FULL", "disk_full", f"the disk that holds {path} is full; free some space, and work goes on by itself"),
        ("SQLITE_BUSY", "locked", f"another process keeps {path} locked; see tenure doctor for who it is"),
        ("SQLITE_LOCKED", "locked", f"another process keeps {path} locked; see tenure doctor for who it is"),
        ("SQLITE_CORRUPT", "corrupt", f"{path} is damaged; keep it, and bring back a backup with tenure restore"),
        ("SQLITE_NOTADB", "corrupt", f"{path} is not a database or is damaged; keep it, and bring back a backup with tenure restore"),
        ("SQLITE_CANTOPEN", "unreadable", f"{path} cannot be opened; check that it and its directory belong to you"),
        ("SQLITE_READONLY", "unreadable", f"{path} cannot be written; check that it and its directory belong to you"),
        ("SQLITE_PERM", "unreadable", f"{path} cannot be opened; check that it and its directory belong to you"),
        ("SQLITE_AUTH", "unreadable", f"{path} cannot be opened; check that it and its directory belong to you"),
        ("SQLITE_IOERR", "io_error", f"the disk that holds {path} reports an error ({name}); see the kernel's log"),
    )
    for prefix, code, why in table:
        if name.startswith(prefix):
            return code, why
    raise error
