"""Amounts: what people write, exactly, and what a table shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.amounts import (
    GIB,
    KIB,
    MAX_AMOUNT,
    MIB,
    RESOURCES,
    Amounts,
    format_bits,
    format_bytes,
    format_duration_ms,
    format_milli,
    parse_bits,
    parse_bytes,
    parse_duration_ms,
    parse_milli,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("17", 17),
        ("8G", 8 * GIB),
        ("8g", 8 * GIB),
        ("512MiB", 512 * MIB),
        ("512MB", 512 * MIB),
        ("1.5T", 1536 * GIB),
        ("64 K", 64 * KIB),
        ("3B", 3),
        ("0.5P", 512 * 1024 * GIB),
    ],
)
def test_sizes(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


def test_a_bare_size_is_in_the_default_unit() -> None:
    assert parse_bytes("64", "m") == 64 * MIB
    assert parse_bytes("64B", "m") == 64
    assert parse_bytes("64K", "m") == 64 * KIB


@pytest.mark.parametrize("text", ["", "G", "-1G", "1,5G", "8GG", "eight", "1e3", "0x10", "9999999999P"])
def test_what_is_no_size_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_bytes(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (512, "512"), (8 * GIB, "8G"), (1536 * MIB, "1.5G"), (1024**5, "1P"), (1024**4 * 3, "3T"), (KIB, "1K"), (-MIB, "-1M")],
)
def test_sizes_are_shown_short(amount: int, text: str) -> None:
    assert format_bytes(amount) == text


@given(st.integers(0, 1023), st.sampled_from("KMGT"))
def test_a_shown_whole_size_reads_as_itself(count: int, unit: str) -> None:
    amount = parse_bytes(f"{count}{unit}")
    assert parse_bytes(format_bytes(amount)) == amount


@pytest.mark.parametrize(("text", "amount"), [("2", 2000), ("0.5", 500), ("250m", 250), ("1.001", 1001), (" 4 ", 4000), ("0", 0)])
def test_counts(text: str, amount: int) -> None:
    assert parse_milli(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "0.0001", "0.5m", "1.", ".5", "two", "9" * 20])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_milli(text)


@given(st.integers(0, 10**9))
def test_a_shown_count_reads_as_itself(amount: int) -> None:
    assert parse_milli(format_milli(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount_ms"),
    [
        ("90s", 90_000),
        ("2h30m", 9_000_000),
        ("2h 30m", 9_000_000),
        ("1d", 86_400_000),
        ("350ms", 350),
        ("1.5s", 1500),
        ("1d2h3m4s5ms", 93_784_005),
        ("30", 1_800_000),
        ("2:30", 150_000),
        ("1:02:03", 3_723_000),
        ("1-0", 86_400_000),
        ("1-2:03", 93_780_000),
        ("1-2:03:04", 93_784_000),
        ("0", 0),
    ],
)
def test_durations(text: str, amount_ms: int) -> None:
    assert parse_duration_ms(text) == amount_ms


@pytest.mark.parametrize("amount_ms", [1, 999, 1000, 61_000, 3_660_000, 90_000_000, 86_400_000 * 400])
def test_a_duration_as_it_is_shown_may_be_typed(amount_ms: int) -> None:
    assert parse_duration_ms(format_duration_ms(amount_ms)) == amount_ms


@pytest.mark.parametrize("text", ["", "  ", "-5", "1h2d", "5 minutes", "1:2:3:4", "1-", "99999999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("amount_ms", "text"),
    [
        (0, "0s"),
        (350, "350ms"),
        (42_000, "42s"),
        (9_000_000, "2h 30m"),
        (100_800_000, "1d 4h"),
        (86_400_000, "1d"),
        (93_784_000, "1d 2h"),
    ],
)
def test_durations_are_shown_in_two_units(amount_ms: int, text: str) -> None:
    assert format_duration_ms(amount_ms) == text


def test_nothing_larger_than_can_be_counted_is_read() -> None:
    assert parse_bytes(str(MAX_AMOUNT)) == MAX_AMOUNT
    with pytest.raises(ValueError, match="larger than anything"):
        parse_bytes(str(MAX_AMOUNT + 1))


vectors = st.builds(Amounts, *[st.integers(0, 10**12)] * len(RESOURCES))


@given(vectors, vectors)
def test_amounts_are_vectors(one: Amounts, other: Amounts) -> None:
    assert one + other - other == one
    assert one.fits_in(one + other)
    assert one.times(3) == one + one + one
    assert one.fits_in(other) == all(a <= b for a, b in zip(one.as_tuple(), other.as_tuple(), strict=True))


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("100M", 10**8), ("2.5G", 2_500_000_000), ("10Gbit/s", 10**10), ("1 tbps", 10**12), ("7bits", 7)]
)
def test_bandwidths_are_decimal(text: str, amount: int) -> None:
    assert parse_bits(text) == amount
    assert parse_bits(format_bits(amount)) == amount


@pytest.mark.parametrize("text", ["", "fast", "10GB", "10Gi", "-1", "1e9", "99999999T"])
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bandwidth|larger"):
        parse_bits(text)
