"""Conditions that an absent value lets pass, so that one statement serves whatever a list is narrowed by.

Each names its parameters itself; who calls the statement gives a value for each, in their order. Invariant: an empty text or a 0
narrows nothing.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_

from tenure.store.sql import const, param

BEYOND = 2**62
"""More than any number there is: where a list that goes down begins."""
SPAN = ("since", "until", "until2")
"""The parameters of `within`."""


def named(name: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a text is the one that is named; the parameters are ``name1`` and ``name2``, and both the same."""
    return or_(param(f"{name}1") == const(""), column == param(f"{name}2"))


def twice(*names: str) -> tuple[str, ...]:
    """The parameters of several `named`."""
    return tuple(f"{name}{number}" for name in names for number in (1, 2))


def within(column: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a moment is not before the one and, unless that is 0, before the other; the parameters are `SPAN`."""
    return and_(column >= param("since"), or_(param("until") == const(0), column < param("until2")))
