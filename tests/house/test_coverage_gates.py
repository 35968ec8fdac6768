"""The gates themselves: they count lines and branches, and they fail when a share is too small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.house.coverage_gates import DECIDING, main, share, weakest


def summary(lines: int, covered: int, branches: int = 0, taken: int = 0) -> dict[str, Any]:
    return {
        "summary": {
            "num_statements": lines,
            "covered_lines": covered,
            "missing_lines": lines - covered,
            "num_branches": branches,
            "covered_branches": taken,
            "percent_covered": 100.0 * (covered + taken) / (lines + branches),
        }
    }


FILES = {"src/tenure/core/a.py": summary(80, 80, 20, 18), "/x/src/tenure/store/b.py": summary(100, 50)}


def test_a_share_counts_lines_and_branches() -> None:
    assert share(FILES, DECIDING) == pytest.approx(98.0)
    assert share(FILES) == pytest.approx(100 * 148 / 200)
    assert share({}) == 100.0


def test_the_weakest_file_comes_first() -> None:
    assert weakest(FILES, 1) == [(50.0, "src/tenure/store/b.py")]


@pytest.mark.parametrize(("core", "everything", "status"), [(98, 74, 0), (98.1, 74, 1), (98, 75, 1)])
def test_a_share_below_its_gate_fails(tmp_path: Path, core: float, everything: float, status: int) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"files": FILES}))
    assert main([str(report), "--core", str(core), "--all", str(everything)]) == status
