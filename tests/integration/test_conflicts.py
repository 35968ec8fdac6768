"""Conflicts of a living daemon: found as jobs wait, listed in two orders, resolved with an effect, kept as history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.living import Installation, installation, until


@pytest.fixture(scope="module")
def home() -> Iterator[Installation]:
    with installation('[node]\ncpus = "1"\n') as living:
        yield living


def listed(living: Installation, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = living.json("conflicts", *words)["conflicts"]
    return found


def test_the_conflicts_of_a_living_daemon(home: Installation) -> None:
    assert "There are no conflicts." in home.cli("conflicts").stdout
    home.submit("-J", "blocker", "-c", "1", "-t", "1h", "--", "sleep", "600")
    until(lambda: home.state("1") == "running", "the first job to run")
    for name, priority in (("first", "5"), ("second", "5"), ("urgent", "8")):
        home.submit("-J", name, "-c", "1", "-t", "1h", "--priority", priority, "--", "sleep", "600")
    until(lambda: len(listed(home)) == 2, "the conflicts to be found")
    severe, mild = listed(home, "--by", "severity")
    assert (severe["id"], severe["kind"], severe["holders"]) == ("priority-4", "priority_conflict", ["1"])
    assert (mild["id"], mild["contenders"]) == ("resource-cpu", ["2", "3"])
    assert "resource-cpu" in home.cli("conflicts").stdout
    done = home.cli("conflicts", "resolve", "resource-cpu", "--by", "priority", "--favour", "3")
    assert "job 3 has priority 6" in done.stdout
    assert home.json("show", "3")["job"]["priority"] == 6
    assert [item["id"] for item in listed(home)] == ["priority-4"]
    wrong = home.cli("conflicts", "resolve", "resource-cpu", "--by", "fair", ok=False)
    assert wrong.returncode == 3
    assert wrong.stderr.count("\n") == 1
    refused = home.cli("conflicts", "resolve", "priority-4", "--by", "time-slicing", ok=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    home.cli("cancel", "2", "3", "4")
    until(lambda: not listed(home), "the conflicts to be over")
    past = {item["id"]: item for item in listed(home, "--history")}
    assert past["resource-cpu"]["resolution"] == "priority: job 3 has priority 6"
    assert past["resource-cpu"]["resolved_by"]
    assert all(item["closed_ms"] for item in past.values())
    kinds = {json.loads(line)["kind"] for line in home.cli("events", "--json").stdout.splitlines()}
    assert {"conflict.opened", "conflict.resolved", "conflict.closed"} <= kinds
