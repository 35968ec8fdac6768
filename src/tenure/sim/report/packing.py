"""Many integers in little room: LEB128 bytes as base64, which a page unpacks in a few lines.

Each number is written in groups of seven bits, lowest first, with the top bit set while more follow. Numbers with a sign are folded
first (0, -1, 1, -2, …), so that small ones of either sign stay short. Invariant: the same numbers give the same text.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def folded(values: Whole) -> Whole:
    """0, -1, 1, -2, 2, … as 0, 1, 2, 3, 4, …"""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def packed(values: Whole) -> str:
    """The numbers, none below zero, as text. Raises ValueError for one that is."""
    if values.size == 0:
        return ""
    if int(values.min()) < 0:
        raise ValueError("only numbers that are not negative can be packed; fold them first")
    lengths = np.ones(values.size, dtype=np.int64)
    rest = values >> 7
    while rest.any():
        lengths += rest > 0
        rest >>= 7
    starts = np.cumsum(lengths) - lengths
    written = np.zeros(int(lengths.sum()), dtype=np.uint8)
    for group in range(int(lengths.max())):
        longer = lengths > group
        more = np.where(lengths[longer] > group + 1, 128, 0)
        written[starts[longer] + group] = ((values[longer] >> (7 * group)) & 127) | more
    return base64.b64encode(written.tobytes()).decode("ascii")


def steps_of(values: Whole) -> Whole:
    """Each number's distance from the one before it, the first from 0."""
    return np.diff(values, prepend=0)
