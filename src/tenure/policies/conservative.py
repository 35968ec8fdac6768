"""Conservative backfilling: every waiting job is promised a start, and a job goes ahead only where it delays no promise.

A. Mu'alem and D. Feitelson, "Utilization, predictability, workloads, and user runtime estimates in scheduling the IBM SP2 with
backfilling", IEEE TPDS 12(6), 2001. A promise is kept whatever comes later, and improved when room is freed early. The mechanism is in
`tenure.core.promises`.
"""

from __future__ import annotations

from tenure.core.stages import Backfill

EVERY_JOB = 2**31

CONSERVATIVE = Backfill(name="conservative", reserve=EVERY_JOB)
"""As many promises as the settings allow."""
