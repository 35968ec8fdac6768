"""Cursors of reports, and what the supervisor may forget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.executors.local.reports import Reports
from tenure.model.observations import TaskStarted


def report(number: int) -> TaskStarted:
    return TaskStarted(number, 0, 1, 0)


def test_reports_are_read_by_cursor() -> None:
    reports = Reports()
    for number in (1, 2, 3):
        reports.add(report(number), number * 10)
    assert reports.since(0).items == (report(1), report(2), report(3))
    assert reports.since(2).items == (report(3),)
    assert reports.since(3).items == ()
    assert reports.since(3).cursor == 3


def test_a_cursor_of_an_earlier_life_reads_everything() -> None:
    reports = Reports()
    reports.add(report(1), 10)
    assert reports.since(1000).items == (report(1),)
    assert reports.since(1000).cursor == 1


def test_only_a_gapless_beginning_may_be_forgotten() -> None:
    reports = Reports()
    assert reports.forgettable == 0
    reports.add(report(1), 10)
    reports.hold(12)
    reports.add(report(3), 14)
    reports.add(report(4))
    assert reports.forgettable == 9
    assert reports.acknowledge(3) == [report(1), report(3), report(4)]
    assert reports.forgettable == 11, "the report that is held back was not acknowledged"
    reports.let_go(12)
    reports.add(report(2), 12)
    assert reports.forgettable == 11
    reports.acknowledge(reports.end)
    assert reports.forgettable == 14


def test_a_new_connection_drops_what_will_come_again() -> None:
    reports = Reports()
    reports.add(report(1), 10)
    reports.add(report(2))
    reports.hold(11)
    reports.clear()
    assert reports.end == 2, "cursors are never given out twice"
    assert reports.since(0).items == (report(2),)
    reports.add(report(1), 10)
    assert reports.since(2).items == (report(1),)
    assert reports.forgettable == 9


@given(st.lists(st.sampled_from(["add", "local", "hold", "go", "ack", "read"]), max_size=60))
def test_nothing_is_lost_nothing_told_twice_and_nothing_forgotten_too_early(acts: list[str]) -> None:
    reports, seq, cursor = Reports(), 0, 0
    held: list[int] = []
    added: list[TaskStarted] = []
    read: list[TaskStarted] = []
    unacknowledged: dict[int, int] = {}
    for act in acts:
        if act in ("add", "local"):
            seq += 1
            number = seq if act == "add" else 0
            added.append(report(len(added) + 1))
            reports.add(added[-1], number)
            if number:
                unacknowledged[reports.end] = number
        elif act == "hold":
            seq += 1
            held.append(seq)
            reports.hold(seq)
        elif act == "go" and held:
            number = held.pop()
            reports.let_go(number)
            added.append(report(len(added) + 1))
            reports.add(added[-1], number)
            unacknowledged[reports.end] = number
        elif act == "read":
            seen = reports.since(cursor)
            read += seen.items  # type: ignore[arg-type]
            cursor = seen.cursor
        elif act == "ack":
            reports.acknowledge(cursor)
            unacknowledged = {at: number for at, number in unacknowledged.items() if at > cursor}
        assert all(number > reports.forgettable for number in (*held, *unacknowledged.values()))
    read += reports.since(cursor).items  # type: ignore[arg-type]
    assert read == added
