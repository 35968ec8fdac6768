"""What a node draws and costs while it works, as its labels declare it: ``power_w=900``, ``price_per_hour=2.50``.

Labels travel with a node through every store, executor and list of machines, and people see them; so nothing else need know. A label
of these names with a value that is no number declares nothing. Invariant: the same labels, the same upkeep; what is not declared is
not guessed (``has_power`` and ``has_price`` say so).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tenure.model.amounts import parse_milli

POWER_IDLE, POWER_FULL, POWER_SLEEP, PRICE = "power_idle_w", "power_w", "power_sleep_w", "price_per_hour"
_WATTS = re.compile(r"\d{1,7}")
_PRICE = re.compile(r"\d{1,7}(\.\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """``idle_w`` while nothing runs, ``full_w`` while all of it is used, in between in proportion. ``sleep_w`` is what it draws instead
    of ``idle_w`` while it is empty, -1 where it cannot sleep. ``price_milli`` is the price of an hour in thousandths of whatever the
    installation counts in. ``has_power`` and ``has_price`` say what was declared."""

    idle_w: int = 0
    full_w: int = 0
    sleep_w: int = -1
    price_milli: int = 0
    has_power: bool = False
    has_price: bool = False

    @property
    def span_w(self) -> int:
        """What full use draws more than none."""
        return max(self.full_w - self.idle_w, 0)

    @property
    def wake_w(self) -> int:
        """What an empty node draws more once anything runs on it: nothing where it cannot sleep, since it idles anyway."""
        return max(self.idle_w - self.sleep_w, 0) if self.sleep_w >= 0 else 0

    def drawn_w(self, share: float, *, empty: bool) -> float:
        """What it draws while so much of it is used; ``empty``: nothing is."""
        if empty:
            return self.sleep_w if self.sleep_w >= 0 else self.idle_w
        return self.idle_w + self.span_w * share


@lru_cache(maxsize=4096)
def upkeep_of(labels: tuple[str, ...]) -> Upkeep:
    """What these labels declare."""
    found: dict[str, str] = {}
    for label in labels:
        name, equals, value = label.partition("=")
        if equals and (_PRICE if name == PRICE else _WATTS).fullmatch(value):
            found[name] = value
    return Upkeep(
        idle_w=int(found.get(POWER_IDLE, 0)),
        full_w=int(found.get(POWER_FULL, 0)),
        sleep_w=int(found.get(POWER_SLEEP, -1)),
        price_milli=parse_milli(found.get(PRICE, "0")),
        has_power=POWER_FULL in found,
        has_price=PRICE in found,
    )


def label_of(name: str, value: str) -> str:
    """The label that declares a value of one of these names. Raises ValueError for one that means nothing."""
    if name == PRICE and not _PRICE.fullmatch(value):
        raise ValueError(f"{value!r} is not a price of an hour; write it like 2.50")
    if name != PRICE and not _WATTS.fullmatch(value):
        raise ValueError(f"{value!r} is not a power in watts; write it like 900")
    return f"{name}={value}"
