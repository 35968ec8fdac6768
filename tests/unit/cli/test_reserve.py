"""The commands ``reserve``, ``reservations`` and ``unreserve``, and what they print."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from tenure.cli.reserve import _end_of
from tenure.wire.reservation import PartView, ReservationsReply, ReservationView
from tests.unit.cli.conftest import FakeClient, Shell

ONE = ReservationView(
    id=1,
    name="course",
    state="planned",
    from_ms=86_400_000,
    until_ms=90_000_000,
    project="course",
    user="ada",
    parts=[PartView(node="a"), PartView(node="b", whole=False, cpu_milli=4000, memory_bytes=2**33, gpus=[2, 3])],
    made_by="ben",
    running=["7", "9_3"],
    notes=["project course has had no job yet"],
)
SHUT = ReservationView(id=2, name="kernel", state="active", from_ms=1, until_ms=2, maintenance=True, parts=[PartView(node="a")])


def test_what_was_set_aside_is_said_with_who_is_in_it(shell: Shell, client: FakeClient) -> None:
    client.answers["make"] = ONE
    told = shell(
        "reserve", "--project", "course", "--nodes", "a, b", "--from", "1970-01-02T00:00+00:00", "--for", "1h"
    ).out.splitlines()
    assert told[0] == "Reserved course (1): a, b (GPU 2, 3, 4 cpus, 8G) for project course or user ada"
    assert told[1].startswith("From 1970-01-0")
    assert told[2] == "project course has had no job yet"
    assert told[3].startswith("Still in it: jobs 7, 9_3, which it is not for")
    (_, _, wish) = client.calls[0]
    assert (wish["nodes"], wish["from_ms"], wish["length_ms"], wish["until_ms"]) == (["a", "b"], 86_400_000, 3_600_000, 0)
    client.answers["make"] = SHUT
    told = shell("reserve", "--maintenance", "--for", "30", "--gpus", "2", "--cpus", "0.5", "--memory", "1G").out
    assert "for maintenance" in told
    assert "Still" not in told
    (_, _, wish) = client.calls[1]
    assert (wish["nodes"], wish["from_ms"], wish["length_ms"], wish["maintenance"]) == ([], 0, 1_800_000, True)
    assert (wish["gpus"], wish["cpu_milli"], wish["memory_bytes"]) == (2, 500, 2**30)
    assert '"state":"active"' in shell("reserve", "--maintenance", "--for", "1h", "--json").out


def test_a_time_of_day_ends_it_after_it_begins() -> None:
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).replace(hour=18, minute=0, second=0, microsecond=0)
    assert _end_of("20:00", int(tomorrow.timestamp() * 1000)) == int((tomorrow + timedelta(hours=2)).timestamp() * 1000)
    assert _end_of("2026-01-31T16:00+00:00", 5) == 1_769_875_200_000
    assert _end_of("+2h", 5) > time.time() * 1000 + 7_000_000


def test_they_are_listed(shell: Shell, client: FakeClient) -> None:
    client.answers |= {"standing": ReservationsReply(reservations=[ONE]), "history": ReservationsReply(reservations=[ONE, SHUT])}
    listed = shell("reservations").out
    assert "b (GPU 2, 3, 4 cpus, 8G)" in listed
    assert "7, 9_3" in listed
    assert "kernel" in shell("reservations", "--history").out
    assert '"reservations"' in shell("reservations", "--json").out
    client.answers |= {"standing": ReservationsReply(reservations=[]), "history": ReservationsReply(reservations=[])}
    assert shell("reservations").out == "Nothing is reserved.\n"
    assert shell("reservations", "--history").out == "Nothing was reserved.\n"


def test_one_is_taken_back(shell: Shell, client: FakeClient) -> None:
    client.answers["remove"] = SHUT
    assert shell("unreserve", "2").out == "Reservation kernel is taken back\n"
    assert '"name":"kernel"' in shell("unreserve", "kernel", "--json").out


@pytest.mark.parametrize(
    "words",
    [
        "--maintenance",
        "--maintenance --for 1h --until 18:00",
        "--maintenance --for soon",
        "--maintenance --for 1h --from later",
        "--maintenance --for 1h --nodes ,",
        "--maintenance --for 1h --nodes all,a",
        "--project p --for 1h --cpus few",
        "--project p --for 1h --memory much",
        "--project p --for 1h --gpus -1",
    ],
)
def test_what_means_nothing_is_refused(shell: Shell, words: str) -> None:
    done = shell("reserve", *words.split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
