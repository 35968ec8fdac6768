"""A look at the containers of this machine, by the Docker API: Docker itself, or podman's service, which speaks it too.

No engine is no error: most machines have none. The two differ in what they tell: podman's memory includes the page cache and comes
without its parts, so these are read from the container's control group; and it tells zeros of a network that it does not count, so one
over which nothing has gone yet has no figures. Docker answers with the figures that it reads next, up to a second later: all are asked
for side by side. Invariant: looking costs the engine one list and one figure per running container, of `MOST_FOLLOWED` at most, and
once in a container's life one more; the others are listed without figures. What makes no sense of what one container tells costs its
own figures and no others'.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tenure.monitors.unix_http import Unanswered, get_each, get_json
from tenure.wire.monitoring import ContainerSample

MOST_FOLLOWED = 64
STATS_PATIENCE_S = 5.0
_NS_PER_S = 1_000_000_000
_GROUPS = "/sys/fs/cgroup"
_MOST = 1 << 62
_SENSELESS = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What reading an answer raises that has another form than an engine's."""


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
        self._groups: dict[str, str] = {}

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
        try:
            found = sorted((_listed(entry) for entry in listed), key=lambda one: (one.name, one.id))
        except _SENSELESS:
            raise Unanswered("the engine's list of containers is not understood") from None
        running = [one for one in found if one.state == "running"][:MOST_FOLLOWED]
        before, self._before = self._before, {}
        groups, self._groups = self._groups, {}
        asked = [f"/containers/{one.id}/stats?stream=false&one-shot=true" for one in running]
        for one, stats in zip(running, get_each(path, asked, STATS_PATIENCE_S), strict=True):
            if isinstance(stats, Unanswered):
                continue  # it has ended since it was listed
            with contextlib.suppress(*_SENSELESS):
                _add_traffic(one, stats)
                self._add_memory(one, stats.get("memory_stats") or {}, path, groups)
                self._add_cpu(one, stats, before, now_ms)
        return found

    def _add_cpu(self, one: ContainerSample, stats: Mapping[str, Any], before: Mapping[str, tuple[int, int]], now_ms: int) -> None:
        told = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
        if told is None:
            return
        used_ns, at_ms = _count(told), _read_at(stats, now_ms)
        self._before[one.id] = (used_ns, at_ms)
        was_ns, was_ms = before.get(one.id, (used_ns, at_ms))
        if at_ms > was_ms and used_ns >= was_ns:
            one.cpu_percent = round(100 * (used_ns - was_ns) / ((at_ms - was_ms) * (_NS_PER_S // 1000)), 1)

    def _add_memory(self, one: ContainerSample, memory: Mapping[str, Any], path: str, groups: Mapping[str, str]) -> None:
        """Pages of files that could be dropped at once are not the container's; engines show it so."""
        if "usage" not in memory:
            return
        parts = memory.get("stats")
        if not parts:
            self._groups[one.id] = groups[one.id] if one.id in groups else _group_of(path, one.id)
            parts = _parts_in(self._groups[one.id])
        cached = parts.get("total_inactive_file", parts.get("inactive_file", 0))
        one.memory_bytes = max(0, _count(memory["usage"]) - _count(cached))
        limit = int(memory.get("limit") or 0)
        one.memory_limit_bytes = limit if 0 < limit < 1 << 60 else None


def _count(told: Any) -> int:
    """A number of bytes or nanoseconds. Raises ValueError for one that nothing can count to."""
    found = int(told)
    if not 0 <= found <= _MOST:
        raise ValueError("no such count")
    return found


def _number(told: str) -> str:
    """A container's id. Raises ValueError for a text that cannot stand in the path of a request."""
    if not (told.isascii() and told.isalnum()):
        raise ValueError("no id of a container")
    return told


def _text(told: Any) -> str:
    """A text as it can be sent on."""
    return str(told).encode("utf-8", "replace").decode()


def _listed(entry: Mapping[str, Any]) -> ContainerSample:
    names = entry.get("Names") or [""]
    return ContainerSample(
        id=_number(str(entry["Id"])),
        name=_text(names[0]).lstrip("/"),
        image=_text(entry.get("Image", "")),
        state=_text(entry.get("State", "")).lower(),
    )


def _read_at(stats: Mapping[str, Any], now_ms: int) -> int:
    """When the engine read the counters: on a busy machine that may be long after the look began."""
    with contextlib.suppress(ValueError):
        at_ms = round(datetime.fromisoformat(str(stats.get("read", ""))).timestamp() * 1000)
        return at_ms if at_ms > 0 else now_ms
    return now_ms


def _add_traffic(sample: ContainerSample, stats: Mapping[str, Any]) -> None:
    networks = (stats.get("networks") or {}).values()
    received, sent = (_count(sum(int(one.get(name, 0)) for one in networks)) for name in ("rx_bytes", "tx_bytes"))
    if received or sent:
        sample.network_received_bytes, sample.network_sent_bytes = received, sent
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive")
    if moved:  # the kernel counts, one line a device and kind
        by_kind = [(str(one.get("op", "")).lower(), int(one.get("value", 0))) for one in moved]
        read, written = (_count(sum(value for kind, value in by_kind if kind == word)) for word in ("read", "write"))
        sample.read_bytes, sample.written_bytes = read, written


def _group_of(path: str, number: str) -> str:
    """The memory control group of a container by that of its first process; empty where it cannot be told."""
    try:
        pid = int(get_json(path, f"/containers/{number}/json")["State"]["Pid"])
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except (OSError, Unanswered, KeyError, TypeError, ValueError):
        return ""
    places = {controllers: place for _, controllers, place in lines if number in place}
    for controllers, place in places.items():
        if "memory" in controllers.split(","):
            return f"{_GROUPS}/memory{place}"
    return f"{_GROUPS}{places['']}" if "" in places else ""


def _parts_in(group: str) -> dict[str, int]:
    """What the memory of a control group consists of; nothing where it cannot be read."""
    if not group:
        return {}
    try:
        with open(f"{group}/memory.stat", encoding="ascii") as file:
            return {name: int(value) for name, _, value in (line.partition(" ") for line in file)}
    except (OSError, ValueError):
        return {}
