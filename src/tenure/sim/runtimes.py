"""What the planner is told about how long a job will run. How long it really runs is the workload's secret until it has ended.

A job that outlives what was believed is believed to run on for a little longer, then for much longer, as in D. Tsafrir, Y. Etsion and
D. Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates", IEEE TPDS 18(6), 2007; never beyond
what its user asked for while that has not passed. Invariant: a belief is made from jobs that had ended by then.

A forecast is a poor limit: half of all jobs outlive it, and each that went ahead of the head by it delays the head. So a policy that
goes by forecasts beside limits is told both, the forecast and a limit that holds most of the time (`Bounded`).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Protocol

from tenure.core.foretelling import LAST_TWO, of_last_two
from tenure.model.forecast import Forecast
from tenure.sim.workload import TraceJob

MINUTE_MS = 60_000
EXTENSIONS_MS = tuple(minutes * MINUTE_MS for minutes in (1, 5, 15, 30, 60, 120, 300, 600, 1200, 3000, 6000))
"""By how much a belief grows the first, the second, ... time that a job outlives it."""


HELD_PCT = 95
"""So often the limit of `Bounded` holds."""


class RunTimes(Protocol):
    """Beliefs about run times, in milliseconds. ``name`` is what ``--runtimes`` calls them."""

    name: str

    def suited(self, distinguishes: tuple[str, ...]) -> RunTimes:
        """The beliefs for a policy that tells waiting jobs apart by this: these, or others that have learned nothing yet."""
        return self

    def limit_ms(self, job: TraceJob, now_ms: int) -> int:
        """What is taken for the time limit when the job is submitted, 0 for none: reservations are made by it."""
        ...

    def expected_ms(self, job: TraceJob, now_ms: int) -> int:
        """The forecast beside the limit, 0 for none: orders may go by it, nothing is promised by it."""
        ...

    def ended(self, job: TraceJob, ran_ms: int) -> None:
        """A job has ended: what it ran for is known from now on."""
        ...

    def longer_ms(self, job: TraceJob, believed_ms: int, times: int) -> int:
        """The next belief about a job that has run for ``believed_ms`` and goes on; it was extended so many times before."""
        return extended_ms(job, believed_ms, times)


class LastTwo:
    """The mean of the last two jobs of the same user that have ended (Tsafrir, Etsion and Feitelson 2007); of the same project where
    the log names no users, as those of GPU clusters do."""

    name = LAST_TWO

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, ...]] = {}

    def forecast(self, job: TraceJob, now_ms: int) -> Forecast | None:
        """The prediction for a job as of now, never more than its user asked for; None where nothing is known of the user."""
        known = self._last.get(_whose(job))
        if known is None:
            return None
        return Forecast(job.number, *of_last_two(known, job.requested_ms), self.name, now_ms)

    def learn(self, job: TraceJob, ran_ms: int) -> None:
        """A job of the user has ended."""
        whose = _whose(job)
        self._last[whose] = (*self._last.get(whose, ())[-1:], ran_ms)


def _whose(job: TraceJob) -> tuple[str, str]:
    """Whose jobs resemble this one: (user, project), one of them empty."""
    return (job.user, "") if job.user else ("", job.project)


class Exact(RunTimes):
    """What really comes: the bound of what better beliefs can bring."""

    name = "exact"

    def limit_ms(self, job: TraceJob, now_ms: int) -> int:
        """The true run time; nothing for a job that never ends."""
        return 0 if job.lives else max(job.run_ms, 1)

    def expected_ms(self, job: TraceJob, now_ms: int) -> int:
        """Nothing: the limit says it all."""
        return 0

    def ended(self, job: TraceJob, ran_ms: int) -> None:
        """Nothing new."""


class Requested(RunTimes):
    """Limits are what users ask for, as in production, with forecasts beside them."""

    name = "requested"

    def __init__(self) -> None:
        self._predictor = LastTwo()

    def limit_ms(self, job: TraceJob, now_ms: int) -> int:
        """The requested time, 0 when none was."""
        return job.requested_ms

    def expected_ms(self, job: TraceJob, now_ms: int) -> int:
        """The forecast's median."""
        forecast = self._predictor.forecast(job, now_ms)
        return forecast.p50_ms if forecast is not None else 0

    def ended(self, job: TraceJob, ran_ms: int) -> None:
        """The predictor learns."""
        self._predictor.learn(job, ran_ms)


class Predicted(Requested):
    """Limits are forecasts too; what was requested where there is none."""

    name = "predicted"

    def limit_ms(self, job: TraceJob, now_ms: int) -> int:
        """The forecast of this moment."""
        return self.expected_ms(job, now_ms) or job.requested_ms

    def suited(self, distinguishes: tuple[str, ...]) -> RunTimes:
        """A limit apart from the forecast for a policy that reads both."""
        return Bounded() if "expected_ms" in distinguishes else self


class Bounded(Predicted):
    """The limit is as many times the forecast as nineteen of twenty ended jobs did not outlive, never more than was requested.

    A job that outlives it is believed to take all that was requested: of those that do, many are stopped at their request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._forecasts: dict[int, int] = {}
        self._ratios: list[float] = []

    def limit_ms(self, job: TraceJob, now_ms: int) -> int:
        """The bound of this moment; what was requested where there is no forecast."""
        expected_ms = self._forecasts[job.number] = self.expected_ms(job, now_ms)
        if not expected_ms or not self._ratios:
            return job.requested_ms or expected_ms
        bound_ms = round(expected_ms * max(self._ratios[len(self._ratios) * HELD_PCT // 100], 1.0))
        return min(bound_ms, job.requested_ms) if job.requested_ms else bound_ms

    def ended(self, job: TraceJob, ran_ms: int) -> None:
        """The predictor learns, and how far it was off."""
        super().ended(job, ran_ms)
        expected_ms = self._forecasts.pop(job.number, 0)
        if expected_ms:
            insort(self._ratios, ran_ms / expected_ms)

    def longer_ms(self, job: TraceJob, believed_ms: int, times: int) -> int:
        """All that was requested; without a request as others do."""
        return job.requested_ms if job.requested_ms > believed_ms else extended_ms(job, believed_ms, times)


BY_NAME: dict[str, Callable[[], RunTimes]] = {"exact": Exact, "requested": Requested, "predicted": Predicted}
"""The kinds of beliefs. Each replay needs its own, because they learn."""


def extended_ms(job: TraceJob, believed_ms: int, times: int) -> int:
    """The next belief about a job that has run for ``believed_ms`` and goes on; it was extended so many times before."""
    longer_ms = believed_ms + EXTENSIONS_MS[min(times, len(EXTENSIONS_MS) - 1)]
    return min(longer_ms, job.requested_ms) if job.requested_ms > believed_ms else longer_ms
