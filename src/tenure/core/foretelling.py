"""How long a job will run, from how long others like it have run: baselines that later models are measured against.

`last_two` is the mean of the last two runs of the same user (D. Tsafrir, Y. Etsion and D. Feitelson, "Backfilling using
system-generated predictions rather than user runtime estimates", IEEE TPDS 18(6), 2007); `same_name` the median of the user's last
runs of one name in one project. Pure. Invariant: a forecast is made from runs that had ended by then, and is never more than the job
may take.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from tenure.model.forecast import Forecast

LAST_TWO, SAME_NAME = "last_two", "same_name"
LOOKED_AT = 20
"""So many of the last runs of one name count."""


class Ran(NamedTuple):
    """A run that has ended: whose, of what, for how long."""

    user: int
    project: int
    name: str
    ran_ms: int


class Asked(NamedTuple):
    """A job of which something is to be said; ``limit_ms`` 0: it may take for ever."""

    job_id: int
    user: int
    project: int
    name: str
    limit_ms: int


def bounded(p50_ms: int, p90_ms: int, limit_ms: int) -> tuple[int, int]:
    """Both within what the job may take, and at least a millisecond."""
    most_ms = limit_ms or p90_ms
    return max(min(p50_ms, most_ms), 1), max(min(p90_ms, most_ms), 1)


def of_last_two(runs: Sequence[int], limit_ms: int) -> tuple[int, int]:
    """The mean and the longer one of the last two run times, which are the first two here."""
    last = runs[:2]
    return bounded(sum(last) // len(last), max(last), limit_ms)


def of_same_name(runs: Sequence[int], limit_ms: int) -> tuple[int, int]:
    """Median and 90 % quantile (by nearest rank) of the last run times."""
    ordered = sorted(runs[:LOOKED_AT])
    return bounded(_quantile(ordered, 50), _quantile(ordered, 90), limit_ms)


def _quantile(ordered: Sequence[int], percent: int) -> int:
    return ordered[-(-len(ordered) * percent // 100) - 1]


def foretold(asked: Iterable[Asked], runs: Iterable[Ran], now_ms: int) -> list[Forecast]:
    """What both say of each job, by job and model; nothing of one of whose like nothing has ended. ``runs``: the last first."""
    known: dict[Hashable, list[int]] = {}
    for run in runs:
        known.setdefault(run.user, []).append(run.ran_ms)
        known.setdefault((run.user, run.project, run.name), []).append(run.ran_ms)
    found = []
    for one in asked:
        if of_user := known.get(one.user):
            found.append(Forecast(one.job_id, *of_last_two(of_user, one.limit_ms), LAST_TWO, now_ms))
        if of_name := known.get((one.user, one.project, one.name)):
            found.append(Forecast(one.job_id, *of_same_name(of_name, one.limit_ms), SAME_NAME, now_ms))
    return found
