"""The audit log as a file: what was written passes, also in parts and without its beginning; whatever else was done to it is found."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.client.auditing import Export, check
from tenure.client.errors import BadRequest, TenureError
from tenure.wire.chain import link_of
from tenure.wire.people import AuditMark, AuditReply, AuditView

TEXTS = st.text(max_size=5)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
DETAILS = st.dictionaries(TEXTS, VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(TEXTS, VALUES, max_size=3), max_size=3)
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-1, 5), TEXTS, TEXTS, st.integers(-1, 3), TEXTS, st.integers(1, 3), TEXTS, TEXTS, DETAILS),
    min_size=1,
    max_size=6,
)


class Log:
    """A log as a daemon has it, asked page by page. ``gone``: so many rows have become too old."""

    def __init__(self, rows: list[tuple[Any, ...]], gone: int = 0) -> None:
        self.all: list[AuditView] = []
        digest = ""
        for number, row in enumerate(rows, 1):
            at_ms, uid, user, via, token, what, count, target, outcome, detail = row
            columns = (number, at_ms, uid, user, via, token, what, count, target, outcome)
            digest = link_of(digest, (*columns, msgspec.json.encode(detail).decode()))
            view = AuditView(
                **dict(
                    zip(("seq", "at_ms", "uid", "user", "via", "token", "what", "count", "target", "outcome"), columns, strict=True)
                ),
                detail=detail,
                hash=digest,
            )
            self.all.append(view)
        self.gone = gone

    def audit_after(self, after: int, limit: int = 2) -> AuditReply:
        """A page."""
        found = [view for view in self.all if view.seq > max(after, self.gone)][:limit]
        return AuditReply(entries=found, floor=self.mark(self.gone), last=self.mark(len(self.all)))

    def mark(self, seq: int) -> AuditMark:
        """The place of a row."""
        return AuditMark(seq, self.all[seq - 1].hash if seq else "")

    def exported(self, after: int = 0) -> list[bytes]:
        """The lines of an export in which nothing was found."""
        export = Export(self, after)  # type: ignore[arg-type]
        lines = list(export.lines())
        assert not export.wrong
        return lines


def is_found(lines: list[bytes], **known: str) -> str:
    """What is said of a file; empty where it passes."""
    try:
        check(lines, **known)
    except TenureError as error:
        return error.message if error.code == "audit_broken" and error.message.startswith("line ") else pytest.fail(f"{error!r}")
    return ""


@given(ROWS, st.data())
def test_what_was_written_passes_whole_in_parts_and_without_its_beginning(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    log = Log(rows, data.draw(st.integers(0, len(rows))))
    lines = log.exported()
    extent = check(lines)
    assert (extent.after, extent.last, extent.rows) == (log.gone, len(rows), len(rows) - log.gone)
    middle = data.draw(st.integers(log.gone, len(rows)))
    before, rest = lines[: 1 + middle - log.gone], log.exported(middle)
    assert check([*before, *rest]) == extent
    assert check(rest, begins=log.mark(middle).hash, head=extent.hash).rows == len(rows) - middle
    assert not is_found(lines, head=log.mark(middle).hash)


@given(ROWS, st.data())
def test_any_byte_that_is_another_one_is_found(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    whole = bytearray(b"".join(Log(rows).exported()))
    assert not is_found(list(io.BytesIO(whole)))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    assert is_found(list(io.BytesIO(whole)))


@given(ROWS, st.data())
def test_lines_that_were_taken_out_doubled_or_moved_are_found(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    lines = Log(rows).exported()
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1))
    assert is_found([*lines[:at], *lines[at + 1 :]])
    assert is_found(lines[:at])
    if 0 < at < len(lines) - 1:
        assert is_found([*lines[: at + 1], *lines[at:]])
    moved = list(lines)
    moved[at], moved[other] = moved[other], moved[at]
    assert bool(is_found(moved)) is (moved != lines)


@given(ROWS, st.integers(0, 5))
def test_a_log_that_was_cut_off_and_exported_anew_lacks_the_row_that_was_noted(rows: list[tuple[Any, ...]], kept: int) -> None:
    log = Log(rows)
    noted = log.mark(len(rows)).hash
    shorter = Log(rows[:kept])
    assert bool(is_found(shorter.exported(), head=noted)) is (kept < len(rows))
    assert is_found(log.exported(), begins=noted)


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from((b'{"audit":1,"seq":0,"hash":""}\n', b"[" * 3000, b"{}\n", b"\n")), max_size=5)
)
def test_what_is_no_export_is_refused_in_a_sentence(lines: list[bytes]) -> None:
    is_right = lines == [b'{"audit":1,"seq":0,"hash":""}\n'] * len(lines) and len(lines) > 1
    assert bool(is_found(lines)) is not is_right


@given(ROWS, st.data())
def test_a_log_that_does_not_hold_is_written_all_the_same_and_named(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    log = Log(rows)
    view = data.draw(st.sampled_from(log.all))
    view.outcome += "!"
    export = Export(log)  # type: ignore[arg-type]
    lines = list(export.lines())
    assert export.wrong == f"row {view.seq}: the row was altered, or the one before it was"
    assert len(lines) == len(rows) + 2
    assert is_found(lines) == f"line {view.seq + 1}, row {view.seq}: the row was altered, or the one before it was"


def test_an_export_begins_where_there_is_something() -> None:
    row = (1, 0, "amy", "socket", 0, "submit", 1, "1", "ok", {})
    log = Log([row] * 5, gone=3)
    for after in (1, 2, 6, 99):
        with pytest.raises(BadRequest):
            list(Export(log, after).lines())  # type: ignore[arg-type]
    assert [len(log.exported(after)) for after in (0, 3, 4, 5)] == [4, 4, 3, 2]


@pytest.mark.parametrize("gone", [7, 9])
def test_rows_that_become_too_old_on_the_way_are_no_break(gone: int) -> None:
    row = (1, 0, "amy", "socket", 0, "submit", 1, "1", "ok", {})
    log = Log([row] * 9)
    lines = Export(log).lines()  # type: ignore[arg-type]
    next(lines), next(lines)
    log.gone = gone
    with pytest.raises(TenureError, match="too old") as caught:
        list(lines)
    assert caught.value.code == "audit_pruned"
