"""The part of the client that asks how machines and jobs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.client.link import Link, path_of, quote

if TYPE_CHECKING:
    from tenure.wire.monitoring import MetricsReply, ResourcesReply


class Monitor:
    """What was seen last, and figures over time."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def resources(self) -> ResourcesReply:
        """What monitoring saw last of machines, GPUs and containers."""
        from tenure.wire.monitoring import ResourcesReply

        return self._link.call("GET", "/api/v1/resources", ResourcesReply)

    def metrics(self, job: str | int, *, since_ms: int = 0, step_ms: int = 0, name: str = "") -> MetricsReply:
        """A job's figures over time: what it used, and what it reported (`tenure.report`)."""
        from tenure.wire.monitoring import MetricsReply

        path = path_of(f"/api/v1/jobs/{quote(str(job))}/metrics", since_ms=since_ms or None, step_ms=step_ms or None, name=name or None)
        return self._link.call("GET", path, MetricsReply)
