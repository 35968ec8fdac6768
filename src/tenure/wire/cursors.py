"""Opaque cursors of pages: where the next page begins, in a text that means something only to who made it.

Why opaque: what a page is ordered by may change without breaking a client that treats its cursor as a word. A cursor says after which
entry a page begins and not at which place, so that new entries move nothing. Invariant: what was not made here for the same list is
refused with one sentence.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

MOST = 10**18
Key = tuple[int | str, ...]
"""What a list is ordered by; the last part is the entry's id, so that no two are alike."""


def cursor_of(kind: str, after: int | str | Key) -> str:
    """The cursor of a list of this kind that goes on after an entry's number, name or key."""
    text = msgspec.json.encode(after).decode() if isinstance(after, tuple) else after
    return urlsafe_b64encode(f"{kind}:{text}".encode()).rstrip(b"=").decode()


def key_after(kind: str, cursor: str, *parts: type[int | str]) -> Key:
    """The key after which a page begins, of these types, empty for no cursor. Raises ValueError."""
    text = name_after(kind, cursor)
    if not text:
        return ()
    try:
        found: Key = msgspec.json.decode(text, type=tuple[parts])  # type: ignore[valid-type]
    except msgspec.MsgspecError:
        raise ValueError(_WRONG) from None
    if any(isinstance(part, int) and abs(part) > MOST for part in found):
        raise ValueError(_WRONG)
    return found


def number_after(kind: str, cursor: str) -> int:
    """The number after which a page begins, 0 for no cursor. Raises ValueError."""
    text = name_after(kind, cursor)
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) > MOST:
        raise ValueError(_WRONG)
    return int(text)


def name_after(kind: str, cursor: str) -> str:
    """The name after which a page begins, empty for no cursor. Raises ValueError."""
    if not cursor:
        return ""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        raise ValueError(_WRONG) from None
    head, _, after = text.partition(":")
    if head != kind or not after or cursor_of(kind, after) != cursor:
        raise ValueError(_WRONG)
    return after


_WRONG = "this is no cursor of that list; begin without one"
