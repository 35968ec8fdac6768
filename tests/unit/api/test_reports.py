"""Reports as files: harmless in a spreadsheet and in a browser, whatever names people gave; days by the local clock."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.api.reports import DAY_MS, days
from tenure.wire.report_text import csv_of, harmless, html_of, number
from tenure.wire.reports import COLUMNS, ReportReply, ReportRow
from tests.require import require

NASTY = ("=1+1", "+x", "-x", "@SUM(A1)", "\t=x", "</td><script>alert(1)</script>", '"quoted", name', "plain")


def made(*names: str) -> ReportReply:
    rows = [ReportRow(key=name, figures={"jobs": 1.0, "gpu_hours": float(n), "cpu_hours": 0.25}) for n, name in enumerate(names, 1)]
    return ReportReply(
        kind="usage",
        by="user",
        since_ms=1_700_000_000_000,
        until_ms=1_700_100_000_000,
        columns=list(COLUMNS["usage"]),
        rows=rows,
        total={"jobs": float(len(names))},
        notes=["a <note>"],
    )


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(csv_of(made(*NASTY)))))
    assert rows[0] == ["user", "jobs", "gpu_hours", "cpu_hours", "memory_gib_hours"]
    assert [row[0].lstrip("'") for row in rows[1:-1]] == list(NASTY)
    assert not any(row[0][0] in "=+-@\t\r" for row in rows)
    assert rows[1][1:] == ["1", "1", "0.25", ""]
    assert rows[-1][:2] == ["total", str(len(NASTY))]


@given(st.text())
def test_harmless_is_the_text_itself_but_for_an_apostrophe(text: str) -> None:
    assert harmless(text) in (text, f"'{text}")
    assert not harmless(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_figures_have_no_exponent() -> None:
    assert [number(value) for value in (0.0, 1.0, 0.0004, 1234567.5, 1e15, 2.1239)] == [
        "0",
        "1",
        "0",
        "1234567.5",
        "1000000000000000",
        "2.124",
    ]


def test_the_page_shows_every_row_and_carries_out_nothing(tmp_path: Path) -> None:
    text = html_of(made(*NASTY))
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)
    require("chromium", (browser := shutil.which("chromium")) is not None, "there is no browser on the path")
    assert browser is not None
    page = tmp_path / "report.html"
    page.write_text(text, encoding="utf-8")
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}/profile",
    ]
    seen = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=100, check=True)
    assert "CONSOLE" not in seen.stderr
    assert seen.stdout.count("<tr>") == len(NASTY) + 2
    assert "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in seen.stdout


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_days_are_gapless_and_those_of_the_clock(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        since_ms = 1_711_700_000_000  # before a change of the clocks in Europe
        until_ms = since_ms + 5 * DAY_MS
        found = days(since_ms, until_ms)
        assert found[0][0] == since_ms
        assert found[-1][1] == until_ms
        assert all(before[1] == after[0] for before, after in pairwise(found))
        assert [time.localtime(begin / 1000)[3:6] for begin, _ in found[1:]] == [(0, 0, 0)] * (len(found) - 1)
        assert len(found) == 6
    finally:
        monkeypatch.undo()
        time.tzset()
