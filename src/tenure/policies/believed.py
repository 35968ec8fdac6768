"""How long a job is believed to run, and how much it takes: what most orders go by.

Invariant: for jobs of one group both are the same, so that only age tells them apart.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import Floats, Ints
from tenure.core.waiting import CPU_MILLI, EXPECTED, GPU_MILLI, LIMIT, Columns

UNKNOWN_MS = 2**61
"""Longer than any limit: a job that says nothing comes after all that say something."""

ASSUMED_MS = 86_400_000
"""A day: what is assumed of a job that says nothing where an order weighs waiting against length, so that it gains by waiting too."""

CPUS_PER_GPU = 16
"""A GPU counts as so many cpus (servers of eight have 96 to 192): one size for jobs with and without GPUs."""


def lengths_ms(columns: Columns, unknown_ms: int) -> Ints:
    """The forecast where the order is told of it (`tenure.core.waiting.DISTINGUISHABLE`), else the time limit."""
    limits, expected = columns[LIMIT], columns[EXPECTED]
    lengths: Ints = np.where(expected > 0, expected, np.where(limits > 0, limits, unknown_ms))
    return lengths


def seconds(columns: Columns) -> Floats:
    """`lengths_ms` in seconds, the unit of the published formulas, at least one; nothing known is a day."""
    found: Floats = np.maximum(lengths_ms(columns, ASSUMED_MS) / 1000.0, 1.0)
    return found


def processors(columns: Columns) -> Floats:
    """How many cpus' worth all tasks take: their cpus, or their GPUs where these are more. At least a thousandth."""
    milli = np.maximum(columns[CPU_MILLI], columns[GPU_MILLI] * CPUS_PER_GPU)
    found: Floats = np.maximum(milli, 1) / 1000.0
    return found
