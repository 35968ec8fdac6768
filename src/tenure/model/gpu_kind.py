"""Which kind of GPU is asked for: part of a model's name, or the least compute capability that will do.

The text ``8.0+`` asks for a capability, every other text for a name. Capabilities are counted in tenths, so that they are integers:
8.0 is 80. A device of which none is known (0) satisfies no such request.
"""

from __future__ import annotations

import re

_LEAST = re.compile(r"(\d{1,3})\.(\d)\+")
_CAPABILITY = re.compile(r"(\d{1,3})\.(\d)")


def least_capability(kind: str) -> int:
    """The capability that is asked for, in tenths; 0 where the text is (part of) a name."""
    match = _LEAST.fullmatch(kind)
    return 10 * int(match[1]) + int(match[2]) if match else 0


def parse_capability(text: str) -> int:
    """``8.0`` in tenths. Raises ValueError."""
    match = _CAPABILITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is no compute capability; write it like 8.0")
    return 10 * int(match[1]) + int(match[2])


def format_capability(tenths: int) -> str:
    """80 as ``8.0``; nothing for an unknown one."""
    return f"{tenths // 10}.{tenths % 10}" if tenths else ""
