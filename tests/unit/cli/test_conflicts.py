"""The command ``conflicts`` and what it prints."""

from __future__ import annotations

import pytest

from tenure.wire.conflict import ConflictsReply, ConflictView, ResolveReply
from tests.unit.cli.conftest import FakeClient, Shell

ONE = ConflictView(
    id="resource-gpu",
    kind="resource_competition",
    severity=4,
    text="jobs 2, 3 wait for the same GPUs",
    contenders=["2", "3"],
    opened_ms=1,
    closed_ms=2,
    resolution="fair: job 3 has priority 6",
    resolved_by="ada",
    resolved_ms=2,
)


def test_conflicts_are_listed_in_the_order_that_was_asked_for(shell: Shell, client: FakeClient) -> None:
    client.answers["queue"] = ConflictsReply(conflicts=[ONE])
    listed = shell("conflicts", "--by", "severity").out
    assert "jobs 2, 3 wait for the same GPUs" in listed
    assert "RESOLVED" not in listed
    client.answers["queue"] = ConflictsReply(conflicts=[])
    assert shell("conflicts").out == "There are no conflicts.\n"
    assert [call[2] for call in client.calls] == [{"by": "severity"}, {"by": "age"}]


def test_the_history_says_who_resolved_what(shell: Shell, client: FakeClient) -> None:
    client.answers["history"] = ConflictsReply(
        conflicts=[ONE, ConflictView("schedule-4", "schedule_conflict", 9, "late", ["4"], opened_ms=1)]
    )
    told = shell("conflicts", "--history", "-o", "wide").out
    assert "fair: job 3 has priority 6 (by ada)" in told
    client.answers["history"] = ConflictsReply(conflicts=[])
    assert shell("conflicts", "--history").out == "There were no conflicts.\n"
    assert '"conflicts"' in shell("conflicts", "--history", "--json").out


def test_a_conflict_is_resolved(shell: Shell, client: FakeClient) -> None:
    client.answers["resolve"] = ResolveReply(conflict="resource-gpu", text="fair: job 3 has priority 6")
    assert shell("conflicts", "resolve", "resource-gpu", "--by", "fair").out == (
        "Conflict resource-gpu resolved by fair: job 3 has priority 6\n"
    )
    assert client.calls[-1] == ("resolve", ("resource-gpu", "fair"), {"favour": ""})
    assert '"text"' in shell("conflicts", "resolve", "resource-gpu", "--by", "fair", "--json").out


@pytest.mark.parametrize("words", ["resolve", "resolve resource-gpu", "solve", "list x", "--favour 3", "--by luck"])
def test_what_means_nothing_is_refused(shell: Shell, words: str) -> None:
    done = shell("conflicts", *words.split())
    assert done.code == 2
    assert done.out == ""
