"""kill -9 while elements of an array wait for each other's room: none is lost, none runs twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos.test_daemon_kills import start_crashing
from tests.integration.test_successors import followers, noting, ran, states, wait_for
from tests.support.living import Installation, installation, kill, until

pytestmark = pytest.mark.chaos
SIZE = 400


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation('[node]\ncpus = "2"\n') as home:
        yield home


def submitted(living: Installation) -> str:
    """An array of short jobs of which some wait for room already."""
    with living.client() as client:
        array = client.submit(noting(living), array=f"0-{SIZE - 1}").id
    until(lambda: followers(living) > 0, "elements behind others")
    return array


def a_moment(chance: random.Random) -> None:
    deadline = time.monotonic() + chance.random() * 0.1
    until(lambda: time.monotonic() >= deadline, "a random moment")


def test_kills_of_the_daemon_lose_no_element(living: Installation) -> None:
    chance = random.Random(11)
    array = submitted(living)
    for _ in range(6):
        with living.client() as client:
            pid = client.admin.status().pid
        a_moment(chance)
        kill(pid)
    wait_for(living, array)
    assert states(living) == dict.fromkeys(range(SIZE), "succeeded")
    assert ran(living) == dict.fromkeys(range(SIZE), 1)


@pytest.mark.parametrize(
    ("point", "nth"),  # seventeen elements may be launched at once, so that two dozen launches are all of them
    [
        ("commit.before", 25),
        ("commit.after", 25),
        ("launch.before", 8),
        ("launch.after", 8),
        ("record.after", 12),
        ("acknowledge.before", 12),
    ],
)
def test_a_crash_at_a_named_point_loses_no_element(living: Installation, point: str, nth: int) -> None:
    crashing = start_crashing(living, point, nth)
    try:
        array = submitted(living)
        until(lambda: crashing.poll() is not None, "the crash")
    finally:
        if crashing.poll() is None:
            kill(crashing.pid)
        crashing.wait()
    wait_for(living, array)
    assert ran(living) == dict.fromkeys(range(SIZE), 1)


def test_kills_of_the_supervisor_start_no_element_twice(living: Installation) -> None:
    chance = random.Random(12)
    array = submitted(living)
    for _ in range(5):
        pid = until(living.supervisor_pid, "a supervisor")
        a_moment(chance)
        kill(pid)
    wait_for(living, array)
    ended = states(living)
    assert len(ended) == SIZE
    assert set(ended.values()) <= {"succeeded", "lost"}
    often = ran(living)
    assert max(often.values()) == 1
    for index, state in ended.items():
        assert state == "lost" or often[index] == 1, f"{index} never ran"
    assert list(ended.values()).count("lost") <= 2 * 5, "only what ran when the supervisor ended"
