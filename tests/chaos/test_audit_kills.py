"""Kill -9 at any moment between a change and its row in the audit log: there is no such moment."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tenure.model.access import SCHEDULER
from tenure.store import StoreSettings, open_sqlite
from tenure.wire.dto import Selection


@pytest.mark.parametrize("lines", [1, 7, 40])
def test_every_change_has_its_row_and_every_row_its_change(tmp_path: Path, lines: int) -> None:
    path = str(tmp_path / "tenure.db")
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-m", "tests.chaos.audited_writer", path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            seen = [writer.stdout.readline() for _ in range(lines)]
            writer.kill()
            seen += writer.stdout.readlines()
        acknowledged = {int(line) for line in seen if line.endswith(b"\n")}
        with closing(open_sqlite(path, StoreSettings(ballast_bytes=0))) as store, closing(store.queries()) as queries:
            assert store.check() == []
            rows = [row for row in queries.audit(limit=100_000) if row.what == "submit"]
            jobs = {job.number for job in queries.jobs(Selection(states=["all"], limit=10_000), SCHEDULER).jobs}
            told = {number for row in rows for number in _numbers(row.target)}
            users = [row.target for row in queries.audit(limit=100_000) if row.what == "set user"]
            assert sorted(users) == sorted(person.name for person in queries.people() if person.name.startswith("user-"))
        assert acknowledged <= jobs == told


def _numbers(target: str) -> range:
    first, _, last = target.partition("-")
    return range(int(first), int(last or first) + 1)
