"""What the daemon tells whoever thinks ahead: the status report, and recommendations with their evidence and the command to apply."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Reply

Evidence = dict[str, int | float | str]


class StockView(Reply):
    """One kind of resource on what takes work, in the unit of its ``kind``: thousandths of cpus and GPUs, bytes, bits per second.
    ``used`` is what was last measured of what jobs hold; None where nothing was measured."""

    kind: str
    offered: int = 0
    allocated: int = 0
    available: int = 0
    used: int | None = None


class BottleneckView(Reply):
    """What ``jobs`` waiting jobs wait for; ``job`` is one of them. ``until_ms`` is when the plan expects it to start, 0: unknown."""

    resource: str
    jobs: int = 0
    job: str = ""
    until_ms: int = 0


class RecommendationView(Reply):
    """One change that was tried out. ``command`` makes it; ``starts_now`` are the jobs that would start at once, ``sooner`` how many
    would start sooner, by ``gain_ms`` together as far as it is known, ``later`` how many later. ``runs`` is how many measured runs it
    rests on, 0 where it rests on none."""

    kind: str
    text: str
    command: str
    estimate: str = ""
    job: str = ""
    node: str = ""
    project: str = ""
    runs: int = 0
    evidence: Evidence = msgspec.field(default_factory=dict)
    starts_now: list[str] = msgspec.field(default_factory=list)
    sooner: int = 0
    later: int = 0
    gain_ms: int = 0


class RecommendationsReply(Reply):
    """What one could change now, what is worth most first. ``at_ms`` is when it was worked out, on the queue as of ``revision``."""

    recommendations: list[RecommendationView]
    at_ms: int = 0
    revision: int = 0


class StatusReport(Reply):
    """How the installation stands after a cycle. ``utilisation`` is the largest used share of cpus and GPUs; ``efficiency`` by kind is
    what is used of what is allocated, as measured. ``recommended_ms`` is when the recommendations were worked out (0: not yet)."""

    timestamp_ms: int
    revision: int
    policy: str = ""
    strategy: str = ""
    utilisation: float = 0.0
    available: list[StockView] = msgspec.field(default_factory=list)
    pending: int = 0
    critical: int = 0
    running: int = 0
    efficiency: dict[str, float] = msgspec.field(default_factory=dict)
    bottlenecks: list[BottleneckView] = msgspec.field(default_factory=list)
    recommendations: list[RecommendationView] = msgspec.field(default_factory=list)
    recommended_ms: int = 0
