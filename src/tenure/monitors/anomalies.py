"""From signs to anomalies: what lasts is one, and what has gone for two rounds is over.

Invariants: an anomaly opens only after its sign was there in every round of its window, in three at least; a round without the figure
begins the window anew. The store is told until it has answered; telling it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tenure.config.monitoring import AnomalySettings
from tenure.model.anomaly import Anomaly

LEAST_ROUNDS = 3
CLEAR_ROUNDS = 2
_AT_ONCE = ("loop_stuck",)
"""Signs that measure a duration themselves."""
_ONCE, _TRIED_AGAIN = ("shrink", "requeue", "kill"), ("restore",)
"""Actions of once per anomaly, and of each round until it is over."""
Note = Callable[[Sequence[Anomaly]], None]


class _Lasting:
    """A sign since when it is there, in how many rounds, and for how many it has been away."""

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.rounds = 0
        self.away = 0


class Anomalies:
    """Keeps what is open. ``note`` tells the store (an anomaly with ``closed_ms`` is over); ``act`` does what the settings want;
    ``hindrance`` says why an action cannot be done here, empty where it can: then one is only told."""

    def __init__(
        self,
        settings: AnomalySettings,
        note: Note,
        act: Callable[[Anomaly], None],
        open_now: Iterable[Anomaly] = (),
        hindrance: Callable[[str], str] = lambda _action: "",
    ) -> None:
        self._rules = settings.rules()
        self._hindrance = hindrance
        self._note = note
        self._act = act
        self._lasting: dict[str, _Lasting] = {}
        self._open = {anomaly.key: anomaly for anomaly in open_now}
        self._untold: dict[str, Anomaly] = {}
        self._to_do = {anomaly.key for anomaly in self._open.values() if anomaly.action in _ONCE}  # doing it twice changes nothing

    @property
    def open(self) -> list[Anomaly]:
        """Those that go on, the oldest first."""
        return sorted(self._open.values(), key=lambda anomaly: (anomaly.opened_ms, anomaly.key))

    def round(self, found: Iterable[Anomaly], now_ms: int) -> None:
        """Take in the signs of one round. Raises what ``note`` raises; what could not be told is told with the next one, and what is
        to be done about it is done then."""
        present = {sign.key: sign for sign in found if self._rules[sign.kind].action != "off"}
        fresh = [anomaly for key in sorted(present) if (anomaly := self._seen(present[key], now_ms)) is not None]
        self._to_do |= {anomaly.key for anomaly in fresh if anomaly.action in _ONCE}
        for key in sorted(self._lasting.keys() | self._open.keys()):
            if key not in present:
                self._missed(key, now_ms)
        self._tell()
        again = [self._open[key] for key in sorted(present) if key in self._open and self._open[key].action in _TRIED_AGAIN]
        self._to_do &= self._open.keys()
        for anomaly in again + [self._open[key] for key in sorted(self._to_do & present.keys())]:
            self._to_do.discard(anomaly.key)
            self._act(anomaly)

    def _seen(self, sign: Anomaly, now_ms: int) -> Anomaly | None:
        """The anomaly that opens with this sign, if one does."""
        lasting = self._lasting.setdefault(sign.key, _Lasting(now_ms))
        lasting.rounds += 1
        lasting.away = 0
        known = self._open.get(sign.key)
        if known is not None:
            self._open[sign.key] = replace(known, text=sign.text, evidence=sign.evidence)
            return None
        rule = self._rules[sign.kind]
        lasts = now_ms - lasting.since_ms >= rule.after_ms() and lasting.rounds >= LEAST_ROUNDS
        if not lasts and sign.kind not in _AT_ONCE:
            return None
        action = rule.action if sign.job_id else "warn"
        hindrance = self._hindrance(action)
        if hindrance:
            action, sign = "warn", replace(sign, remedy=f"{sign.remedy} (it is not done by itself: {hindrance})")
        made = replace(sign, action=action, opened_ms=now_ms)
        self._open[sign.key] = self._untold[sign.key] = made
        return made

    def _missed(self, key: str, now_ms: int) -> None:
        known = self._open.get(key)
        if known is None:
            del self._lasting[key]  # the window begins anew
            return
        lasting = self._lasting.setdefault(key, _Lasting(now_ms))
        lasting.away += 1
        if lasting.away >= CLEAR_ROUNDS:
            del self._lasting[key], self._open[key]
            self._untold[key] = replace(known, closed_ms=now_ms)

    def _tell(self) -> None:
        if self._untold:
            told = dict(self._untold)
            self._note([told[key] for key in sorted(told)])
            self._untold = {key: anomaly for key, anomaly in self._untold.items() if told.get(key) is not anomaly}


def counts(found: Iterable[Anomaly]) -> Mapping[str, int]:
    """How many of each kind."""
    total: dict[str, int] = {}
    for anomaly in found:
        total[anomaly.kind] = total.get(anomaly.kind, 0) + 1
    return total
