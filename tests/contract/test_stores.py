"""One contract, every store: SQLite today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_acts_suite import StoreActsSuite
from tenure.testing.store_guard_suite import StoreGuardSuite
from tenure.testing.store_leases_suite import StoreLeasesSuite
from tenure.testing.store_people_suite import StorePeopleSuite
from tenure.testing.store_reservations_suite import StoreReservationsSuite
from tenure.testing.store_resizes_suite import StoreResizesSuite
from tenure.testing.store_rig import CAPPED
from tenure.testing.store_rooms_suite import StoreRoomsSuite
from tenure.testing.store_shrinks_suite import StoreShrinksSuite
from tenure.testing.store_suite import OpenStore, StoreLifecycleSuite
from tenure.testing.store_turns_suite import StoreTurnsSuite


class OnSqlite:
    """Opens one database file of the test; what was opened is closed at the end."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        opened: list[SqlStore] = []

        def open_it() -> SqlStore:
            settings = StoreSettings(log_dir=str(tmp_path / "logs"), ballast_bytes=0, projects=CAPPED)
            opened.append(open_sqlite(str(tmp_path / "tenure.db"), settings))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()


class TestSqliteLifecycle(OnSqlite, StoreLifecycleSuite):
    """What runs and ends, on SQLite."""


class TestSqliteGuards(OnSqlite, StoreGuardSuite):
    """What protects the truth, on SQLite."""


class TestSqliteActs(OnSqlite, StoreActsSuite):
    """What people do, on SQLite."""


class TestSqliteLeases(OnSqlite, StoreLeasesSuite):
    """Leases, on SQLite."""


class TestSqliteRooms(OnSqlite, StoreRoomsSuite):
    """Starts with successors, on SQLite."""


class TestSqliteResizes(OnSqlite, StoreResizesSuite):
    """What a running attempt holds, on SQLite."""


class TestSqliteShrinks(OnSqlite, StoreShrinksSuite):
    """What the scheduler lowers unasked, on SQLite."""


class TestSqliteReservations(OnSqlite, StoreReservationsSuite):
    """What is set aside, on SQLite."""


class TestSqliteTurns(OnSqlite, StoreTurnsSuite):
    """Jobs that take turns, on SQLite."""


class TestSqlitePeople(OnSqlite, StorePeopleSuite):
    """Users, tokens and what is kept of changes, on SQLite."""
