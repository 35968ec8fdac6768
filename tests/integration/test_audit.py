"""The audit log of a real daemon as a file: checked when everything else is gone; and what somebody altered in the store is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tenure.client.auditing import Export, check
from tenure.client.errors import BadRequest, TenureError
from tenure.wire.people import TokenRequest
from tests.support.living import Installation


def test_an_export_is_checked_without_what_it_came_from_and_finds_what_was_altered(living: Installation, tmp_path: Path) -> None:
    with living.client() as client:
        client.submit(["true"], name="a")
        client.people.set_user("amy", role="user", projects={"vision": "user"}, account=False)
        client.people.make_token(TokenRequest(key="k", user="amy", label="x", role="user", gpu_hours=2.5))
        first = list(Export(client.people).lines())
        known = check(first)
        client.people.set_user("amy", disabled=True)
        later = list(Export(client.people, known.last).lines())
        with pytest.raises(BadRequest, match="there is no row"):
            list(Export(client.people, known.last + 9).lines())
    living.cli("down")
    both = tmp_path / "both"
    both.write_bytes(b"".join((*first, *later)))
    nowhere = {"TENURE_HOME": str(tmp_path / "nowhere")}
    held = living.cli("audit", "verify", str(both), "--head", known.hash, env=nowhere).stdout
    assert f"{known.rows + 1} rows, from 1 to {known.rows + 1}" in held
    assert check(later, begins=known.hash).rows == 1
    assert not (tmp_path / "nowhere").exists()
    with closing(sqlite3.connect(living.home / "tenure.db")) as link:
        link.execute("UPDATE audit SET target = 'ben' WHERE id = 2")
        link.commit()
    altered = living.cli("audit", "export", str(tmp_path / "copy"), ok=False)
    assert "does not hold: row 2: the row was altered" in altered.stderr
    with pytest.raises(TenureError, match="line 3, row 2"):
        check((tmp_path / "copy").read_bytes().splitlines(keepends=True))
