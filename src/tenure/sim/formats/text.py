"""Reading logs line by line: plain or gzip, bounded, and never with a traceback for what a file contains.

Every reader of a format goes through here, so that a broken file, a broken line and an absurd number are told in one way: file, line,
reason. A file is streamed; no line, record or number may be larger than anything a real log holds. Invariant: the only exception that
leaves this module for a file's content is BadWorkload.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import BinaryIO, TypeVar

from tenure.sim.workload import BadWorkload

MAX_RECORDS = 5_000_000
MAX_LINE = 64 * 1024
MOST = 10**12
"""Larger than any honest count, amount in MiB or number of seconds; far from what an integer column can hold after scaling."""

_MAX_S = 10**11
_HEADER_LINES = 1000
_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"
_SHOWN = 40

R = TypeVar("R")


def lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file, from 1, without their ends. Bytes that are no UTF-8 become replacement characters.

    Raises BadWorkload for a file that cannot be read, a line of more than 64 KiB and more than 5 million records.
    """
    number = 0
    try:
        with open(path, "rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP
            for block in _blocks(path, gzip.GzipFile(fileobj=raw) if packed else raw):
                for line in block:
                    number += 1
                    yield number, line
                _bounded(path, number)
    except BadWorkload:
        raise
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise BadWorkload(f"{path}, after line {number}: the gzip file is damaged; fetch it again") from None
    except (OSError, ValueError) as error:
        raise BadWorkload(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _bounded(path: str, number: int) -> None:
    if number > MAX_RECORDS + _HEADER_LINES:
        raise BadWorkload(f"{path} has more than {MAX_RECORDS:,} records; cut it into shorter logs")


def _blocks(path: str, file: BinaryIO | gzip.GzipFile) -> Iterator[list[str]]:
    """The file as lists of whole lines. Whole blocks are decoded at once: that is several times faster than line by line."""
    rest, first = b"", True
    while chunk := file.read(_CHUNK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > MAX_LINE:
            raise BadWorkload(f"{path} has a line of more than {MAX_LINE:,} bytes; it is no log in a format that Tenure reads")
        if newline:
            yield _decoded(whole, first)
            first = False
    if rest:
        yield _decoded(rest, first)


def _decoded(block: bytes, first: bool) -> list[str]:
    text = block.decode(errors="replace").replace("\r\n", "\n").removesuffix("\r")
    return (text.removeprefix("\ufeff") if first else text).split("\n")


def table(path: str, wanted: Sequence[str], read: Callable[[Sequence[str]], R], optional: Sequence[str] = ()) -> Iterator[R]:
    """What ``read`` makes of each row of a CSV file with a header: it gets the fields of ``wanted``, then of ``optional``.

    An optional column that the file lacks gives empty fields. Raises BadWorkload for a missing column, a row of another length and
    whenever ``read`` raises ValueError, with the line and its text.
    """
    rows = csv.reader((line for _, line in lines(path)), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        pick = _picker(path, header, wanted, optional)
        for row in rows:
            if row:
                yield read(pick(_complete(row, len(header))))
    except BadWorkload:
        raise
    except (ValueError, csv.Error) as error:
        raise BadWorkload(f"{path}, line {rows.line_num}: {error}") from None


def _complete(row: list[str], columns: int) -> list[str]:
    """The row and an empty field behind it, which stands for the optional columns that the file lacks."""
    if len(row) != columns:
        raise ValueError(f"{len(row)} fields where the header names {columns}")
    row.append("")
    return row


def _picker(path: str, header: list[str], wanted: Sequence[str], optional: Sequence[str]) -> Callable[[Sequence[str]], Sequence[str]]:
    missing = [name for name in wanted if name not in header]
    if missing:
        raise BadWorkload(f"{path}, line 1: the columns {', '.join(missing)} are missing; check the format of the file")
    places = [header.index(name) if name in header else len(header) for name in (*wanted, *optional)]
    return itemgetter(*places)


def whole(text: str, column: str, least: int = 0, most: int = MOST) -> int:
    """A whole number, also when written as ``12.0``. Raises ValueError with the column when it is none or out of range."""
    try:
        value = int(text) if "_" not in text else least - 1
    except ValueError:
        value = _from_float(text, least - 1)
    if not least <= value <= most:
        raise ValueError(f"{column} is {shown(text)}, not a whole number from {least} to {most}")
    return value


def _from_float(text: str, otherwise: int) -> int:
    try:
        value = float(text)
    except ValueError:
        return otherwise
    return int(value) if math.isfinite(value) and value == int(value) else otherwise


def scaled(text: str, column: str, unit: int, most: int) -> int:
    """A number of ``unit``, with or without a fraction, in whole ones: 937.5 GiB in bytes. Raises ValueError for none."""
    try:
        value = float(text) if "_" not in text else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise ValueError(f"{column} is {shown(text)}, not a number from 0 to {most}")
    return round(value * unit)


def milliseconds(text: str, column: str, least_s: int = 0) -> int:
    """A number of seconds, with or without a fraction, as whole milliseconds. Raises ValueError with the column when it is none."""
    try:
        value = int(text) * 1000 if "_" not in text else None
    except ValueError:
        value = _rounded_ms(text)
    if value is None or not least_s * 1000 <= value <= _MAX_S * 1000:
        raise ValueError(f"{column} is {shown(text)}, not a number of seconds from {least_s} to {_MAX_S}")
    return value


def _rounded_ms(text: str) -> int | None:
    try:
        value = float(text) * 1000
    except ValueError:
        return None
    return round(value) if math.isfinite(value) and "_" not in text else None


def shown(text: str) -> str:
    """A field as an error quotes it: in quotes, its beginning only."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
