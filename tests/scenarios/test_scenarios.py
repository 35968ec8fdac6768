"""Every ``.scenario`` file beside this one, and every scenario of the documentation, holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure.testing.expectations import check
from tests.docs.fences import fences

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.scenario"))
PAGE = HERE.parents[1] / "docs" / "reference" / "scenarios.md"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    assert check(path.read_text()).failures == ()


@pytest.mark.parametrize("fence", fences(PAGE.read_text(), "scenario"), ids=lambda fence: f"line {fence.line}")
def test_scenario_of_the_documentation(fence: object) -> None:
    text, options = getattr(fence, "text", ""), getattr(fence, "options", "")
    failures = check(text).failures
    assert bool(failures) == (options == "fails"), failures


def test_all_files_are_found() -> None:
    assert len(FILES) >= 25
