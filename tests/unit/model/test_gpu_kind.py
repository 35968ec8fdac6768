"""Kinds of GPU: a name, or a least compute capability."""

from __future__ import annotations

import pytest

from tenure.model.gpu_kind import format_capability, least_capability, parse_capability


@pytest.mark.parametrize(
    ("kind", "least"), [("8.0+", 80), ("9.0+", 90), ("12.1+", 121), ("a100", 0), ("", 0), ("8.0", 0), ("8+", 0), ("T4+", 0)]
)
def test_only_a_number_with_a_plus_is_a_capability(kind: str, least: int) -> None:
    assert least_capability(kind) == least


def test_a_capability_is_written_as_it_is_read() -> None:
    assert [format_capability(parse_capability(text)) for text in ("7.5", " 10.0 ")] == ["7.5", "10.0"]
    assert not format_capability(0)


@pytest.mark.parametrize("text", ["8", "eight", "8.01", ""])
def test_what_is_no_capability_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 8\.0"):
        parse_capability(text)
