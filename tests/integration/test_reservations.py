"""Reservations on a living daemon: who would run into one waits and is told so, over a crash too, and starts once it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tenure.client.errors import BadRequest, NotFound, TenureError
from tenure.wire.whatif import WhatIfRequest
from tests.support.living import Installation, installation, until

MACHINES = """
[node]
cpus = "2"
[[pretend_nodes]]
name = "gpu01"
cpus = "8"
memory = "64G"
gpus = "4xA100:80G"
labels = ["gpu"]
"""
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def home() -> Iterator[Installation]:
    with installation(MACHINES) as living:
        yield living


def listed(living: Installation, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = living.json("reservations", *words)["reservations"]
    return found


def test_who_would_run_into_maintenance_waits_until_it_is_over_or_taken_back(home: Installation) -> None:
    assert home.cli("reservations").stdout == "Nothing is reserved.\n"
    made = json.loads(home.cli("reserve", "--maintenance", "--name", "kernel", "--from", "+1h", "--for", "2h", "--json").stdout)
    assert made["until_ms"] - made["from_ms"] == 2 * HOUR_MS
    long = home.submit("-J", "long", "-t", "90m", "--", "sleep", "600")
    short = home.submit("-J", "short", "-t", "10m", "--", "true")
    until(lambda: home.state(short) == "succeeded", "the short job to run")
    assert home.state(long) == "pending"
    why = home.json("why", long)
    assert "maintenance 'kernel'" in why["summary"]
    assert (why["blockers"][0]["code"], why["latest_ms"]) == ("reserved", made["until_ms"])
    assert (why["nearest_node"], why["nearest_lacks"]) == ("", []), "nothing is lacking but time"
    until(
        lambda: home.json("show", long)["job"].get("eta_ms") == made["until_ms"],
        "the expected start, which a busy daemon may leave out",
    )
    with home.client() as client:
        told = client.plan(["true"], time="2h")
        assert (told.verdict, told.start_ms) == ("waits", made["until_ms"])
        assert client.plan(["true"], time="30m").verdict == "starts_now"
        (shift,) = client.admin.what_if(WhatIfRequest()).jobs
        assert (shift.id, shift.before_ms) == (long, made["until_ms"])
    home.kill_daemon()
    assert [(item["name"], item["state"], item["from_ms"]) for item in listed(home)] == [("kernel", "planned", made["from_ms"])]
    assert home.state(long) == "pending"
    home.cli("unreserve", "kernel")
    until(lambda: home.state(long) == "running", "the long job to start")
    wrong = home.cli("unreserve", "kernel", ok=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (3, 1)
    again = home.cli("reserve", "--maintenance", "--from", "+1h", "--for", "2h").stdout
    assert f"Still in it: job {long}" in again
    refused = home.cli("update", long, "--time", "5h", ok=None)
    assert "would run into" not in refused.stderr, "it is in it already"
    home.cli("unreserve", "maintenance-2")
    home.cli("cancel", long)
    assert [item["state"] for item in listed(home, "--history")] == ["removed", "removed"]
    kinds = [json.loads(line)["kind"] for line in home.cli("events", "--json").stdout.splitlines()]
    assert [kind for kind in kinds if kind.startswith("reservation")] == ["reservation.made", "reservation.removed"] * 2
    home.cli("doctor", "--check-store")


def test_what_waits_for_an_end_starts_when_it_comes(home: Installation) -> None:
    """Nobody submits, ends or asks anything meanwhile that would make the daemon plan: its own timer does."""
    with home.client() as client:
        made = client.reservations.make(length_ms=2_000, project="course")
        job = client.submit(["true"])
        assert client.wait([job.id], timeout_s=30).done
        view = client.show(job.id).job
    assert view.state == "succeeded"
    assert view.started_ms >= made.until_ms


def test_gpus_of_a_node_are_kept_for_a_project(home: Installation) -> None:
    home.cli("reserve", "--nodes", "gpu01", "--gpus", "2", "--project", "course", "--name", "half", "--for", "1h")
    (half,) = listed(home)
    assert half["parts"] == [{"node": "gpu01", "whole": False, "cpu_milli": 4000, "memory_bytes": 32 * 1024**3, "gpus": [2, 3]}]
    assert "gpu01 (GPU 2, 3, 4 cpus, 32G)" in home.cli("reservations").stdout
    greedy = home.submit("-J", "greedy", "--gpus", "3", "-t", "2h", "--", "sleep", "600")
    theirs = home.submit("-J", "theirs", "--gpus", "2", "-t", "2h", "--", "sleep", "600")
    mine = home.submit("-J", "mine", "--gpus", "2", "-A", "course", "-t", "10m", "--", "sleep", "600")
    until(lambda: home.state(theirs) == home.state(mine) == "running", "who fits to run")
    assert home.state(greedy) == "pending"
    devices = {item["index"]: item["jobs"] for item in home.json("gpus")["devices"] if item["node"] == "gpu01"}
    assert devices == {0: [theirs], 1: [theirs], 2: [mine], 3: [mine]}
    refused = home.cli("reserve", "--nodes", "gpu01", "--gpus", "3", "--project", "vision", "--for", "1h", ok=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "beside half" in refused.stderr
    home.cli("cancel", greedy, theirs, mine)
    home.cli("doctor", "--check-store")
    home.cli("unreserve", "half")


def test_a_mistake_is_one_sentence_with_the_way_out(home: Installation) -> None:
    for words, code, said in (
        (("--maintenance",), 2, "--for 2h"),
        (("--maintenance", "--for", "1h", "--until", "20:00"), 2, "not both"),
        (("--maintenance", "--nodes", "gpu01,all", "--for", "1h"), 2, "names no nodes"),
        (("--maintenance", "--from", "soon", "--for", "1h"), 2, "is not a moment"),
    ):
        done = home.cli("reserve", *words, ok=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
        assert said in done.stderr
    with home.client() as client:
        for wish, kind, said in (
            ({"nodes": ["z"], "maintenance": True, "length_ms": 1}, NotFound, "no node 'z'; see tenure nodes"),
            ({"user": "nobody-here", "length_ms": 1}, NotFound, "no user 'nobody-here'"),
            ({"length_ms": 1}, BadRequest, "say whom it is for"),
            ({"maintenance": True, "from_ms": 1, "until_ms": 2}, BadRequest, "is past"),
            ({"maintenance": True}, BadRequest, "--until or --for"),
        ):
            with pytest.raises(kind) as refused:
                client.reservations.make(**wish)  # type: ignore[arg-type]
            assert said in str(refused.value)
        new = client.reservations.make(project="brand-new", length_ms=60_000)
        assert new.notes == ["project brand-new has had no job yet; its first one makes it"]
        with pytest.raises(TenureError, match="exclude each other"):
            client.reservations.make(maintenance=True, length_ms=60_000)
        assert client.reservations.remove(str(new.id)).state == "removed"


def test_a_header_that_names_a_reservation_is_told_how_it_is_done_here(home: Installation) -> None:
    script = home.work / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH --reservation=course\ntrue\n")
    done = home.cli("submit", str(script), ok=False)
    assert "use --project" in done.stderr
