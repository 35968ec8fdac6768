"""For each node, a time before which a task certainly does not fit there: it spares the exact look at most nodes.

The bound comes from ends alone: of the first holding on the node where an amount is lacking, of the k-th device to become empty for
whole devices, of the first holding on a device for a fraction. Invariant: never later than the exact time
(`tenure.core.backfill.steps`), so stopping at the bound changes no answer.
"""

from __future__ import annotations

import numpy as np

from tenure.core.columns import NEVER, UNUSABLE, Ints
from tenure.core.feasibility import Ask
from tenure.core.tables import NodeTable


def bounds(table: NodeTable, ask: Ask, now_ms: int) -> Ints:
    """Per node, a time before which no task of the ask fits; `NEVER` where none ever does, as far as this can tell."""
    columns = table.columns
    ample = columns.offered & table.labelled(ask.labels)
    bound = np.where(ample, now_ms, NEVER)
    for resource, need in enumerate(ask.need):
        bound = np.where(columns.free[resource] >= need, bound, np.maximum(bound, table.now.first))
    if ask.wants_devices:
        bound = np.maximum(bound, _device_bounds(table, ask))
    return bound.astype(np.int64)


def _device_bounds(table: NodeTable, ask: Ask) -> Ints:
    columns = table.columns
    known = table.demanded(ask).accepted & (columns.milli != UNUSABLE)
    if ask.milli:
        times = np.where(table.usable(ask), 0, np.where(known, table.now.device_first, NEVER))
        first: Ints = times.min(axis=0, initial=NEVER)
        return first
    times = np.where(known & (table.now.total_memory >= ask.gpu_memory_bytes), table.now.device_last, NEVER)
    if ask.whole > len(times):
        return np.full(times.shape[1], NEVER, dtype=np.int64)
    last: Ints = np.partition(times.T, ask.whole - 1)[:, ask.whole - 1]
    return last
