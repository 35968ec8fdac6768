"""The audit log on the command line: a table, an export that never writes over a file, a check that asks nobody."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tenure.cli import options
from tenure.cli.app import run
from tenure.cli.audit import audit_table
from tenure.client.errors import TenureError
from tenure.wire.chain import link_of
from tenure.wire.people import AuditMark, AuditReply, AuditView
from tests.unit.cli.conftest import FakeClient, Shell


def rows(count: int) -> list[AuditView]:
    """So many rows of a log."""
    found: list[AuditView] = []
    for seq in range(1, count + 1):
        columns = (seq, 10 * seq, 5, "amy", "token", 2, "submit", 3, "1-3", "ok")
        digest = link_of(found[-1].hash if found else "", (*columns, '{"name":"x"}'))
        view = AuditView(seq=seq, at_ms=10 * seq, uid=5, user="amy", via="token", token=2, what="submit", outcome="ok", hash=digest)
        view.count, view.target, view.detail = 3, "1-3", {"name": "x"}
        found.append(view)
    return found


@pytest.fixture
def log(client: FakeClient) -> list[AuditView]:
    """A log that the client reads."""
    found = rows(3)
    last = AuditMark(3, found[-1].hash)
    client.answers["audit"] = AuditReply(entries=found[::-1])
    client.answers["audit_after"] = lambda after, limit=9: AuditReply(
        entries=[row for row in found if row.seq > after][:limit], last=last
    )
    return found


def test_a_file_is_written_and_checked_without_a_daemon(
    shell: Shell, log: list[AuditView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = shell("audit", "export", "a.jsonl")
    assert (done.code, done.out) == (0, "")
    assert f"3 rows, from 1 to 3; the last hash is {log[-1].hash}" in done.err
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600
    again = shell("audit", "export", "a.jsonl")
    assert (again.code, "is there already; name another file" in again.err) == (2, True)
    monkeypatch.setattr(options, "client", lambda: pytest.fail("nobody is to be asked"))
    held = shell("audit", "verify", "a.jsonl", "--head", log[1].hash)
    assert (held.code, "nothing was altered" in held.out) == (0, True)
    assert json.loads(shell("audit", "verify", "a.jsonl", "--json").out)["hash"] == log[-1].hash
    text = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "b.jsonl").write_bytes(text.replace(b'"seq":2,"at_ms":20', b'"seq":2,"at_ms":21'))
    found = shell("audit", "verify", "b.jsonl")
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("tenure: line 3, row 2: the row was altered, or the one before it was; compare it")
    assert shell("audit", "verify", "a.jsonl", "--head", "0" * 64).code == 1
    assert shell("audit", "verify", "missing.jsonl").code == 1


def test_a_log_that_does_not_hold_is_written_and_told(shell: Shell, log: list[AuditView], tmp_path: Path) -> None:
    log[1].user = "ben"
    done = shell("audit", "export", "a.jsonl")
    assert (done.code, "does not hold: row 2" in done.err) == (1, True)
    assert len((tmp_path / "a.jsonl").read_bytes().splitlines()) == 5


def test_a_file_that_could_not_be_finished_does_not_stay(
    shell: Shell, client: FakeClient, log: list[AuditView], tmp_path: Path
) -> None:
    client.answers["audit_after"] = TenureError("store_unavailable", "the store cannot be read")
    assert shell("audit", "export", "a.jsonl").code == 1
    assert list(tmp_path.glob("*.jsonl")) == []


def test_it_goes_through_pipes(shell: Shell, log: list[AuditView], monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    assert run(("audit", "export")) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(out.getvalue())))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert run(("audit", "verify")) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("export", "x", "--head", "0" * 64),
        ("list", "x"),
        ("list", "--after", "3"),
        ("verify", "x", "--after", "3"),
        ("verify", "x", "--head", "abc"),
        ("burn",),
    ],
)
def test_what_does_not_belong_together_is_refused(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell("audit", *words)
    assert (done.code, done.out) == (2, "")


def test_the_table_and_json(shell: Shell, log: list[AuditView]) -> None:
    assert "submit x3" in audit_table(log, 0)
    assert shell("audit").code == 0
    assert len(json.loads(shell("audit", "--json").out)["entries"]) == 3
