"""Signs and what lasts of them: every rule has a round that shows it and one that does not, and none opens on one round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tenure.config.monitoring import AnomalySettings, RuleSettings
from tenure.model.anomaly import KINDS, Anomaly
from tenure.model.measures import LiveTask
from tenure.monitors.anomalies import Anomalies, counts
from tenure.monitors.sharing import Part
from tenure.monitors.signs import signs
from tenure.monitors.tasks import TaskLook
from tenure.monitors.watch import Round
from tenure.wire.monitoring import GpuSample, HostSample

TASK = LiveTask(7, 0, 3, ("g",))


def gpu(**more: Any) -> GpuSample:
    return GpuSample(uuid="g", index=0, model="A100", node="box", **more)


def found(
    *, host: dict[str, Any] | None = None, gpus: Sequence[GpuSample] = (), latest: Any = None, stuck_s: float = 0
) -> dict[str, Anomaly]:
    looks: dict[str, Any] = {"gpus": gpus, "tasks": (TaskLook(TASK, {"cpu_percent": 3.0}),)}
    if host is not None:
        looks["host"] = HostSample(node="box", at_ms=0, **host)
    said = {(7, 0): {name: (0, value) for name, value in (latest or {}).items()}}
    return {sign.kind: sign for sign in signs(Round(0, looks), said, stuck_s, 30.0)}


STEP = {"step": 5}
SPINNING = {"utilisation_percent": 99.0, "power_mw": 90_000, "power_limit_mw": 400_000}


@pytest.mark.parametrize(
    ("kind", "shows", "does_not"),
    [
        ("cpu", {"host": {"utilisation_percent": 95.1}}, {"host": {"utilisation_percent": 95.0}}),
        ("memory", {"host": {"memory_percent": 95.0}}, {"host": {"memory_percent": 94.9}}),
        ("thermal", {"host": {"temperature_c": 95.0}}, {"host": {"temperature_c": 94.0}}),
        ("thermal", {"gpus": [gpu(temperature_c=90.0)]}, {"gpus": [gpu(temperature_c=89.0)]}),
        ("device_lost", {"gpus": [gpu(state="error", why="gone")]}, {"gpus": [gpu()]}),
        ("idle_gpu", {"gpus": [gpu(utilisation_percent=9.0)]}, {"gpus": [gpu(utilisation_percent=10.0)]}),
        ("stalled", {"latest": {"throughput": 0.09}}, {"latest": {"throughput": 0.1}}),
        (
            "hung",
            {"gpus": [gpu(**SPINNING)], "latest": {"step": 5}},
            {"gpus": [gpu(**SPINNING | {"power_mw": 160_000})], "latest": {"step": 5}},
        ),
        ("hung", {"gpus": [gpu(**SPINNING)], "latest": {"epoch": 5}}, {"gpus": [gpu(**SPINNING)], "latest": {"loss": 5}}),
        ("loop_stuck", {"stuck_s": 31.0}, {"stuck_s": 30.0}),
    ],
)
def test_each_rule(kind: str, shows: dict[str, Any], does_not: dict[str, Any]) -> None:
    sign = found(**shows)[kind]
    assert sign.text
    assert sign.remedy
    assert kind not in found(**does_not)


def test_who_holds_a_part_is_idle_by_that_part() -> None:
    def told(percent: float) -> str:
        look = TaskLook(LiveTask(7, 0, 3, ("g",), (250,)), {}, {"g": Part(0, percent)})
        found = signs(Round(0, {"gpus": [gpu(utilisation_percent=90.0)], "tasks": (look,)}), {}, 0, 30.0)
        return "".join(sign.text for sign in found)

    assert told(2.5) == "", "a tenth of what it holds"
    assert told(2.4) == "it holds 0.25 GPUs and uses 2.4 % of the device"


def test_a_figure_that_is_absent_is_no_sign() -> None:
    assert found(host={}, gpus=[gpu()]) == {}
    assert found(gpus=[gpu(utilisation_percent=99.0, power_mw=1)], latest={"step": 1}) == {}


def test_every_kind_has_a_rule() -> None:
    assert tuple(AnomalySettings().rules()) == KINDS


class World:
    """Rounds five seconds apart, and what was told of them."""

    def __init__(self, open_now: Sequence[Anomaly] = (), **rule: Any) -> None:
        self.now_ms = 1_000_000
        self.told: list[tuple[str, bool]] = []
        self.acted: list[str] = []
        self.fails = False
        settings = AnomalySettings(stalled=RuleSettings(**{"after": "20s"} | rule))
        self.anomalies = Anomalies(settings, self.note, lambda one: self.acted.append(one.key), open_now)

    def note(self, changed: Sequence[Anomaly]) -> None:
        if self.fails:
            raise TimeoutError
        self.told += [(one.key, bool(one.closed_ms)) for one in changed]

    def rounds(self, text: str) -> World:
        """One round per character: ``x`` has the sign, ``.`` has not."""
        for mark in text:
            self.now_ms += 5_000
            sign = Anomaly("stalled:3:0", "stalled", "slow", "wait", 3, evidence={"throughput": 0.0})
            self.anomalies.round([sign] if mark == "x" else [], self.now_ms)
        return self


@pytest.mark.parametrize(
    ("rounds", "told"),
    [
        ("xxxx", []),
        ("xxxxx", ["opened"]),
        ("xxxx.xxxx", []),
        ("xxxxx.xxx", ["opened"]),
        ("xxxxx..", ["opened", "closed"]),
        ("xxxxx..xxxxx", ["opened", "closed", "opened"]),
    ],
)
def test_what_lasts_opens_and_what_is_away_for_two_rounds_closes(rounds: str, told: list[str]) -> None:
    world = World().rounds(rounds)
    assert ["closed" if closed else "opened" for _, closed in world.told] == told
    assert bool(world.anomalies.open) == (bool(told) and told[-1] == "opened")


def test_three_rounds_are_the_least_however_short_the_window() -> None:
    assert World(after="0s").rounds("xx").told == []
    assert World(after="0s").rounds("xxx").told == [("stalled:3:0", False)]


def test_what_the_store_did_not_take_is_told_again() -> None:
    world = World().rounds("xxxx")
    world.fails = True
    with pytest.raises(TimeoutError):
        world.rounds("x")
    world.fails = False
    assert world.rounds("x").told == [("stalled:3:0", False)]
    assert counts(world.anomalies.open) == {"stalled": 1}


@pytest.mark.parametrize(("afterwards", "acted"), [("x", 1), ("xxx", 1), (".x", 1), (".", 0), ("..x", 0)])
def test_what_could_not_be_done_is_done_when_it_was_told_if_it_goes_on(afterwards: str, acted: int) -> None:
    world = World(action="requeue").rounds("xxxx")
    world.fails = True
    with pytest.raises(TimeoutError):
        world.rounds("x")
    assert world.acted == []
    world.fails = False
    assert len(world.rounds(afterwards).acted) == acted


def test_after_a_restart_what_has_gone_is_closed_and_what_goes_on_is_not_opened_again() -> None:
    known = Anomaly("stalled:3:0", "stalled", "slow", "wait", 3, opened_ms=5)
    assert World([known]).rounds("..").told == [("stalled:3:0", True)]
    assert World([known]).rounds("xxxxxx").told == []
    told = replace(known, action="requeue")
    assert World([told]).rounds("xxxxxx").acted == ["stalled:3:0"], "the daemon may have ended before it did what it had told"
    assert World([told]).rounds("..").acted == []


@pytest.mark.parametrize(("action", "acted"), [("warn", 0), ("requeue", 1), ("kill", 1)])
def test_the_settings_say_what_is_done_and_it_is_done_once(action: str, acted: int) -> None:
    assert len(World(action=action).rounds("xxxxxxxx").acted) == acted


def test_what_is_off_is_not_looked_for() -> None:
    assert World(action="off").rounds("xxxxxxxx").told == []


def test_a_stuck_loop_is_told_at_once() -> None:
    world = World()
    world.anomalies.round([Anomaly("loop_stuck", "loop_stuck", "stuck", "look")], 5)
    assert world.told == [("loop_stuck", False)]
