"""How often one caller may ask: buckets of tokens that fill up again, one for each caller and kind of call.

A bucket is a moment: that at which it will be full again (the generic cell rate algorithm, ITU-T I.371), so that one number is kept
and nothing has to be refilled. Invariant: whoever is refused is told after how long he would not be.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from tenure.api.errors import ApiError
from tenure.api.identity import CALLER
from tenure.config.listen import ListenSettings, Rate, rate_of
from tenure.wire.dto import ErrorReply

KEPT = 8192
DEFAULTS = ListenSettings()
FAILURES = Rate(20, 60_000)
"""So often may one address show no identity or a wrong one before it has to wait."""


class Kind(StrEnum):
    """What is counted apart."""

    READ = "read"
    SUBMIT = "submit"
    SIMULATE = "simulate"


_DEAR = ("/what-if", "/plan", "/simulations", "/simulate")


def kind_of(method: str, path: str) -> Kind:
    """What a call counts as: a question that takes a search to answer, a change, or a look."""
    if path.endswith(_DEAR) or "/simulations/" in path:
        return Kind.SIMULATE
    return Kind.READ if method in ("GET", "HEAD", "OPTIONS") or path.endswith(("/query", "/wait")) else Kind.SUBMIT


class Buckets:
    """One rate for many callers; those who have not asked for longest are forgotten first, and nobody who owes is worth much."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_s = rate.period_ms / 1000 / rate.times
        self._burst_s = rate.period_ms / 1000
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, who: Hashable) -> float:
        """Take one token: 0 when there was one, else the seconds until there is."""
        now = self._clock()
        full_at = max(now, self._full_at.get(who, now)) + self._each_s
        if full_at - now > self._burst_s + 1e-9:
            return full_at - now - self._burst_s
        self._full_at[who] = full_at
        self._full_at.move_to_end(who)
        if len(self._full_at) > KEPT:
            self._full_at.popitem(last=False)
        return 0.0

    def left_s(self, who: Hashable) -> float:
        """The seconds until there is a token, without taking one."""
        now = self._clock()
        return max(0.0, self._full_at.get(who, now) + self._each_s - now - self._burst_s)


class Limits:
    """The rates of all callers of one daemon. Its own user on its own socket has none."""

    def __init__(self, settings: ListenSettings = DEFAULTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets: Mapping[Kind, Buckets] = {
            Kind.READ: Buckets(rate_of(settings.reads), clock),
            Kind.SUBMIT: Buckets(rate_of(settings.submissions), clock),
            Kind.SIMULATE: Buckets(rate_of(settings.simulations), clock),
        }
        self._own = ("uid", os.getuid())
        self.refused = 0

    def charge(self, scope: Mapping[str, Any], method: str) -> None:
        """Count a call. Raises ApiError when its caller has to wait."""
        if scope.get("client") == self._own:
            return
        caller = scope.get(CALLER)
        kind = kind_of(method, scope["path"])
        wait_s = self._buckets[kind].take((caller.uid, caller.user) if caller is not None else scope.get("client"))
        if wait_s:
            self.refused += 1
            text = f"there were too many calls of this kind ({kind}) in a short time"
            remedy = "wait for as long as Retry-After says; many jobs fit into one call"
            raise ApiError(429, ErrorReply(code="too_many_calls", message=text, remedy=remedy), math.ceil(wait_s))


class Failures:
    """Whoever shows nothing valid again and again has to wait, and all with him who come from the same address, but for those whose
    secret was valid before: a stranger in the same building, or on the same machine, shuts nobody out who is at work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(FAILURES, clock)
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    def check(self, address: str, shown: bytes | None) -> None:
        """Raise ApiError when this address has to wait with what it shows."""
        wait_s = self._buckets.left_s(address)
        if wait_s and (shown is None or sha256(shown).digest() not in self._proven):
            text = "too many calls from this address had no valid token"
            reply = ErrorReply(code="too_many_failures", message=text, remedy="wait, then show a token that is valid")
            raise ApiError(429, reply, math.ceil(wait_s))

    def note(self, address: str, shown: bytes | None, status: int, is_known: bool) -> None:
        """What became of a call: its status, and whether its caller is known."""
        if status == HTTPStatus.UNAUTHORIZED:
            self._buckets.take(address)
        elif is_known and shown is not None:
            digest = sha256(shown).digest()
            self._proven[digest] = None
            self._proven.move_to_end(digest)
            if len(self._proven) > KEPT:
                self._proven.popitem(last=False)
