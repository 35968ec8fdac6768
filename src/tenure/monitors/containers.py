"""A look at the containers of this machine, by the Docker API: Docker itself, or podman's service, which speaks it too.

No engine is no error: most machines have none. Invariant: looking costs the engine one list and one figure per running container, of
`MOST_FOLLOWED` at most; the others are listed without figures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tenure.monitors.unix_http import Unanswered, get_json
from tenure.wire.monitoring import ContainerSample

MOST_FOLLOWED = 64
_NS_PER_S = 1_000_000_000


class ContainersSeen(NamedTuple):
    """One look: the socket of the engine (empty: there is none) and its containers by name."""

    engine: str = ""
    containers: tuple[ContainerSample, ...] = ()


def sockets(chosen: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Where an engine may listen: ``chosen`` if it is a path, else where Docker and podman do by default."""
    if chosen.startswith("/"):
        return [chosen]
    host = environment.get("DOCKER_HOST", "")
    own = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    usual = ["/var/run/docker.sock", "/run/podman/podman.sock", f"{own}/docker.sock", f"{own}/podman/podman.sock"]
    return [host.removeprefix("unix://"), *usual] if host.startswith("unix://") else usual


class ContainerSampler:
    """Looks at all containers. For one thread."""

    name = "containers"

    def __init__(self, chosen: str = "auto") -> None:
        self._sockets = sockets(chosen)
        self._before: dict[str, tuple[int, int]] = {}

    def sample(self, now_ms: int) -> ContainersSeen:
        """One look. Raises Unanswered when an engine is there and does not answer."""
        for path in self._sockets:
            try:
                listed = get_json(path, "/containers/json?all=1")
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, PermissionError):
                continue  # none there, one that has ended, or one that is not ours to ask
            return ContainersSeen(path, tuple(self._all(path, listed, now_ms)))
        self._before.clear()
        return ContainersSeen()

    def close(self) -> None:
        """Nothing is kept open."""

    def _all(self, path: str, listed: Any, now_ms: int) -> list[ContainerSample]:
        found = sorted((_listed(entry) for entry in listed), key=lambda one: (one.name, one.id))
        running = [one for one in found if one.state == "running"][:MOST_FOLLOWED]
        before, self._before = self._before, {}
        for one in running:
            try:
                stats = get_json(path, f"/containers/{one.id}/stats?stream=false&one-shot=true")
            except Unanswered:
                continue  # it has ended since it was listed
            used_ns = _add_figures(one, stats)
            if used_ns is not None:
                self._before[one.id] = (used_ns, now_ms)
                was_ns, was_ms = before.get(one.id, (used_ns, now_ms))
                if now_ms > was_ms and used_ns >= was_ns:
                    one.cpu_percent = round(100 * (used_ns - was_ns) / ((now_ms - was_ms) * (_NS_PER_S // 1000)), 1)
        return found


def _listed(entry: Mapping[str, Any]) -> ContainerSample:
    names = entry.get("Names") or [""]
    return ContainerSample(
        id=str(entry["Id"]),
        name=str(names[0]).lstrip("/"),
        image=str(entry.get("Image", "")),
        state=str(entry.get("State", "")).lower(),
    )


def _add_figures(sample: ContainerSample, stats: Mapping[str, Any]) -> int | None:
    """What the engine counts; the nanoseconds of cpu used so far, None where it does not say."""
    memory = stats.get("memory_stats") or {}
    if "usage" in memory:
        # Pages of files that could be dropped at once are not the container's; engines show it so.
        cached = (memory.get("stats") or {}).get("total_inactive_file", (memory.get("stats") or {}).get("inactive_file", 0))
        sample.memory_bytes = max(0, int(memory["usage"]) - int(cached))
        limit = int(memory.get("limit") or 0)
        sample.memory_limit_bytes = limit if 0 < limit < 1 << 60 else None
    networks = stats.get("networks")
    if networks:
        sample.network_received_bytes = sum(int(one.get("rx_bytes", 0)) for one in networks.values())
        sample.network_sent_bytes = sum(int(one.get("tx_bytes", 0)) for one in networks.values())
    used = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
    return None if used is None else int(used)
