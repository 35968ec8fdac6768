"""What somebody was not allowed to change, for the audit log: kept as a row like what was done, and never more than a few a minute.

Who is nobody leaves no row: anybody can be that as often as he likes. Invariant: whoever is turned away is told so without waiting for
the row, and no number of tries makes more than `MOST` rows within `WITHIN_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tenure.api.identity import CALLER
from tenure.model.access import Caller
from tenure.model.people import Note

if TYPE_CHECKING:
    from tenure.api.context import Context

WITHIN_S = 60.0
MOST = 60


class Denials:
    """Those of one daemon."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._since = clock()
        self._noted: set[tuple[int, int, str]] = set()

    def note(self, scope: Mapping[str, Any], code: str) -> None:
        """Somebody was turned away; each caller and call counts once in a while."""
        caller: Caller | None = scope.get(CALLER)
        method = scope.get("method", "GET")
        if caller is None or method in ("GET", "HEAD", "OPTIONS"):
            return
        now = self._clock()
        if now - self._since >= WITHIN_S:
            self._since = now
            self._noted.clear()
        path = str(scope["path"])[:100]
        key = (caller.uid, caller.token, path)
        if key not in self._noted and len(self._noted) < MOST:
            self._noted.add(key)
            self._context.loop.submit([Note("", caller, f"{method} {path}", outcome=code)])
