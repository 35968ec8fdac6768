"""How much work waits: so long all nodes together would have to work on it, if nothing else came.

Of a job its share of all nodes counts, for as long as it is expected to run, or else for its time limit; of one that says nothing of
its length nothing. Whatever may start counts, of an array all that has not started. Invariant: whole milliseconds added up, so that
neither the order of the jobs nor the way by which the board came to its content changes the sum.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tenure.core.stages import Order
from tenure.core.waiting import EXPECTED, FIRST_ID, LIMIT, RUNS, SHARE, WHOLE, Columns

LONGEST_MS = 2**40
"""No job counts as longer, and no group as more work than that (35 years): sums stay within 64 bits."""

MOST_RUNS = 2**20
"""No group counts as more jobs."""


class Weighing(Protocol):
    """An order that reads how much work waits (`tenure.core.waiting.BACKLOG`)."""

    weighs_backlog: bool


def weighs_backlog(order: Order) -> bool:
    """Whether an order is `Weighing`. Asked in every cycle."""
    return getattr(order, "weighs_backlog", False)


def backlog_ms(columns: Columns) -> int:
    """The work of all groups."""
    lengths_ms = np.where(columns[EXPECTED] > 0, columns[EXPECTED], columns[LIMIT])
    each_ms = np.minimum(columns[SHARE], WHOLE) * np.minimum(lengths_ms, LONGEST_MS) // WHOLE
    together_ms = np.minimum(each_ms * np.minimum(columns[RUNS], MOST_RUNS), LONGEST_MS)
    return int(together_ms[columns[FIRST_ID] >= 0].sum())
