"""Ranges of bytes: those of the standard, and what is no range is not heeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.api.errors import ApiError
from tenure.api.ranges import range_of


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("", None),
        ("bytes=-", None),
        ("bytes=9-3", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-9", None),
    ],
)
def test_ranges_of_a_hundred_bytes(header: str, found: tuple[int, int] | None) -> None:
    read = range_of(header, 100)
    assert (read and read[:2]) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=400-500"])
def test_what_is_not_there_is_refused_with_the_size(header: str) -> None:
    with pytest.raises(ApiError) as refused:
        range_of(header, 100)
    assert (refused.value.status, refused.value.headers["Content-Range"]) == (416, "bytes */100")


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9]{0,16}-[0-9]{0,16}", fullmatch=True), st.integers(0, 10**6))
def test_whatever_is_said_is_a_part_of_it_or_refused(header: str, size: int) -> None:
    try:
        found = range_of(header, size)
    except ApiError:
        return
    assert found is None or 0 <= found.start < found.end <= size
