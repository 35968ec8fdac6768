"""Confirmations: what a dry run gives, and the call that means it must show.

A confirmation is a keyed hash of what exactly was asked for, by whom, and until when it holds; so nothing is kept, another call cannot
be confirmed with it, and one that is shown twice is the same idempotency key and has one effect. The key is made anew when the server
starts: what was not confirmed by then is asked for again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

LASTS_S = 600
_DIGITS = 32


class Confirmations:
    """Makes and checks them. ``now_s`` is the clock."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._key = os.urandom(32)
        self._now_s = now_s

    def make(self, caller: str, tool: str, wish: Mapping[str, Any]) -> str:
        """The confirmation for this very call."""
        until = int(self._now_s()) + LASTS_S
        return f"{until}-{self._mark(caller, tool, wish, until)}"

    def holds(self, given: str, caller: str, tool: str, wish: Mapping[str, Any]) -> bool:
        """Whether it was made for this call, not too long ago."""
        until, _, mark = given.partition("-")
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return False
        expected = self._mark(caller, tool, wish, int(until))
        return hmac.compare_digest(mark.encode(), expected.encode()) and int(until) >= self._now_s()

    def _mark(self, caller: str, tool: str, wish: Mapping[str, Any], until: int) -> str:
        text = json.dumps([caller, tool, until, wish], sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
