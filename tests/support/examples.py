"""How many examples a property is tried on: few in each run, all of them before a release.

Each run draws others, so that many short runs see what one long one would. ``TENURE_EXAMPLES=full`` (``make properties``) draws the
number that stands at the test.
"""

from __future__ import annotations

import os

SHARE = 1 if os.environ.get("TENURE_EXAMPLES") == "full" else 3
LEAST = 8


def examples(full: int) -> int:
    """So many of ``full``: all of them, or a third, but never fewer than ``LEAST`` where there are as many."""
    return max(full // SHARE, min(full, LEAST))
