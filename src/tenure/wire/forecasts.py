"""Forecasts on the wire: what a model said of how long a job will run, and what came."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply


class ForecastView(Reply):
    """What ``model`` said at ``as_of_ms``: half of such jobs run for ``p50_ms`` at most, nine of ten for ``p90_ms``.

    ``ran_ms`` is what came, 0 while nobody knows; with it ``error_ms`` (by how much it ran longer than ``p50_ms``) and ``held``
    (whether ``p90_ms`` was enough). ``state`` says how the job stands or ended: one that was stopped says little of a model."""

    job: str
    model: str
    as_of_ms: int
    p50_ms: int
    p90_ms: int
    name: str = ""
    group: str = ""
    project: str = ""
    user: str = ""
    state: str = ""
    ran_ms: int = 0
    error_ms: int = 0
    held: bool | None = None


class AccuracyView(Reply):
    """How well a model did: of ``jobs`` that ended by themselves the mean of the smaller by the larger of forecast and truth
    (``accuracy``, 1 is always right), and the share that ran for ``p90_ms`` at most (``covered``)."""

    model: str
    jobs: int
    accuracy: float
    covered: float


class ForecastsReply(Page):
    """What was said, of the newest job first, and by model."""

    forecasts: list[ForecastView]


class AccuracyReply(Reply):
    """How well each model did, by name, judged by at most ``judged`` of the last forecasts of jobs that have ended."""

    models: list[AccuracyView]
    judged: int = msgspec.field(default=0)
