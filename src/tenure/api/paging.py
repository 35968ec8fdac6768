"""Pages of lists: where a cursor says that they begin, and the cursor of the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tenure.api.problems import failure
from tenure.wire.cursors import cursor_of, name_after, number_after

T = TypeVar("T")


def number_of(kind: str, cursor: str) -> int:
    """The number after which a page begins. Raises ApiError."""
    try:
        return number_after(kind, cursor)
    except ValueError as error:
        raise failure("bad_request", str(error)) from None


def page_of(kind: str, entries: Sequence[T], name: Callable[[T], str], limit: int, cursor: str) -> tuple[list[T], str]:
    """The entries by name that come after the cursor, and the cursor of the next page. Raises ApiError."""
    try:
        after = name_after(kind, cursor)
    except ValueError as error:
        raise failure("bad_request", str(error)) from None
    rest = sorted((entry for entry in entries if name(entry) > after), key=name)
    page = rest[:limit]
    return page, cursor_of(kind, name(page[-1])) if len(rest) > limit else ""
