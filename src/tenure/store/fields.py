"""The kinds of columns that tables are made of. Invariant: a column renders alike everywhere, its default included."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Index, Integer, MetaData, Text, TextClause, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def an_id() -> Column[int]:
    """A key taken from a counter in `meta` or from an interning cache, never from the database's own sequence."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)


def a_number(name: str, default: int | None = 0, **options: object) -> Column[int]:
    """An integer that is never null and has a default in the database."""
    server = None if default is None else text(str(default))
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), nullable=False, server_default=server, **options)  # type: ignore[arg-type]


def maybe_a_number(name: str, **options: object) -> Column[int]:
    """An integer, or null where nothing is known yet."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), nullable=True, **options)  # type: ignore[arg-type]


def a_text(name: str, default: str | None = "", **options: object) -> Column[str]:
    """Text that is never null."""
    server = None if default is None else text(f"'{default}'")
    return Column(name, Text, nullable=False, server_default=server, **options)  # type: ignore[arg-type]


def partial_index(name: str, *columns: Column[Any], where: ColumnElement[bool] | TextClause, unique: bool = False) -> None:
    """An index of the rows that ``where`` selects; `create.ddl` says so to a database in its own words.

    An option that is spelled for a database here would import that database's whole dialect into every daemon.
    """
    Index(name, *columns, unique=unique, info={"where": where})
