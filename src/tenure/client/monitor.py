"""The part of the client that asks how machines and jobs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.client.link import Link, path_of, quote

if TYPE_CHECKING:
    from tenure.wire.forecasts import ForecastsReply
    from tenure.wire.monitoring import MetricsReply, ResourcesReply


class Monitor:
    """What was seen last, and figures over time."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def resources(self) -> ResourcesReply:
        """What monitoring saw last of machines, GPUs and containers."""
        from tenure.wire.monitoring import ResourcesReply

        return self._link.call("GET", "/api/v1/resources", ResourcesReply)

    def forecasts(self, **which: object) -> ForecastsReply:
        """All that was said of how long jobs will run, of the newest job first, with the truth beside it once that is known; narrowed
        by ``job``, ``model``, ``project``, ``user``, ``group``, ``name``, ``known``, ``since_ms``, ``until_ms``."""
        from tenure.wire.forecasts import ForecastsReply

        return self._link.whole("/api/v1/forecasts", ForecastsReply, **which)

    def metrics(self, job: str | int, *, since_ms: int = 0, step_ms: int = 0, name: str = "") -> MetricsReply:
        """A job's figures over time: what it used, and what it reported (`tenure.report`)."""
        from tenure.wire.monitoring import MetricsReply

        path = path_of(f"/api/v1/jobs/{quote(str(job))}/metrics", since_ms=since_ms or None, step_ms=step_ms or None, name=name or None)
        return self._link.call("GET", path, MetricsReply)
