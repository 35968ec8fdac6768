"""What a process sets up for itself."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest

from tenure.process import listen


def test_a_socket_is_closed_to_others_without_a_moment_in_which_other_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _mask: pytest.fail("it is that of all threads"))
            with contextlib.closing(listen(tmp_path / "s")):
                assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    finally:
        os.umask(before)
