"""How people name jobs: ``12``, ``12_3`` (an element), ``12_[0-4,9]``, ``12-15``, ``last``, ``last~2``; and index lists of arrays.

Parsing here is pure; ``last`` is resolved by the server, which knows the caller. Invariant: whatever is not understood is refused with
one sentence, and no list grows beyond `MAX_IDS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenure.model.amounts import is_whole

MAX_IDS = 100_000
MAX_ARRAY = 1_000_000
MAX_INDEX = 2**31 - 1

_LAST = re.compile(r"last(?:~(\d{1,6}))?")
_PLAIN = re.compile(r"(\d{1,18})")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_ELEMENT = re.compile(r"(\d{1,18})_(\d{1,10})")
_ELEMENTS = re.compile(r"(\d{1,18})_\[([0-9,:-]+)\]")
_STEP = re.compile(r"(\d{1,10})(?:-(\d{1,10})(?::(\d{1,9}))?)?")


@dataclass(frozen=True, slots=True)
class JobRef:
    """One name: ``number`` is the job, or ``last`` the how manieth from the end (0: the last); ``indices`` are elements of an array."""

    number: int = 0
    last: int | None = None
    indices: tuple[int, ...] = ()


def parse_ref(text: str) -> list[JobRef]:
    """What one word names; a range names several. Raises ValueError with one sentence for anything else."""
    word = text.strip()
    if match := _LAST.fullmatch(word):
        return [JobRef(last=int(match[1] or 0))]
    if match := _PLAIN.fullmatch(word):
        return [JobRef(int(match[1]))]
    if match := _ELEMENT.fullmatch(word):
        return [JobRef(int(match[1]), indices=(int(match[2]),))]
    if match := _ELEMENTS.fullmatch(word):
        return [JobRef(int(match[1]), indices=tuple(expand(parse_indices(match[2])[0])))]
    if match := _RANGE.fullmatch(word):
        first, last = int(match[1]), int(match[2])
        if first <= last < first + MAX_IDS:
            return [JobRef(number) for number in range(first, last + 1)]
        wrong = (
            "ends before it begins; write the smaller id first"
            if last < first
            else f"names more than {MAX_IDS} jobs; write a shorter one"
        )
        raise ValueError(f"the range {word!r} {wrong}")
    raise ValueError(f"{text!r} does not name a job; write an id (12), an element (12_3), a range (12-15), last or last~2")


def parse_indices(text: str) -> tuple[tuple[tuple[int, int, int], ...], int]:
    """Read an index list ``0-99:2,200%8``: inclusive ranges ``(first, last, step)`` in order, and the cap (0: none).

    Raises ValueError when it is not one, names an index twice, or names more than `MAX_ARRAY`.
    """
    body, percent, cap_text = text.strip().partition("%")
    if percent and not (is_whole(cap_text) and 0 < int(cap_text) <= MAX_ARRAY):
        raise ValueError(f"{text!r}: after % comes how many may run at once, such as 0-99%8")
    ranges = [_range_of(part, text) for part in body.split(",")]
    if sum(range_size(item) for item in ranges) > MAX_ARRAY:
        raise ValueError(f"{text!r} names more than {MAX_ARRAY} elements; split it into several arrays")
    indices = expand(tuple(ranges))
    if len(set(indices)) != len(indices):
        raise ValueError(f"{text!r} names an index twice")
    return tuple(ranges), int(cap_text) if percent else 0


def _range_of(part: str, text: str) -> tuple[int, int, int]:
    match = _STEP.fullmatch(part.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an index list; write it like 0-99, 1,5,7-20:2 or 0-99%8")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    step = int(match[3] or 1)
    if last < first or step < 1 or last > MAX_INDEX:
        raise ValueError(f"{part!r} is not a range; write the smaller index first and a step of at least 1")
    return first, last, step


def range_size(item: tuple[int, int, int]) -> int:
    """How many indices an inclusive range names."""
    return (item[1] - item[0]) // item[2] + 1


def expand(ranges: tuple[tuple[int, int, int], ...]) -> list[int]:
    """The indices of these ranges, in order."""
    return [index for first, last, step in ranges for index in range(first, last + 1, step)]


def format_indices(ranges: tuple[tuple[int, int, int], ...], cap: int = 0) -> str:
    """The inverse of `parse_indices`."""
    parts = [f"{a}" if a == b else f"{a}-{b}" + (f":{s}" if s != 1 else "") for a, b, s in ranges]
    return ",".join(parts) + (f"%{cap}" if cap else "")


def format_id(number: int, array_id: int = 0, index: int = -1) -> str:
    """What people type for a job: ``12``, or ``12_3`` for element 3 of array 12."""
    return f"{array_id}_{index}" if array_id else str(number)
