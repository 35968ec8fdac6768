"""What monitoring and the doctor find, as hints."""

from __future__ import annotations

from collections.abc import Iterable

from tenure.model.anomaly import Anomaly
from tenure.model.hint import Hint
from tenure.monitors import advice
from tenure.wire.dto import CheckView

IDLE = Anomaly("idle_gpu:7:0", "idle_gpu", "it holds 1 GPU and uses 2 % of them", "cancel it", 7, evidence={"gpu": 2.0})
MUTE = Anomaly("cpu:here", "cpu", "busy", "")
CHECKS = [
    CheckView(name="cgroups", level="warning", text="limits are not enforced", remedy="delegate a cgroup"),
    CheckView(name="disk", level="ok", text="there is room", remedy="none"),
    CheckView(name="mute", level="problem", text="that is bad"),
]


def test_only_what_says_what_to_do_is_a_hint() -> None:
    now_s, told = [0.0], {}

    def publish(source: str, found: Iterable[Hint]) -> None:
        told[source] = list(found)

    watched = advice.Advice(publish, lambda: CHECKS, lambda: now_s[0])
    watched.round([IDLE, MUTE])
    assert told == {"anomalies": [Hint("anomaly:idle_gpu:7:0", "idle_gpu", IDLE.text, "cancel it", 7, "", {"gpu": 2.0})]}
    now_s[0] = advice.FIRST_LOOK_S
    watched.round([])
    assert told["anomalies"] == []
    assert told["doctor"] == [Hint("doctor:cgroups", "doctor", "limits are not enforced", "delegate a cgroup")]


def test_the_doctor_is_not_asked_each_round() -> None:
    now_s, asked = [0.0], []
    watched = advice.Advice(lambda _source, found: list(found) and None, lambda: asked.append(now_s[0]) or [], lambda: now_s[0])
    for now_s[0] in range(0, 1200, 5):
        watched.round([])
    assert asked == [advice.FIRST_LOOK_S, advice.FIRST_LOOK_S + advice.LOOK_EVERY_S]
