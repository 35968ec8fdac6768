"""From where a log is read that is asked for since a moment: never too late."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenure.api.context import Context
from tenure.api.streams import _offset_since
from tenure.store.queries import LogFile

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(("written_ms_ago", "offset"), [(5_000, 10), (900, 4), (0, 4)])
def test_a_log_is_passed_over_only_when_it_is_older_beyond_doubt(tmp_path: Path, written_ms_ago: int, offset: int) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 10)
    os.utime(log, ns=((NOW_MS - written_ms_ago) * 1_000_000,) * 2)
    context = Context(None, None, None, tmp_path, tmp_path, log_length_at=lambda *_: 4)  # type: ignore[arg-type]
    assert _offset_since(context, LogFile(str(log), 1, 0), NOW_MS) == offset


def test_a_log_that_is_gone_is_read_from_its_beginning(tmp_path: Path) -> None:
    context = Context(None, None, None, tmp_path, tmp_path)  # type: ignore[arg-type]
    assert _offset_since(context, LogFile(str(tmp_path / "none"), 1, 0), NOW_MS) == 0
