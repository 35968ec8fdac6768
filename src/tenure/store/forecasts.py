"""Forecasts as rows: what each model said of how long a job will run, while nobody knew; read beside what came.

A row is written once and never changed, so that a model cannot become right afterwards. Of jobs that are no arrays. Invariant: one row
of a job and a model, made before the job had ended, from the last `RUNS` runs that had.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, func, or_, select

from tenure.core.foretelling import Asked, Ran, foretold
from tenure.model.access import Caller
from tenure.store.listing import ids_of
from tenure.store.measured import forecast
from tenure.store.narrowing import BEYOND, SPAN, named, twice, within
from tenure.store.schema import ENDED_LINE, job, project, user
from tenure.store.sight import Condition, Sight, Sighted
from tenure.store.sql import Link, Statement, const, insert, param
from tenure.store.tx import Transaction
from tenure.wire.cursors import Key

RUNS = 2_000
BATCH = 500
LAST = Statement(select(func.coalesce(func.max(forecast.c.job_id), const(0))))
NEXT = Statement(
    select(job.c.id, job.c.user_id, job.c.project_id, job.c.name, job.c.limit_ms)
    .where(
        job.c.id > param("after"),
        job.c.ended_ms.is_(None),
        job.c.array_id.is_(None),
        job.c.array_size == const(0),
        job.c.kind == const("batch"),
    )
    .order_by(job.c.id)
    .limit(param("limit"))
    .offset(const(0)),
    "after",
    "limit",
)
ENDED = Statement(
    select(job.c.user_id, job.c.project_id, job.c.name, job.c.ended_ms - job.c.started_ms)
    .where(
        ENDED_LINE,
        job.c.started_ms > const(0),
        job.c.ended_ms >= job.c.started_ms,
        job.c.array_size == const(0),
        job.c.kind == const("batch"),
    )
    .order_by(job.c.ended_ms.desc(), job.c.id.desc())
    .limit(param("limit"))
    .offset(const(0)),
    "limit",
)
INSERT = insert(forecast, "job_id", "model", "as_of_ms", "p50_ms", "p90_ms")
DROP = Statement(forecast.delete().where(forecast.c.as_of_ms < param("before")), "before")
_COLUMNS = (
    *(forecast.c[name] for name in ("job_id", "model", "as_of_ms", "p50_ms", "p90_ms")),
    *(job.c[name] for name in ("name", "group_name", "state", "started_ms", "ended_ms")),
    project.c.name,
    user.c.name,
)
_FROM = (
    forecast.join(job, job.c.id == forecast.c.job_id)
    .join(project, project.c.id == job.c.project_id)
    .join(user, user.c.id == job.c.user_id)
)
_SAME = and_(forecast.c.job_id == param("same"), forecast.c.model > param("model"))
_AFTER = and_(forecast.c.job_id <= param("to"), or_(forecast.c.job_id < param("below"), _SAME))
_NAMED = {"model": forecast.c.model, "project": project.c.name, "user": user.c.name, "group": job.c.group_name, "name": job.c.name}
_WANTED = (
    forecast.c.job_id >= param("from"),
    *(named(name, column) for name, column in _NAMED.items()),
    within(forecast.c.as_of_ms),
    or_(param("known") == const(0), job.c.ended_ms.is_not(None)),
)
_ORDER = ("to", "below", "same", "model", "from", *twice(*_NAMED), *SPAN, "known")


def _page(seen: Condition | None) -> Statement:
    clause = select(*_COLUMNS).select_from(_FROM).where(_AFTER, *_WANTED, *([seen[0]] if seen is not None else []))
    paged = clause.order_by(forecast.c.job_id.desc(), forecast.c.model).limit(param("limit")).offset(const(0))
    return Statement(paged, *_ORDER, *(seen[1] if seen is not None else ()), "limit")


PAGE, SEEN_PAGE = _page(None), Sighted(_page)


class Wanted(NamedTuple):
    """Which forecasts; what is empty or 0 narrows nothing. ``known``: 1 for those of jobs that have ended."""

    job: int = 0
    model: str = ""
    project: str = ""
    user: str = ""
    group: str = ""
    name: str = ""
    since_ms: int = 0
    until_ms: int = 0
    known: int = 0


class ForecastRow(NamedTuple):
    """A forecast and the job it is of, as that is now; ``id`` is what people type."""

    job_id: int
    model: str
    as_of_ms: int
    p50_ms: int
    p90_ms: int
    name: str
    group: str
    state: str
    started_ms: int
    ended_ms: int | None
    project: str
    user: str
    id: str

    @property
    def ran_ms(self) -> int:
        """How long its last run took, 0 while nobody knows, or where a clock was set back meanwhile."""
        return max(0, self.ended_ms - self.started_ms) if self.ended_ms is not None and self.started_ms else 0


class KnownForecasts:
    """Up to which job something was said: the one after it comes next. Starts with the last of which anything is kept."""

    def __init__(self) -> None:
        self._after = -1

    def forget(self) -> None:
        """Something was taken back: look again."""
        self._after = -1

    def foretell(self, tx: Transaction) -> bool:
        """Say something of the jobs that came since, a batch of them; whether there may be more."""
        if self._after < 0:
            self._after = int((tx.link.row(LAST) or (0,))[0])
        asked = [Asked(*row) for row in tx.link.rows(NEXT, self._after, BATCH)]
        if asked:
            found = foretold(asked, (Ran(*row) for row in tx.link.rows(ENDED, RUNS)), tx.now_ms)
            tx.link.write_many(INSERT, [(one.job_id, one.model, one.as_of_ms, one.p50_ms, one.p90_ms) for one in found])
        has_more = len(asked) == BATCH
        self._after = asked[-1].job_id if has_more else tx.job_seq  # the others up to here are over, or are nothing to speak of
        return has_more


def drop_old(tx: Transaction) -> int:
    """Remove what was said as long ago as runs are kept."""
    return max(0, tx.link.write(DROP, tx.now_ms - tx.settings.keep_released_ms))


def forecasts(link: Link, wanted: Wanted, caller: Caller, after: Key, limit: int) -> list[ForecastRow]:
    """What was said, of the newest job first, and by model; after a key, at most ``limit`` of what the caller may see."""
    job_id, model = after or (BEYOND, "")
    if wanted.job and int(job_id) > wanted.job:  # of one job only its own are read
        job_id, model = wanted.job, ""
    names = [value for name in _NAMED for value in (getattr(wanted, name),) * 2]
    keys = (
        job_id,
        job_id,
        job_id,
        model,
        wanted.job,
        *names,
        wanted.since_ms,
        wanted.until_ms,
        wanted.until_ms,
        wanted.known,
    )
    sight = Sight.of(link, caller)
    rows = link.rows(PAGE, *keys, limit) if sight is None else link.rows(SEEN_PAGE.statement(sight), *keys, *sight.params, limit)
    shown = ids_of(link, [row[0] for row in rows])
    return [ForecastRow._make((*row, shown[row[0]])) for row in rows]
