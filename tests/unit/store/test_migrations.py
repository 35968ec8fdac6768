"""Every step from nothing gives today's schema; a migration keeps rows; what is newer is refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from tenure.ports import StoreUnavailable
from tenure.store import migrations, open_sqlite, opening
from tenure.store.create import ddl
from tenure.store.migrations import STEPS, migrate
from tenure.store.schema import SCHEMA_VERSION
from tenure.store.settings import StoreSettings
from tenure.testing.store_rig import StoreRig, ended

NO_BALLAST = StoreSettings(ballast_bytes=0)


def described(connection: Connection) -> dict[str, object]:
    """What a database's tables are made of, free of the order in which it was written down."""
    found = inspect(connection)
    tables: dict[str, object] = {}
    for name in sorted(found.get_table_names()):
        tables[name] = (
            [(column["name"], str(column["type"]), column["nullable"], str(column["default"])) for column in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((key["constrained_columns"], key["referred_table"]) for key in found.get_foreign_keys(name)),
            sorted(check["sqltext"] for check in found.get_check_constraints(name)),
            sorted(unique["column_names"] for unique in found.get_unique_constraints(name)),
            sorted(
                connection.execute(
                    text("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :t AND sql > ''"), {"t": name}
                )
                .scalars()
                .all()
            ),
            "WITHOUT ROWID" in str(connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :t"), {"t": name}).scalar()),
        )
    return tables


def test_all_steps_from_nothing_give_the_schema_of_today() -> None:
    assert len(STEPS) == SCHEMA_VERSION
    with create_engine("sqlite://").connect() as stepped, create_engine("sqlite://").connect() as fresh:
        stepped.execute(text("CREATE TABLE placeholder (id INTEGER)"))
        migrate(stepped, 0)
        stepped.execute(text("DROP TABLE placeholder"))
        for statement in ddl(fresh.dialect):
            fresh.execute(text(statement))
        assert described(stepped) == described(fresh)


@pytest.fixture
def second_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that does not exist yet: a column more."""
    from alembic.operations import Operations
    from sqlalchemy import Column, Integer

    step = ModuleType("second_step")

    def upgrade(op: Operations) -> None:
        op.add_column("job", Column("mood", Integer, server_default=text("7")))

    step.upgrade = upgrade  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "second_step", step)
    steps = (*STEPS, "second_step")
    monkeypatch.setattr(opening, "SCHEMA_VERSION", len(steps))
    monkeypatch.setattr(opening, "migrate", lambda connection, found: migrations.migrate(connection, found, steps))


def test_a_migration_keeps_rows_and_what_runs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = str(tmp_path / "tenure.db")
    rig = StoreRig(lambda: open_sqlite(path, NO_BALLAST))
    launch = rig.run(rig.submit())
    before = rig.store.snapshot(rig.now_ms)
    rig.store.close()
    request.getfixturevalue("second_step")
    rig.reopen()
    assert rig.store.snapshot(rig.now_ms) == before
    rig.record(ended(launch))
    rig.sound()
    rig.store.close()
    with closing(sqlite3.connect(f"{path}.version-{len(STEPS)}")) as copy:
        assert copy.execute("SELECT schema_version, (SELECT count(*) FROM job) FROM meta").fetchone() == (len(STEPS), 1)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT schema_version FROM meta").fetchone() == (len(STEPS) + 1,)
        assert raw.execute("SELECT mood FROM job").fetchone() == (7,)


def test_a_signal_that_is_under_way_survives_the_step_to_version_2() -> None:
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("CREATE TABLE placeholder (id INTEGER)"))
        migrate(connection, 0, STEPS[:1])
        row = (
            "INSERT INTO attempt (id, job_id, number, fence, committed_ms, signal, ended_ms) VALUES (:id, 1, 1, 1, 1, :signal, :ended)"
        )
        for number, signal, ended_ms in ((1, "stop", None), (2, "suspend", 5), (3, "", None)):
            connection.execute(text(row), {"id": number, "signal": signal, "ended": ended_ms})
        migrate(connection, 1, STEPS[:2])
        assert connection.execute(text("SELECT id FROM attempt WHERE wish != 0 AND ended_ms IS NULL")).scalars().all() == [1]


def test_without_room_for_the_copy_nothing_is_migrated(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = str(tmp_path / "tenure.db")
    open_sqlite(path, NO_BALLAST).close()
    request.getfixturevalue("second_step")
    (tmp_path / f"tenure.db.version-{len(STEPS)}.partial").mkdir()
    with pytest.raises(StoreUnavailable, match="free some space"):
        open_sqlite(path, NO_BALLAST)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT schema_version FROM meta").fetchone() == (len(STEPS),)


def test_a_failing_migration_leaves_the_old_version_whole(tmp_path: Path, second_step: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "tenure.db")
    with monkeypatch.context() as before:
        before.setattr(opening, "SCHEMA_VERSION", len(STEPS))
        open_sqlite(path, NO_BALLAST).close()
    broken = ModuleType("third_step")
    broken.upgrade = lambda op: (op.execute("DROP TABLE hold"), op.execute("nonsense"))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "third_step", broken)
    steps = (*STEPS, "third_step")
    monkeypatch.setattr(opening, "migrate", lambda connection, found: migrations.migrate(connection, found, steps))
    with pytest.raises(Exception, match="nonsense"):
        open_sqlite(path, NO_BALLAST)
    monkeypatch.undo()
    store = open_sqlite(path, NO_BALLAST)
    assert store.check() == []
    store.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "tenure.db")
    open_sqlite(path, NO_BALLAST).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE meta SET schema_version = 99")
        raw.commit()
    with pytest.raises(StoreUnavailable, match="upgrade Tenure") as refused:
        open_sqlite(path, NO_BALLAST)
    assert refused.value.code == "newer_database"


def test_alembic_is_not_imported_without_need(tmp_path: Path) -> None:
    program = (
        "import sys; from tenure.store import open_sqlite; "
        f"open_sqlite({str(tmp_path / 'tenure.db')!r}).close(); "
        "raise SystemExit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
