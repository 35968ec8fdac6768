"""What monitoring and the doctor find, as hints: a trouble with what helps, a weakness of the machine with its cure.

Invariant: only what says what to do is a hint; what is just so is a figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from tenure.model.anomaly import Anomaly
from tenure.model.hint import Hint
from tenure.wire.dto import CheckView

FIRST_LOOK_S, LOOK_EVERY_S = 60.0, 600.0
_WORTH_IT = ("warning", "problem")
Publish = Callable[[str, Iterable[Hint]], None]


def of_anomalies(found: Iterable[Anomaly]) -> Iterator[Hint]:
    """What helps against what has gone on for too long."""
    for one in found:
        if one.remedy:
            yield Hint(f"anomaly:{one.key}", one.kind, one.text, one.remedy, one.job_id, one.subject, one.evidence)


def of_checks(found: Iterable[CheckView]) -> Iterator[Hint]:
    """What the doctor would change."""
    for one in found:
        if one.remedy and one.level in _WORTH_IT:
            yield Hint(f"doctor:{one.name}", "doctor", one.text, one.remedy)


class Advice:
    """Publishes both, after each round; the doctor is asked every `LOOK_EVERY_S`, for what he finds changes rarely and costs a scan."""

    def __init__(
        self, publish: Publish, diagnose: Callable[[], Sequence[CheckView]], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._publish = publish
        self._diagnose = diagnose
        self._now_s = now_s
        self._next_s = now_s() + FIRST_LOOK_S

    def round(self, troubles: Iterable[Anomaly]) -> None:
        """Publish what is the case now."""
        self._publish("anomalies", of_anomalies(troubles))
        if self._now_s() >= self._next_s:
            self._next_s = self._now_s() + LOOK_EVERY_S
            self._publish("doctor", of_checks(self._diagnose()))
