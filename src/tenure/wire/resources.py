"""Single resources and pages of them on the wire: what REST has beside the calls that clients make in bulk."""

from __future__ import annotations

from typing import Any

import msgspec

from tenure.wire.base import Line, Page, Reply, Request, Whole, Word
from tenure.wire.installation import DeviceView
from tenure.wire.jobs import JobView
from tenure.wire.policy import PolicyUse
from tenure.wire.sharing import Portion


class JobsPage(Page):
    """Jobs, the newest first unless another order was asked for; ``counts`` by state are of everything that was asked for. Where
    that is narrowed by more than user, project, queue and state, the first page has them."""

    jobs: list[JobView]
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    revision: int = 0


class ElementsPage(Page):
    """Elements of an array by index; those that are no jobs of their own yet wait."""

    elements: list[JobView]


class ActionRequest(Request):
    """Why it is done, and the idempotency key."""

    key: Word = ""
    why: Line = ""


class DevicesPage(Page):
    """Devices by their UUIDs."""

    devices: list[DeviceView]


class QuotaView(Reply):
    """What a project may hold: without borrowing (``quota``), at all (``maximum``), and what it holds. -1: nothing is said of it."""

    project: str
    quota: Portion
    maximum: Portion
    held: Portion
    borrow: bool = True
    weight_milli: int = 1000


class QuotasReply(Page):
    """The quotas of projects, by name."""

    quotas: list[QuotaView]


class UsageView(Reply):
    """What was held of a node at a moment."""

    at_ms: int
    node: str
    cpu_milli: int = 0
    memory_bytes: int = 0
    gpu_milli: int = 0
    jobs: int = 0


class UsagePage(Page):
    """What was held of the nodes, by time and node."""

    samples: list[UsageView]


class StartView(Reply):
    """When a waiting job is expected to start, 0 if nobody can say."""

    job: str
    name: str
    start_ms: int = 0


class ForecastReply(Page):
    """The expected starts of waiting jobs as things are, the newest job first."""

    now_ms: int
    starts: list[StartView]


class StrategyRequest(Request):
    """Let a strategy plan from now on, with these settings of it (as in ``NAME:KEY=VALUE,...``)."""

    strategy: Word
    config: dict[Word, Whole | Word] = msgspec.field(default_factory=dict)
    key: Word = ""


class StrategyName(Reply):
    """A strategy: the policy that it is, and what it does in a few words."""

    name: str
    policy: str
    summary: str = ""


class StrategiesReply(Reply):
    """The six strategies, by name."""

    strategies: list[StrategyName]


class StrategyView(Reply):
    """The strategy that plans, empty where another policy does (``policy``); ``config`` has the numbers that differ from the settings'
    own, ``available`` the strategies that there are."""

    strategy: str
    policy: str
    config: dict[str, int] = msgspec.field(default_factory=dict)
    by: str = ""
    at_ms: int = 0
    available: list[str] = msgspec.field(default_factory=list)


class StrategyUsesReply(Reply):
    """What each strategy has done; ``policy`` of an entry is its name."""

    strategies: list[PolicyUse]


class ProfileView(Reply):
    """A profile of a portfolio: what each objective weighs, between 0 and 1."""

    name: str
    weights: dict[str, float]


class ProfilesReply(Reply):
    """All profiles, by name."""

    profiles: list[ProfileView]


class SettingsReply(Reply):
    """The settings that hold, by section, without secrets."""

    settings: dict[str, Any]
