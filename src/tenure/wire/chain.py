"""The chain that the rows of the audit log are, and its form as a file: what the store writes and whoever holds a copy can check.

The hash of a row covers the row and the hash before it. A file has a line for each row; its first and its last line are marks, which
say at which row the chain stands. So files that follow each other can be put together, and one that was cut off ends without a mark.
Invariants: `Chain.follow` finds nothing exactly for the rows that `link_of` linked; `line_of` writes a row in one way only, so
that a file in which nothing is found is the file that was written, byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal

import msgspec

from tenure.wire.base import Number, Whole
from tenure.wire.people import AuditView

_encode = msgspec.json.encode
SOUND = ""


def link_of(before: str, row: Sequence[Any]) -> str:
    """The hash of a row (all columns but the hash) after another row's hash."""
    return sha256(before.encode() + _encode(list(row))).hexdigest()


class Chain:
    """A place in a chain: the number and the hash of the row at which it stands; 0 and nothing before the first one."""

    __slots__ = ("hash", "seq")

    def __init__(self, seq: int = 0, digest: str = "") -> None:
        self.seq = seq
        self.hash = digest

    def follow(self, row: Sequence[Any], digest: str) -> str:
        """Go on to a row, its number first; what is wrong with it, `SOUND` where nothing is."""
        number, expected, before = row[0], self.seq + 1, self.hash
        self.seq, self.hash = number, digest
        if number > expected:
            return f"the rows from {expected} to {number - 1} are missing" if number > expected + 1 else f"row {expected} is missing"
        if number < expected:
            return f"it stands where row {expected} should"
        return SOUND if link_of(before, row) == digest else "the row was altered, or the one before it was"


class MarkLine(msgspec.Struct, forbid_unknown_fields=True):
    """A line that is no row: the chain stands at row ``seq`` with this hash. ``audit`` is the version of the form."""

    audit: Literal[1]
    seq: Whole
    hash: str


class RowLine(msgspec.Struct, forbid_unknown_fields=True):
    """A line for a row: all its columns."""

    seq: Whole
    at_ms: Number
    uid: Number
    user: str
    via: str
    token: Number
    what: str
    count: Whole
    target: str
    outcome: str
    detail: dict[str, Any]
    hash: str

    def row(self) -> tuple[Any, ...]:
        """The columns that the hash covers, as the store has them: names in what JSON calls an object keep their order on the way."""
        *columns, detail, _ = msgspec.structs.astuple(self)
        return (*columns, _encode(detail).decode())


_marks = msgspec.json.Decoder(MarkLine)
_rows = msgspec.json.Decoder(RowLine)
_MARK = b'{"audit":'


def mark_of(chain: Chain) -> MarkLine:
    """The line that says where a chain stands."""
    return MarkLine(1, chain.seq, chain.hash)


def row_of(view: AuditView) -> RowLine:
    """The line for a row as the daemon tells it."""
    return RowLine(*(getattr(view, name) for name in RowLine.__struct_fields__))


def line_of(line: MarkLine | RowLine) -> bytes:
    """The text of a line, its end included."""
    return _encode(line) + b"\n"


def read_line(text: bytes) -> MarkLine | RowLine:
    """A line read. Raises ValueError for one that `line_of` would not have written."""
    try:
        line: MarkLine | RowLine = _marks.decode(text) if text.startswith(_MARK) else _rows.decode(text)
        same = line_of(line) == text
    except (msgspec.MsgspecError, RecursionError, OverflowError, ValueError) as error:
        raise ValueError(f"the line is no row of an audit log ({str(error).partition(' - ')[0]})") from None
    if not same:
        raise ValueError("the line is not written as an export writes it, so something was put in or taken out")
    return line
