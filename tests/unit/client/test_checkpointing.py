"""A job that saves its work: what it says of its checkpoints, what its next run finds, and how it learns that it should end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure
from tenure.client import checkpointing


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Inside of a job; afterwards TERM does what it did before."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(checkpointing, "_notice", checkpointing._Notice())
    monkeypatch.setenv(checkpointing.VARIABLE, str(tmp_path / "7"))
    yield tmp_path / "7"
    signal.signal(signal.SIGTERM, before)


def test_the_time_of_the_file_is_that_of_the_checkpoint(file: Path) -> None:
    assert tenure.checkpointed()
    os.utime(file, (1, 1))
    assert tenure.checkpointed()
    assert file.stat().st_mtime > 1_600_000_000
    assert tenure.last_checkpoint() == ""


def test_the_next_run_finds_what_was_said(file: Path) -> None:
    assert tenure.last_checkpoint() == ""
    assert tenure.checkpointed("/data/step-100.pt")
    assert tenure.checkpointed("/data/step-200.pt")
    assert tenure.checkpointed()
    assert tenure.last_checkpoint() == "/data/step-200.pt"
    assert os.listdir(file.parent) == ["7"]
    assert tenure.checkpointed("x" * 4000)
    assert tenure.last_checkpoint() == "x" * 4000
    for said in ("x" * 4001, "two\nlines"):
        with pytest.raises(ValueError, match="4000"):
            tenure.checkpointed(said)
    file.write_text("short\nrest of what was there before, if one is killed in the middle of it")
    assert tenure.last_checkpoint() == "short"


def test_what_cannot_be_written_is_said_and_hurts_nobody(file: Path, tmp_path: Path) -> None:
    file.symlink_to(tmp_path / "elsewhere")
    assert not tenure.checkpointed()
    assert tenure.last_checkpoint() == ""
    file.unlink()
    os.mkfifo(file)
    assert not tenure.checkpointed()
    assert tenure.last_checkpoint() == ""
    assert not tenure.checkpointed("here")


def test_outside_of_a_job_nothing_happens(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(checkpointing.VARIABLE)
    before = signal.getsignal(signal.SIGTERM)
    assert (tenure.checkpointed("here"), tenure.last_checkpoint(), tenure.should_preempt()) == (False, "", False)
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_listened_before_is_still_called(file: Path) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    assert not tenure.should_preempt()
    signal.raise_signal(signal.SIGTERM)
    assert tenure.should_preempt()
    assert heard == [signal.SIGTERM]


def test_another_thread_cannot_begin_to_listen(file: Path) -> None:
    found: list[BaseException] = []

    def ask() -> None:
        try:
            tenure.should_preempt()
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert "main thread" in str(found[0])


def test_a_program_that_listens_ends_by_itself(file: Path) -> None:
    code = "import signal, tenure\nsignal.signal(signal.SIGTERM, signal.SIG_DFL)  # measuring coverage ends by it\n"
    code += "tenure.should_preempt()\nprint('on', flush=True)\nwhile not tenure.should_preempt(): pass\n"
    code += "tenure.checkpointed('saved')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "on\n"
        program.terminate()
        assert program.wait(20) == 0
    assert tenure.last_checkpoint() == "saved"
