"""A store in a file of the test's own directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import StoreRig, node

OpenSqlite = Callable[[], SqlStore]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the database is."""
    return str(tmp_path / "tenure.db")


@pytest.fixture
def open_store(path: str) -> Iterator[OpenSqlite]:
    """Opens it, as often as wanted; everything is closed at the end."""
    opened: list[SqlStore] = []

    def open_it() -> SqlStore:
        opened.append(open_sqlite(path, StoreSettings(log_dir="/logs", ballast_bytes=1 << 20)))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def rig(open_store: OpenSqlite) -> StoreRig:
    """A driven store of one node."""
    return StoreRig(open_store, [node("n1", cpus=64, gpus=2)])


@pytest.fixture
def store(rig: StoreRig) -> SqlStore:
    """The rig's store as what it is."""
    assert isinstance(rig.store, SqlStore)
    return rig.store
