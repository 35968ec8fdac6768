"""The command ``policy``: what it asks the daemon, and how the answers read."""

from __future__ import annotations

import json

import pytest

from tenure.cli.policy import policies_text, policy_text, uses_table
from tenure.wire.policy import FrontReply, PlanCandidate, PoliciesReply, PolicyName, PolicyUse, PolicyUsesReply, PolicyView
from tests.unit.cli.conftest import FakeClient, Shell

NOW = 1_700_000_000_000
VIEW = PolicyView(
    policy="easy:step=2", by_person=True, by="ada", at_ms=NOW, settings={"step": 2, "patience_ms": 7_200_000}, changed=["step"]
)
USES = [
    PolicyUse("sjf", active=True, chosen=1, since_ms=NOW, tried=6, succeeded=4, failed=2, rejected=1, success_rate=0.6667, reasons=3,
              mean_wait_ms=920, p95_wait_ms=4000, max_wait_ms=61_000),
    PolicyUse("easy", since_ms=NOW),
]  # fmt: skip


def test_get_is_what_it_does_without_a_word(shell: Shell, client: FakeClient, utc: None) -> None:
    client.answers["current"] = VIEW
    for words in (("policy",), ("policy", "get")):
        done = shell(*words)
        assert (done.code, client.calls[-1]) == (0, ("current", (), {}))
        assert done.out.splitlines()[0].startswith("Policy    easy:step=2  (set by ada at ")
    assert json.loads(shell("policy", "--json").out)["policy"] == "easy:step=2"


def test_set_and_reset(shell: Shell, client: FakeClient) -> None:
    client.answers["choose"] = VIEW
    assert shell("policy", "set", "easy:step=2").code == 0
    assert shell("policy", "reset").code == 0
    assert client.calls == [("choose", ("easy:step=2",), {}), ("choose", ("",), {})]


@pytest.mark.parametrize("words", [["set"], ["get", "easy"], ["list", "x"], ["choose", "easy"]])
def test_a_mistake_asks_nothing(shell: Shell, client: FakeClient, words: list[str]) -> None:
    done = shell("policy", *words)
    assert (done.code, client.calls) == (2, [])
    assert done.err.count("\n") == 1


def test_the_view_reads(utc: None) -> None:
    assert policy_text(VIEW, NOW + 1).splitlines() == [
        "Policy    easy:step=2  (set by ada at 22:13:20)",
        "Settings  step=2, patience=2h",
        "Changed   step",
    ]
    own = PolicyView(policy="default", settings={"wait_full_ms": 0}, note="mind this")
    assert policy_text(own, NOW).splitlines() == [
        "Policy    default  (as the settings have it)",
        "Settings  wait_full=0",
        "Note      mind this",
    ]


def test_the_list_says_what_each_does(shell: Shell, client: FakeClient) -> None:
    reply = PoliciesReply([PolicyName("easy", "first come"), PolicyName("turns", "by turns")], "ORDER", ["fifo"], ["easy"], ["fgd"])
    text = policies_text(reply)
    assert "easy   first come\nturns  by turns\n" in text
    assert "where a task goes; best-fit without it: fgd" in text
    client.answers["names"] = reply
    assert shell("policy", "list").out == text + "\n"


def test_front_shows_every_plan_and_which_one_is_chosen(shell: Shell, client: FakeClient) -> None:
    weights = {"utilisation": 0.75, "cost": 0.25}
    client.answers["front"] = FrontReply(
        "portfolio",
        weights,
        [
            PlanCandidate("default", 3, {"utilisation": 0.5, "cost": 1.0}, 0.625, on_front=True),
            PlanCandidate("tenure", 4, {"utilisation": 1.0, "cost": 0.5}, 0.875, on_front=True, chosen=True),
            PlanCandidate("hrrn-easy", 1, {"utilisation": 0.25, "cost": 0.5}, 0.3125),
        ],
    )
    weighed, head, *rows = shell("policy", "front", "portfolio").out.splitlines()
    assert client.calls == [("front", ("portfolio",), {})]
    assert weighed == "portfolio: utilisation 75%, cost 25%"
    assert head.split() == ["PLAN-OF", "STARTS", "UTILISATION", "COST", "VALUE"]
    assert [row.split() for row in rows] == [
        ["default", "3", "0.500", "1.000", "0.625", "front"],
        ["tenure", "4", "1.000", "0.500", "0.875", "chosen"],
        ["hrrn-easy", "1", "0.250", "0.500", "0.312"],
    ]


def test_performance_is_a_table(shell: Shell, client: FakeClient, utc: None) -> None:
    client.answers["performance"] = PolicyUsesReply(USES)
    head, first, second = shell("policy", "performance").out.splitlines()
    assert head.split() == ["POLICY", "SINCE", "TRIED", "STARTED", "FAILED", "SUCCESS", "MEAN-WAIT", "P95-WAIT", "MAX-WAIT", "REASONS"]
    assert first.split()[:2] == ["sjf", "*"]
    assert first.split()[-8:] == ["6", "4", "2", "66.7%", "920ms", "4s", "1m1s", "3"]
    assert second.split()[-8:] == ["0", "0", "0", "-", "-", "-", "-", "0"]
    assert uses_table([], NOW).splitlines()[0].startswith("POLICY")
