"""``tenure.report``: the latest values once a second, the rest at the end, and never an error for want of anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.client import reporting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """A job whose seconds the test counts."""
    now = [100.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(reporting, "_reporter", reporting._Reporter())
    monkeypatch.setattr(reporting.atexit, "register", lambda _call: None)
    monkeypatch.setenv(reporting.VARIABLE, str(tmp_path / "7.0"))
    return now


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (tmp_path / "7.0").read_text().splitlines()]
    assert all(line.pop("at_ms") > 1_600_000_000_000 for line in found)
    return found


def test_values_of_a_second_are_one_line(clock: list[float], tmp_path: Path) -> None:
    for step in range(5):
        assert tenure.report(step=step, loss=1 / (step + 1))
    assert lines(tmp_path) == [{"step": 0.0, "loss": 1.0}]
    clock[0] += 1.0
    tenure.report(throughput=9)
    assert lines(tmp_path)[1] == {"step": 4.0, "loss": 0.2, "throughput": 9.0}
    tenure.report(step=9)
    reporting._reporter.flush()
    reporting._reporter.flush()
    assert lines(tmp_path)[2:] == [{"step": 9.0}]


def test_anything_like_a_number_will_do_and_nothing_else(clock: list[float], tmp_path: Path) -> None:
    class Tensor:
        def __float__(self) -> float:
            return 0.25

    assert tenure.report(loss=Tensor(), broken=float("nan"))
    assert lines(tmp_path) == [{"loss": 0.25}]
    with pytest.raises(ValueError, match="low"):
        tenure.report(loss="low")


def test_outside_of_a_job_nothing_happens(clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reporting.VARIABLE)
    assert tenure.report(loss=1) is False
    assert os.listdir(tmp_path) == []


def test_no_room_is_no_error(clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(reporting.VARIABLE, str(tmp_path / "gone" / "7.0"))
    assert tenure.report(loss=1) is False
    monkeypatch.setenv(reporting.VARIABLE, str(tmp_path / "7.0"))
    monkeypatch.setattr(reporting, "MOST_BYTES", 0)
    (tmp_path / "7.0").write_text('{"loss":5,"at_ms":1700000000000}\n')
    clock[0] += 1.0
    assert tenure.report(loss=1) is False
    assert lines(tmp_path) == [{"loss": 5}]


def test_the_end_of_a_program_and_of_its_children_are_not_lost(tmp_path: Path) -> None:
    program = """
import os, tenure
tenure.report(step=1)
tenure.report(step=2)
child = os.fork()
if not child:
    tenure.report(child=1)
    tenure.report(child=2)
    raise SystemExit
os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, reporting.VARIABLE: str(tmp_path / "7.0")})
    assert lines(tmp_path) == [{"step": 1.0}, {"child": 1.0}, {"child": 2.0}, {"step": 2.0}]
