"""Which news may wait for company, seen from the parts that decide it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure.executors.local.supervisor import clock
from tenure.executors.local.supervisor.devices import DeviceLocks
from tenure.executors.local.supervisor.endings import END_NEWS_MS, FOLLOWED_NEWS_MS, SHORT_MS, Endings
from tenure.executors.local.supervisor.journal import NO_HURRY_MS, Journal
from tenure.executors.local.supervisor.loop import Loop
from tenure.executors.local.supervisor.pauses import Pauses
from tenure.executors.local.supervisor.protocol import Launch, Template
from tenure.executors.local.supervisor.rooms import Rooms
from tenure.executors.local.supervisor.task import Task
from tenure.executors.local.supervisor.timers import Timers
from tenure.executors.local.supervisor.tree import Tree


class Bell:
    """A timer that never rings."""

    def set(self, at_ms: int) -> None:
        """Nothing to arm."""


class Desk:
    """The parts that record an end, without processes."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree("tag")
        self.journal = Journal(str(root / "node"))
        timers = Timers(Bell())
        pauses = Pauses(self.tree, self.journal, timers, None)
        self.rooms = Rooms(timers)
        locks = DeviceLocks(str(root / "locks"))
        self.endings = Endings(self.tree, self.journal, timers, pauses, None, locks, self.rooms, Loop())

    def started(self, attempt: int, age_ms: int) -> Task:
        task = Task(attempt, 0, 1)
        task.pid = 1_000_000 + attempt
        task.started_boot_ms = clock.boot_ms() - age_ms
        self.tree.add(task)
        return task

    def ended(self, task: Task) -> int:
        """The patience of the news after this end."""
        self.journal.announce()
        self.endings.main_ended(task, 0, None)
        return self.journal.patience_ms


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_last_of_a_pair_tells_for_both(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.boot_ms()
    monkeypatch.setattr(clock, "boot_ms", lambda: now)
    first, second = desk.started(1, 1), desk.started(2, 1)
    assert desk.ended(second) == END_NEWS_MS
    assert desk.ended(first) == 0


def test_nobody_waits_for_a_task_that_has_run_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.boot_ms()
    monkeypatch.setattr(clock, "boot_ms", lambda: now)
    desk.started(1, SHORT_MS + 1)
    assert desk.ended(desk.started(2, 1)) == 0


def test_the_end_of_a_long_task_never_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.boot_ms()
    monkeypatch.setattr(clock, "boot_ms", lambda: now)
    long = desk.started(1, SHORT_MS + 1)
    desk.started(2, 0)
    assert desk.ended(long) == 0


def test_the_most_urgent_news_decides(desk: Desk) -> None:
    journal = desk.journal
    journal.add(b"a\n", patience_ms=10)
    journal.add(b"b\n", patience_ms=3)
    journal.add(b"c\n", public=False)
    assert journal.patience_ms == 3
    assert journal.announce() == b"a\nb\n"
    assert journal.patience_ms == NO_HURRY_MS


def test_the_end_of_a_task_that_is_followed_waits_for_those_behind(desk: Desk) -> None:
    assert desk.rooms.take(1)
    for attempt in (2, 3):
        desk.rooms.wait(Launch({"attempt": attempt, "room": 1, "wait_ms": 100, "argv": ["true"]}, Template({})), 1)
    patience = []
    for attempt in (1, 2, 3):
        task = desk.started(attempt, 1)
        task.room = 1
        patience.append(desk.ended(task))
        assert [waiting.launch.attempt for waiting in desk.rooms.next()] == ([attempt + 1] if attempt < 3 else [])
    assert patience == [FOLLOWED_NEWS_MS, FOLLOWED_NEWS_MS, 0]
