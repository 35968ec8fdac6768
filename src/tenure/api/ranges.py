"""One range of bytes of a resource (RFC 9110, section 14): ``bytes=0-99``, ``bytes=100-``, ``bytes=-100``.

Invariant: what is no such range is not heeded, as the standard wants it, and what is one is inside the resource or refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tenure.api.problems import failure

_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))")


class ByteRange(NamedTuple):
    """Bytes from ``start`` to before ``end`` of ``size``."""

    start: int
    end: int
    size: int

    @property
    def text(self) -> str:
        """The value of Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def range_of(header: str, size: int) -> ByteRange | None:
    """The bytes that a header asks for, None where it asks for none. Raises ApiError when there are no such bytes."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if first is None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise failure("bad_range", f"there are {size} bytes", "ask for some of these", {"Content-Range": f"bytes */{size}"})
    return ByteRange(start, end, size)
