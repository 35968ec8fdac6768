"""Pages of lists: where a cursor says that they begin, and the cursor of the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tenure.api.problems import failure
from tenure.wire.cursors import Key, cursor_of, key_after, name_after, number_after

T = TypeVar("T")


def number_of(kind: str, cursor: str) -> int:
    """The number after which a page begins. Raises ApiError."""
    try:
        return number_after(kind, cursor)
    except ValueError as error:
        raise failure("bad_request", str(error)) from None


def key_of(kind: str, cursor: str, *parts: type[int | str]) -> Key:
    """The key after which a page begins. Raises ApiError."""
    try:
        return key_after(kind, cursor, *parts)
    except ValueError as error:
        raise failure("bad_request", str(error)) from None


def page_of(kind: str, entries: Sequence[T], key: Callable[[T], Key], limit: int, cursor: str) -> tuple[list[T], str]:
    """The entries by their keys that come after the cursor, and the cursor of the next page. Raises ApiError.

    A key ends in an id; what goes down is negative. An entry whose key changes meanwhile may be met twice or not at all, others not."""
    keyed = sorted(((key(entry), number) for number, entry in enumerate(entries)))
    after = key_of(kind, cursor, *(type(part) for part in keyed[0][0])) if keyed else _none(kind, cursor)
    rest = [(found, number) for found, number in keyed if found > after]
    page = [entries[number] for _, number in rest[:limit]]
    return page, cursor_of(kind, rest[limit - 1][0]) if len(rest) > limit else ""


def cut(kind: str, found: Sequence[T], key: Callable[[T], int | Key], limit: int) -> tuple[list[T], str]:
    """A page of what was read in order, one entry more than the page holds if there are more, and the cursor of the next page."""
    return list(found[:limit]), cursor_of(kind, key(found[limit - 1])) if len(found) > limit else ""


def _none(kind: str, cursor: str) -> Key:
    """No key: there is nothing to go on with. Raises ApiError for what is no cursor of the list."""
    try:
        name_after(kind, cursor)
    except ValueError as error:
        raise failure("bad_request", str(error)) from None
    return ()
