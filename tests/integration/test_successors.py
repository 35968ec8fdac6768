"""Arrays of short jobs, end to end: elements take over each other's room, and nobody notices but by the time it takes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.living import Installation, installation, until

ONE_SLOT = '[node]\ncpus = "1"\n'


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(ONE_SLOT) as home:
        yield home


def noting(living: Installation, more: str = "") -> list[str]:
    """A job that notes that it ran, by its place in the array."""
    return ["sh", "-c", f"echo ran >> {living.work}/$TENURE_ARRAY_INDEX; {more}"]


def ran(living: Installation) -> Counter[int]:
    """How often each element ran."""
    return Counter({int(path.name): len(path.read_text().split()) for path in Path(living.work).iterdir()})


def rows(living: Installation, question: str) -> list[Any]:
    """What the database says; read beside the daemon."""
    with closing(sqlite3.connect(f"file:{living.home}/tenure.db?mode=ro", uri=True)) as database:
        return list(database.execute(question))


def followers(living: Installation) -> int:
    """How many elements were started behind another one."""
    count: int = rows(living, "SELECT count(*) FROM allocation WHERE room IS NOT NULL AND room != attempt_id")[0][0]
    return count


def states(living: Installation) -> dict[int, str]:
    """The state of each element that is a job of its own."""
    return dict(rows(living, "SELECT array_index, state FROM job WHERE array_id IS NOT NULL"))


def wait_for(living: Installation, array: str) -> None:
    """Until all of it has ended; every invariant of the store holds then."""
    with living.client() as client:
        assert client.wait([array], timeout_s=120).done
        checks = client.admin.doctor(check_store=True).checks
        assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


def test_short_elements_follow_each_other_and_each_runs_once(living: Installation) -> None:
    with living.client() as client:
        array = client.submit(noting(living), array="0-199").id
        wait_for(living, array)
    assert states(living) == dict.fromkeys(range(200), "succeeded")
    assert ran(living) == Counter(dict.fromkeys(range(200), 1))
    assert followers(living) > 20
    at_once = "SELECT count(*) FROM allocation a JOIN allocation b ON a.started_ms < b.ended_ms AND b.started_ms < a.started_ms"
    assert rows(living, at_once) == [(0,)], "on one slot no two run at once"


def test_who_waits_behind_a_long_one_is_handed_back() -> None:
    with installation(f'{ONE_SLOT}[plan]\nsuccessors = "400ms"\n') as living:
        block = living.home / "block"
        with living.client() as client:
            array = client.submit(noting(living, f"while test -e {block}; do sleep 0.02; done"), array="0-299").id
        begun = 0

        def some_are_handed_back() -> bool:
            """Block whoever runs until nobody waits behind him any more: handed back, unless he was the last of his room."""
            nonlocal begun
            until(lambda: followers(living) > begun, "elements behind others")
            block.touch()
            until(
                lambda: rows(living, "SELECT count(*) FROM allocation WHERE behind AND released_at_ms IS NULL") == [(0,)], "them to go"
            )
            begun = followers(living)
            block.unlink()
            return bool(rows(living, "SELECT 1 FROM attempt WHERE outcome = 'returned'"))

        until(some_are_handed_back, "an element that is handed back")
        wait_for(living, array)
        assert states(living) == dict.fromkeys(range(300), "succeeded")
        assert ran(living) == Counter(dict.fromkeys(range(300), 1))
        assert rows(living, "SELECT max(retried) FROM job") == [(0,)]


def test_a_cancelled_array_ends_whoever_waits_for_room(living: Installation) -> None:
    with living.client() as client:
        array = client.submit(noting(living), array="0-4999").id
        until(lambda: followers(living) > 5, "elements behind others")
        client.act("cancel", array)
        wait_for(living, array)
    assert set(states(living).values()) <= {"succeeded", "cancelled"}
    assert len(ran(living)) < 5000
    assert max(ran(living).values()) == 1


def test_a_setting_turns_it_off() -> None:
    with installation(f'{ONE_SLOT}[plan]\nsuccessors = "0s"\n') as living:
        with living.client() as client:
            array = client.submit(noting(living), array="0-59").id
        wait_for(living, array)
        assert followers(living) == 0
        assert ran(living) == Counter(dict.fromkeys(range(60), 1))
