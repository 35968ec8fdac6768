"""A prediction of how long a job will run. Planning reads forecasts; it never calls a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forecast:
    """Run time of one job: median and 90 % quantile in milliseconds, by which model, made when."""

    job_id: int
    p50_ms: int
    p90_ms: int
    model: str
    as_of_ms: int
