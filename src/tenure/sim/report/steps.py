"""Quantities that jump, over time, in few numbers: exact means and peaks of even stretches.

A curve of a million jumps is drawn on a thousand pixels. Means are integrals, not samples, so no peak between two looks is lost and
the mean of the means is that of the whole. Invariant: with weights that are whole numbers the peak is exact.
"""

from __future__ import annotations

import numpy as np

from tenure.sim.report.columns import Real
from tenure.sim.report.packing import Whole


def covered(rows: Whole, starts: Whole, ends: Whole, weights: Whole, shape: tuple[int, int], span: int) -> Real:
    """For each row and stretch of time, the mean of the weights of what lasts in it: intervals [start, end) of 0 to ``span``."""
    height, stretches = shape
    found = np.zeros(height * (stretches + 2))
    for edges, sign in ((starts, 1.0), (ends, -1.0)):
        at = edges * (stretches / span)
        first = np.clip(at.astype(np.int64), 0, stretches)
        within = np.clip(at - first, 0.0, 1.0)
        cell = rows * (stretches + 2) + first
        found += np.bincount(cell, sign * weights * (1 - within), found.size)
        found += np.bincount(cell + 1, sign * weights * within, found.size)
    sums: Real = np.cumsum(found.reshape(height, stretches + 2), axis=1)
    return sums[:, :stretches]


def means(starts: Whole, ends: Whole, weights: Whole, stretches: int, span: int) -> Real:
    """The mean in each stretch of the sum of the weights of the intervals [start, end)."""
    one_row = np.zeros(starts.size, dtype=np.int64)
    return covered(one_row, starts, ends, weights, (1, stretches), span).ravel()


def summed(times: Whole, changes: Whole, stretches: int, span: int) -> tuple[Real, Whole]:
    """Mean and peak in each stretch of a quantity that starts at 0 and changes at these times; what passes in no time is not seen."""
    if times.size == 0:
        return np.zeros(stretches), np.zeros(stretches, dtype=np.int64)
    moments, which = np.unique(times, return_inverse=True)
    levels = np.cumsum(np.bincount(which, changes, moments.size)).astype(np.int64)
    until = np.append(moments[1:], span)
    mean = means(moments, np.maximum(until, moments), levels, stretches, span)
    at = np.clip((moments * (stretches / span)).astype(np.int64), 0, stretches - 1)
    peak = np.zeros(stretches, dtype=np.int64)
    np.maximum.at(peak, at, levels)
    edges = np.searchsorted(moments, np.arange(stretches) * (span / stretches), side="right") - 1
    return mean, np.maximum(peak, np.where(edges >= 0, levels[edges], 0))
