"""Another policy on a living daemon: it decides at once, stays over a restart, and is known by what it did."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation, until

ONE_CPU = """
[node]
cpus = "1"
[plan]
wait_bonus = 7
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Installation]:
    with installation(ONE_CPU) as living:
        yield living


def shown(living: Installation) -> dict[str, object]:
    found: dict[str, object] = living.json("policy")
    return found


def test_the_policy_of_a_living_daemon(home: Installation) -> None:
    view = shown(home)
    assert (view["policy"], view["by_person"], view["changed"]) == ("default", False, [])
    # Under the default the job of higher priority goes first; under fifo the older one.
    home.submit("-J", "blocker", "-c", "1", "-t", "1h", "--", "sleep", "600")
    until(lambda: home.state("1") == "running", "the first job to run")
    home.submit("-J", "older", "-c", "1", "-t", "1h", "--", "sleep", "600")
    home.submit("-J", "urgent", "-c", "1", "-t", "1h", "--priority", "9", "--", "true")
    set_to = json.loads(home.cli("policy", "set", "fifo:wait_full=2h", "--json").stdout)
    assert (set_to["policy"], set_to["by_person"], set_to["changed"]) == ("fifo:wait_full=2h", True, ["wait_full_ms"])
    assert set_to["settings"]["wait_bonus"] == 7
    home.cli("cancel", "1")
    until(lambda: home.state("2") == "running", "the older job to run")
    assert home.state("3") == "pending"
    why = home.json("why", "3")
    assert why["state"] == "pending"
    home.cli("down")
    assert shown(home) == set_to
    wrong = home.cli("policy", "set", "fiffo", ok=False)
    assert "did you mean fifo?" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    assert shown(home) == set_to
    fifo, default = home.json("policy", "performance")["policies"]
    assert (fifo["policy"], fifo["tried"], fifo["succeeded"], fifo["success_rate"]) == ("fifo:wait_full=2h", 1, 1, 1.0)
    assert (default["policy"], default["tried"], default["active"]) == ("default", 1, False)
    home.cli("cancel", "2")
    until(lambda: home.state("3") == "succeeded", "the last job to end")
    assert json.loads(home.cli("policy", "reset", "--json").stdout)["policy"] == "default"
    kinds = [json.loads(line)["data"] for line in home.cli("events", "--json").stdout.splitlines() if '"policy.changed"' in line]
    assert [data["policy"] for data in kinds] == ["default", "fifo:wait_full=2h", "default"]


def test_the_plans_that_a_portfolio_would_choose_among(home: Installation) -> None:
    home.submit("-J", "front", "-c", "1", "-t", "1h", "--hold", "--", "true")
    for words, weight in (((), 0.30), (("portfolio:profile=fast",), 0.15)):
        reply = home.json("policy", "front", *words)
        assert reply["weights"]["utilisation"] == weight
        assert [each["chosen"] for each in reply["candidates"]] == [True]
        assert reply["candidates"][0]["starts"] == 0
    wrong = home.cli("policy", "front", "easy", ok=False)
    assert "easy makes one plan only; name a portfolio" in wrong.stderr
    wrong = home.cli("what-if", "--policy", "annealed", ok=False)
    assert "nobody can look ahead under annealed" in wrong.stderr


def test_every_policy_that_is_listed_can_be_set(home: Installation) -> None:
    reply = home.json("policy", "list")
    parts = (*(f"{order}-{way}" for order in reply["orders"][:3] for way in reply["ways"]), *reply["placements"])
    with home.client() as client:
        for name in (*(item["name"] for item in reply["policies"]), *parts):
            assert client.policies.choose(name).policy == name
    home.cli("policy", "reset")


def test_settings_that_name_no_policy_are_told_at_the_start() -> None:
    with installation('[plan]\npolicy = "eazy"\n') as living:
        done = living.cli("ps", ok=False)
        assert "eazy" in done.stderr + living.daemon_log()
        assert "did you mean easy?" in done.stderr + living.daemon_log()


TWO_NODES = """
[node]
cpus = "1"
[[pretend_nodes]]
name = "near"
cpus = "8"
labels = ["ssd"]
[[pretend_nodes]]
name = "far"
cpus = "8"
"""


def test_an_adaptive_policy_waits_for_a_better_place_and_says_so() -> None:
    with installation(TWO_NODES) as living:
        living.cli("policy", "set", "adaptive")
        living.submit("-J", "user", "-c", "8", "--constraint", "ssd", "-t", "1h", "--", "sleep", "600")
        until(lambda: living.state("1") == "running", "the first job to run")
        living.submit("-J", "patient", "-c", "2", "--prefer", "ssd", "--prefer-wait", "10m", "-t", "1h", "--", "sleep", "600")
        living.submit("-J", "other", "-c", "1", "-t", "1h", "--", "sleep", "600")
        until(lambda: living.state("3") == "running", "another job to go ahead")
        assert living.state("2") == "pending"
        assert "it waits for the place it prefers" in living.cli("why", "2").stdout
        view = shown(living)
        assert (view["strategy"], view["utilisation_pct"]) == ("delayed", 52.9)
        living.cli("cancel", "1")
        until(lambda: living.json("show", "2")["job"].get("on_nodes") == ["near"], "the job to start where it prefers")
        kinds = [json.loads(line) for line in living.cli("events", "--json").stdout.splitlines() if '"strategy.changed"' in line]
        assert [event["data"]["strategy"] for event in kinds[:2]] == ["immediate", "delayed"]
