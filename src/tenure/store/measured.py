"""The tables of what is measured: they may be emptied at any time without a decision changing."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, PrimaryKeyConstraint, Table

from tenure.store.fields import a_number as _int
from tenure.store.fields import a_text as _str
from tenure.store.fields import an_id as _id
from tenure.store.fields import maybe_a_number as _maybe
from tenure.store.fields import metadata
from tenure.store.fields import partial_index as _partial

series = Table("series", metadata, _id(), _int("job_id", None), _int("task", None), _str("name", None), _int("reported", None))
Index("ix_series_name", series.c.job_id, series.c.task, series.c.name, series.c.reported, unique=True)

sample = Table(
    "sample",
    metadata,
    *(_int(name, None) for name in ("series_id", "step_ms", "at_ms", "count")),
    *(Column(name, Double, nullable=False) for name in ("total", "low", "high", "last")),
    PrimaryKeyConstraint("series_id", "step_ms", "at_ms"),
    sqlite_with_rowid=False,
)

# How far the file in which a task reports has been taken in: written with what was in it, so that nothing counts twice.
report = Table(
    "report",
    metadata,
    *(_int(name, None) for name in ("attempt_id", "task", "offset")),
    PrimaryKeyConstraint("attempt_id", "task"),
    sqlite_with_rowid=False,
)

anomaly = Table(
    "anomaly",
    metadata,
    _id(),
    *(_str(name, None) for name in ("key", "kind")),
    _int("job_id", index=True),
    *(_str(name) for name in ("subject", "text", "remedy", "action")),
    _str("evidence", "{}"),
    _int("opened_ms", None),
    _maybe("closed_ms"),
)
_partial("ix_anomaly_open", anomaly.c.key, where=anomaly.c.closed_ms.is_(None), unique=True)

# A replay in the background. ``request`` is what it was asked for, until it has ended; ``begun`` how often a daemon has begun it.
simulation = Table(
    "simulation",
    metadata,
    _id(),
    *(_int(name, None) for name in ("uid", "made_ms")),
    *(_str(name, None) for name in ("user_name", "state", "policies")),
    Column("request", LargeBinary),
    _int("begun", 1),
    *(_int(name) for name in ("done", "total")),
    *(_str(name) for name in ("policy", "code", "text")),
    _maybe("ended_ms"),
    Column("result", LargeBinary),
)

# What a model said of how long a job will run, before that was known.
forecast = Table(
    "forecast",
    metadata,
    _int("job_id", None),
    _str("model", None),
    *(_int(name, None) for name in ("as_of_ms", "p50_ms", "p90_ms")),
    PrimaryKeyConstraint("job_id", "model"),
    sqlite_with_rowid=False,
)
