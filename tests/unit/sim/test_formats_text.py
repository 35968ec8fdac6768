"""Reading any log: limits, damaged files, and numbers that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tenure.sim.formats import text
from tenure.sim.formats.gangs import even_tasks
from tenure.sim.formats.text import lines, milliseconds, table, whole
from tenure.sim.workload import BadWorkload


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_lines_are_numbered_across_blocks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_CHUNK", 5)
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\nfour and more\r\nlast")
    assert list(lines(str(file))) == [(1, "one"), (2, "two"), (3, ""), (4, "four and more"), (5, "last")]


def test_bytes_that_are_no_text_do_not_stop_the_reading(file: Path) -> None:
    file.write_bytes(b"; caf\xe9\nnext\n")
    assert [line for _, line in lines(str(file))] == ["; caf\ufffd", "next"]


def test_a_damaged_gzip_file_says_so(file: Path) -> None:
    packed = gzip.compress(b"line\n" * 1000)
    for broken in (packed[:-10], packed[:30] + b"\x00\xff" * 8 + packed[46:], packed[:12]):
        file.write_bytes(broken)
        with pytest.raises(BadWorkload, match="gzip file is damaged"):
            list(lines(str(file)))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadWorkload, match="cannot be read: No such file"):
        list(lines(str(tmp_path / "missing")))
    with pytest.raises(BadWorkload, match="cannot be read: Is a directory"):
        list(lines(str(tmp_path)))
    with pytest.raises(BadWorkload, match="cannot be read: embedded null byte"):
        list(lines("a\0b"))


def test_an_endless_line_is_refused_before_it_is_read(file: Path) -> None:
    file.write_bytes(gzip.compress(b"x" * 10_000_000))
    with pytest.raises(BadWorkload, match="a line of more than 65,536 bytes"):
        list(lines(str(file)))


def test_too_many_records_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_RECORDS", 10)
    file.write_text("x\n" * 1010)
    assert len(list(lines(str(file)))) == 1010
    file.write_text("x\n" * 1011)
    with pytest.raises(BadWorkload, match="more than 10 records"):
        list(lines(str(file)))


def test_a_table_gives_the_columns_asked_for(file: Path) -> None:
    file.write_text('b, a ,c\n1,2,3\n\n4,"5,5",6\n')
    assert list(table(str(file), ("a", "b"), tuple, ("none", "c"))) == [("2", "1", "", "3"), ("5,5", "4", "", "6")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1: the columns a, b are missing"),
        ("a,c\n", "line 1: the columns b are missing"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 fields where the header names 2"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a,b\n1,x\n", "line 2: b is 'x', not a whole number"),
    ],
)
def test_a_bad_table_says_where(file: Path, content: str, told: str) -> None:
    file.write_text(content)
    with pytest.raises(BadWorkload, match=told):
        list(table(str(file), ("a", "b"), lambda row: whole(row[1], "b")))


def test_numbers_are_whole_and_bounded() -> None:
    assert [whole(text, "n") for text in ("0", "12", "12.0")] == [0, 12, 12]
    for bad in ("", "-1", "1.5", "1_000", "inf", "nan", "9" * 20, "9" * 5000, "1e400", "x"):
        with pytest.raises(ValueError, match="n is '"):
            whole(bad, "n")


def test_seconds_become_milliseconds() -> None:
    assert [milliseconds(text, "t") for text in ("3", "0.5", "2029855.0000000002")] == [3000, 500, 2_029_855_000]
    for bad in ("", "-1", "inf", "nan", "1_0.5", "1e30", "x"):
        with pytest.raises(ValueError, match="t is '"):
            milliseconds(bad, "t")


@pytest.mark.parametrize(
    ("total", "largest", "tasks"),
    [(8, 8, (1, 8)), (12, 8, (2, 6)), (128, 8, (16, 8)), (13, 8, (13, 1)), (20, 8, (4, 5)), (1, 1, (1, 1))],
)
def test_a_wide_job_is_as_few_equal_tasks_as_possible(total: int, largest: int, tasks: tuple[int, int]) -> None:
    assert even_tasks(total, largest) == tasks
