"""EASY backfilling: only the head of the order has a reservation; anything that does not delay it may go ahead.

D. Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995; A. Mu'alem and D. Feitelson, "Utilization, predictability, workloads, and
user runtime estimates in scheduling the IBM SP2 with backfilling", IEEE TPDS 12(6), 2001. The mechanism, and what happens where
running jobs have no time limit, is in `tenure.core.backfill`.
"""

from __future__ import annotations

from tenure.core.stages import Backfill
from tenure.policies.shortest import Shortest

EASY = Backfill(name="easy", reserve=1)
"""One reservation, for the head."""

GREEDY = Backfill(name="greedy", reserve=0)
"""No reservation: whatever fits starts. The baseline that EASY is compared with; large jobs may starve."""

SJBF = Backfill(name="easy-sjbf", reserve=1, candidates=Shortest())
"""EASY that tries the shortest first (`tenure.policies.shortest`): more of them fit before the head starts."""

STRICT = Backfill(name="strict", reserve=1, passing=False)
"""Nobody goes ahead of the head: what backfilling is measured against."""
