"""The grammar of ids and of index lists: what is understood, and that the rest is refused with one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.wire.ids import JobRef, expand, format_id, format_indices, parse_indices, parse_ref


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        ("12", [JobRef(12)]),
        (" 12 ", [JobRef(12)]),
        ("12_3", [JobRef(12, indices=(3,))]),
        ("12_[0-2,9]", [JobRef(12, indices=(0, 1, 2, 9))]),
        ("12-14", [JobRef(12), JobRef(13), JobRef(14)]),
        ("last", [JobRef(last=0)]),
        ("last~2", [JobRef(last=2)]),
    ],
)
def test_what_names_a_job(text: str, refs: list[JobRef]) -> None:
    assert parse_ref(text) == refs


@pytest.mark.parametrize("text", ["", "x", "12_", "last~", "last-1", "12;13", "-1", "12_[0-", "0x10"])
def test_what_names_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not name a job"):
        parse_ref(text)


def test_a_range_that_names_none_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="'14-12' ends before it begins; write the smaller id first"):
        parse_ref("14-12")
    with pytest.raises(ValueError, match="'1-999999999' names more than 100000 jobs; write a shorter one"):
        parse_ref("1-999999999")


@pytest.mark.parametrize(
    ("text", "ranges", "cap"),
    [
        ("0-99%8", ((0, 99, 1),), 8),
        ("1,5,7-20:2", ((1, 1, 1), (5, 5, 1), (7, 20, 2)), 0),
        ("3", ((3, 3, 1),), 0),
    ],
)
def test_index_lists(text: str, ranges: tuple[tuple[int, int, int], ...], cap: int) -> None:
    assert parse_indices(text) == (ranges, cap)


@pytest.mark.parametrize("text", ["", "a", "5-1", "1,1", "0-9,5", "0-9%0", "0-9%", "0-9%x", "0-99999999", "1-5:0", "0-", "9999999999"])
def test_index_lists_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".{20,}"):
        parse_indices(text)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20, unique=True), st.integers(0, 50))
def test_what_is_formatted_is_read_back(indices: list[int], cap: int) -> None:
    ranges = tuple((index, index, 1) for index in indices)
    assert parse_indices(format_indices(ranges, cap)) == (ranges, cap)
    assert expand(ranges) == indices


def test_an_element_is_named_after_its_array() -> None:
    assert format_id(40, array_id=12, index=3) == "12_3"
    assert format_id(40) == "40"
