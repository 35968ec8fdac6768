"""The audit log is a chain: one row that is altered, taken out, put in or moved is seen, wherever it is and whatever it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.store.audit import Record, breaks, link_of

TEXTS = st.text(max_size=6)
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-1, 5), TEXTS, TEXTS, st.integers(0, 3), TEXTS, st.integers(1, 3), TEXTS, TEXTS, TEXTS),
    min_size=1,
    max_size=8,
)
Ends = tuple[int, str, int, str]


def chained(rows: list[tuple[object, ...]], floor: int = 0, before: str = "") -> tuple[list[Record], Ends]:
    """The rows as a store would keep them, after others that are gone, and the ends that it remembers."""
    found: list[Record] = []
    for number, row in enumerate(rows, floor + 1):
        full = (number, *row)
        found.append(Record(*full, link_of(found[-1].hash if found else before, full)))  # type: ignore[arg-type]
    return found, (found[-1].seq, found[-1].hash, floor, before)


def holds(rows: list[Record], ends: Ends) -> bool:
    """Whether no break is found."""
    return not list(breaks(iter(rows), ends))


@given(ROWS, st.integers(0, 3), TEXTS)
def test_a_chain_holds_also_without_its_beginning(rows: list[tuple[object, ...]], floor: int, before: str) -> None:
    found, ends = chained(rows, floor, before)
    assert holds(found, ends)
    for gone in range(len(found)):
        assert holds(found[gone + 1 :], (*ends[:2], found[gone].seq, found[gone].hash))


@given(ROWS, st.data())
def test_any_single_change_is_seen(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    found, ends = chained(rows)
    at = data.draw(st.integers(0, len(found) - 1))
    column = data.draw(st.integers(0, len(Record._fields) - 1))
    value = found[at][column]
    other = data.draw(st.integers(-9, 99) if isinstance(value, int) else TEXTS)
    changed = found[at]._replace(**{Record._fields[column]: other})
    if changed != found[at]:
        assert not holds([*found[:at], changed, *found[at + 1 :]], ends)
    assert not holds([*found[:at], *found[at + 1 :]], ends)
    assert not holds([*found[: at + 1], found[at], *found[at + 1 :]], ends)


@given(ROWS.filter(lambda rows: len(rows) > 1), st.data())
def test_rows_that_were_exchanged_are_seen(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    found, ends = chained(rows)
    first = data.draw(st.integers(0, len(found) - 2))
    second = data.draw(st.integers(first + 1, len(found) - 1))
    found[first], found[second] = found[second], found[first]
    assert not holds(found, ends)
    contents = [row[1:-1] for row in found]
    renumbered = [Record(number, *content, row.hash) for number, (content, row) in enumerate(zip(contents, found, strict=True), 1)]
    if contents[first] != contents[second]:
        assert not holds(renumbered, ends)


@given(ROWS, ROWS)
def test_another_chain_is_not_taken_for_this_one(rows: list[tuple[object, ...]], others: list[tuple[object, ...]]) -> None:
    _, ends = chained(rows)
    found, _ = chained(others)
    assert holds(found, ends) is (rows == others)
