"""Settings of what is looked at, what is remarkable about it, and who is told.

Invariant: as everywhere in the settings, every text is read once at the door, and a bad one is refused by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from tenure.model.amounts import is_whole, parse_duration_ms
from tenure.model.anomaly import actions_of

LEAST_EVERY_MS = 1_000
LEAST_HEADROOM, MOST_HEADROOM = 1.2, 10.0
"""A task that has less above what it uses is not lowered by its supervisor either."""


class MonitorSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How often machines, GPUs and containers are looked at (``every``, 0s: never) and where the container engine listens
    (``containers``: auto, off, or the path of its socket). ``prometheus`` is a loopback address at which figures can be scraped."""

    every: str = "5s"
    containers: str = "auto"
    prometheus: str = ""

    def address(self) -> tuple[str, int] | None:
        """Where Prometheus may scrape, None for nowhere. Raises ValueError for anything but a loopback address with a port."""
        if not self.prometheus:
            return None
        host, _, port = self.prometheus.rpartition(":")
        host = host.strip("[]")
        if host not in ("127.0.0.1", "::1", "localhost") or not is_whole(port) or not 0 < int(port) < 65536:
            raise ValueError(f"{self.prometheus!r} is not a port of this machine alone; write it like 127.0.0.1:9464")
        return host, int(port)

    def every_s(self) -> float:
        """Seconds between two looks. Raises ValueError."""
        every_ms = parse_duration_ms(self.every)
        if 0 < every_ms < LEAST_EVERY_MS:
            raise ValueError(f"looking more often than once a second is not monitoring but load: {self.every!r}")
        return every_ms / 1000


class NotifySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A webhook that is told of events whose kind matches a pattern; signed where there is a ``secret``."""

    url: str
    secret: str = ""
    events: tuple[str, ...] = ("job.ended", "anomaly.*", "node.changed")

    def check(self) -> None:
        """Raise ValueError for an address that cannot be told."""
        try:
            parts = urlsplit(self.url)
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_one = False
        if not is_one:
            raise ValueError(f"notify.url begins with http:// or https:// and names a host, unlike {self.url!r}")


class RuleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How long a sign must last to be an anomaly, and what is done then (`tenure.model.anomaly.actions_of`)."""

    after: str = "5m"
    action: str = "warn"

    def after_ms(self) -> int:
        """The window in milliseconds. Raises ValueError."""
        return parse_duration_ms(self.after)


class OverAskedSettings(RuleSettings, forbid_unknown_fields=True, frozen=True):
    """The rule of who holds much more than he uses: he is left what he used at most, times ``headroom``."""

    after: str = "30m"
    headroom: float = 1.25


class SqueezedSettings(RuleSettings, forbid_unknown_fields=True, frozen=True):
    """The rule of who comes close to what was left to him: unless the settings say otherwise he has his own again."""

    after: str = "10s"
    action: str = "restore"


class AnomalySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is looked for; see `tenure.monitors.signs`."""

    cpu: RuleSettings = RuleSettings()
    memory: RuleSettings = RuleSettings("1m")
    thermal: RuleSettings = RuleSettings("1m")
    device_lost: RuleSettings = RuleSettings("10s")
    idle_gpu: RuleSettings = RuleSettings("10m")
    stalled: RuleSettings = RuleSettings()
    hung: RuleSettings = RuleSettings("10m")
    over_asked: OverAskedSettings = OverAskedSettings()
    squeezed: SqueezedSettings = SqueezedSettings()
    loop_stuck: RuleSettings = RuleSettings("0s")

    def rules(self) -> dict[str, RuleSettings]:
        """Each rule by its kind."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def check(self) -> None:
        """Raise ValueError for a rule that means nothing, naming it."""
        for kind, rule in self.rules().items():
            try:
                rule.after_ms()
            except ValueError as error:
                raise ValueError(f"anomalies.{kind}.after: {error}") from None
            allowed = actions_of(kind)
            if rule.action not in allowed:
                raise ValueError(f"anomalies.{kind}.action is one of {', '.join(allowed)}, not {rule.action!r}")
        if not LEAST_HEADROOM <= self.over_asked.headroom <= MOST_HEADROOM:
            raise ValueError(f"anomalies.over_asked.headroom is between {LEAST_HEADROOM} and {MOST_HEADROOM}: 1.25 is a quarter more")


def check_monitoring(monitor: MonitorSettings, anomalies: AnomalySettings, notify: Sequence[NotifySettings]) -> None:
    """Raise ValueError for what cannot be done, naming the setting."""
    anomalies.check()
    for receiver in notify:
        receiver.check()
    if len({receiver.url for receiver in notify}) != len(notify):
        raise ValueError("two webhooks have the same notify.url")
    try:
        monitor.every_s()
    except ValueError as error:
        raise ValueError(f"monitor.every: {error}") from None
    try:
        monitor.address()
    except ValueError as error:
        raise ValueError(f"monitor.prometheus: {error}") from None
    if monitor.containers not in ("auto", "off") and not monitor.containers.startswith("/"):
        raise ValueError(f"monitor.containers is auto, off or the path of a socket, not {monitor.containers!r}")
