"""Statements written once in SQLAlchemy Core, compiled once, and run as plain SQL on the connection below it.

Why: Core keeps the statements portable and checked against the schema, but its per-call overhead is several times the cost of the
statement itself. Invariant: the order in which a statement takes its parameters is declared where it is written and compared with
what the compiler made of it, so a wrong order fails at the first use and not as a wrong row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import BindParameter, ColumnElement, Dialect, Executable, Table, bindparam, literal_column

Row = tuple[Any, ...]
Rows = list[Row]
Many = Callable[[Sequence[BindParameter[Any]]], Executable]

_CHUNK = 256


def param(name: str) -> BindParameter[Any]:
    """A parameter of a statement; the prefix keeps it apart from the columns' own names."""
    return bindparam(f"p_{name}")


def const(value: str | int) -> ColumnElement[Any]:
    """A constant written into the statement's text; only for values of this source code."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")


class Statement:
    """A statement and the order of its parameters."""

    __slots__ = ("_clause", "_order")

    def __init__(self, clause: Executable, *order: str) -> None:
        self._clause = clause
        self._order = order

    def sql(self, dialect: Dialect) -> str:
        """Its text for a database; `Link` keeps it."""
        return _compile(self._clause, self._order, dialect)


class InList:
    """A statement over a list of keys of any length: compiled for lengths that are powers of two and filled up by repetition.

    ``order`` are the parameters that come before the list.
    """

    __slots__ = ("_make", "_order", "_sized")

    def __init__(self, make: Many, *order: str) -> None:
        self._make = make
        self._order = order
        self._sized: dict[int, tuple[Statement, int]] = {}

    def sized(self, count: int) -> tuple[Statement, int]:
        """The statement for at least ``count`` keys, and how many it takes."""
        found = self._sized.get(count)
        if found is None:
            size = 1 << (count - 1).bit_length()
            if size != count:
                found = self.sized(size)
            else:
                names = [f"key{i}" for i in range(size)]
                found = Statement(self._make([param(n) for n in names]), *self._order, *names), size
            self._sized[count] = found
        return found


def insert(table: Table, *columns: str) -> Statement:
    """Insert one row, parameters in the order of ``columns`` (which must be the table's own order)."""
    return Statement(table.insert().values({name: param(name) for name in columns}), *columns)


def _compile(clause: Executable, order: tuple[str, ...], dialect: Dialect) -> str:
    compiled = clause.compile(dialect=dialect)  # type: ignore[attr-defined]
    found = tuple(name.removeprefix("p_") for name in compiled.positiontup or ())
    if found != order:
        raise TypeError(f"parameters are {found}, declared as {order}, in: {compiled}")
    return str(compiled)


class Cursor(Protocol):
    """What is used of a DBAPI cursor."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: str, params: Sequence[Any] = ..., /) -> Any: ...
    def executemany(self, sql: str, params: Iterable[Sequence[Any]], /) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def fetchone(self) -> Any: ...


class Link:
    """A connection, seen as a place where statements run. It knows nothing of transactions."""

    __slots__ = ("_texts", "cursor", "dialect")

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self.cursor = cursor
        self.dialect = dialect
        self._texts: dict[Statement, str] = {}

    def text(self, statement: Statement) -> str:
        """A statement's text for this connection's database, compiled once."""
        found = self._texts.get(statement)
        if found is None:
            found = self._texts[statement] = statement.sql(self.dialect)
        return found

    def rows(self, statement: Statement, *params: Any) -> Rows:
        """All rows of a query."""
        self.cursor.execute(self.text(statement), params)
        return self.cursor.fetchall()

    def row(self, statement: Statement, *params: Any) -> Row | None:
        """The first row of a query, None when there is none."""
        self.cursor.execute(self.text(statement), params)
        found: Row | None = self.cursor.fetchone()
        return found

    def rows_in(self, statement: InList, keys: Sequence[Any], *before: Any) -> Rows:
        """All rows of a query over a list of keys; an empty list gives none. Long lists are asked for in pieces."""
        count = len(keys)
        if count <= _CHUNK:
            if not count:
                return []
            sized, size = statement.sized(count)
            params = (*before, *keys) if size == count else (*before, *keys, *[keys[-1]] * (size - count))
            self.cursor.execute(self.text(sized), params)
            return self.cursor.fetchall()
        found: Rows = []
        for start in range(0, count, _CHUNK):
            found += self.rows_in(statement, keys[start : start + _CHUNK], *before)
        return found

    def write(self, statement: Statement, *params: Any) -> int:
        """Run one change; how many rows it touched."""
        self.cursor.execute(self.text(statement), params)
        return self.cursor.rowcount

    def write_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        """Run one change per row; how many rows they touched together."""
        if not rows:
            return 0
        if len(rows) == 1:
            self.cursor.execute(self.text(statement), rows[0])
        else:
            self.cursor.executemany(self.text(statement), rows)
        return self.cursor.rowcount

    def write_in(self, statement: InList, keys: Sequence[Any], *before: Any) -> int:
        """Run one change over a list of keys; how many rows it touched."""
        touched = 0
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            sized, size = statement.sized(len(part))
            touched += self.write(sized, *before, *part, *[part[-1]] * (size - len(part)))
        return touched
