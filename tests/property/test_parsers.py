"""Whatever somebody types or sends, a parser reads it or says in one sentence why not: no other error, no number out of bounds.

Texts are drawn at random and, more often, out of the pieces that each grammar is made of, since random text hardly ever comes near one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenure.api.errors import ApiError
from tenure.api.routes import Routes, Target
from tenure.cli.sbatch import read_headers
from tenure.client.errors import BadRequest
from tenure.client.link import _Refusal
from tenure.client.words import after_of, bytes_of, gpus_of, limit_of, milli_of, moment_of, priority_of, since_of, span_of
from tenure.model.access import Permission
from tenure.model.amounts import format_bytes, format_milli, parse_bytes, parse_duration_ms, parse_milli
from tenure.model.gpu_kind import format_capability, parse_capability
from tenure.model.settings import PlanSettings
from tenure.optimize.words import read_policy
from tenure.policies.words import BadPolicy
from tenure.sim.faults import parse_faults
from tenure.sim.machines import parse_nodes
from tenure.sim.windows import window_spec
from tenure.sim.workload import BadWorkload
from tenure.wire.cursors import cursor_of, name_after, number_after
from tenure.wire.ids import format_indices, parse_indices, parse_ref
from tests.support.examples import examples

PIECES = (
    *"0123456789.,:;-_+/=%@*~[]()'\"\\ \t\n",
    *("1", "64", "999999999", "18446744073709551616", "1e9", "inf", "nan", "-0", "٣", "²", "é", "\0", "9" * 5000),
    *("8G", "1.5GiB", "512M", "1h", "30m", "2d", "1-02:03:04", "10:30", "tomorrow", "A100", "8.0+", "A100:80G:8.0", "last", "last~2"),
    *("0-99", "1,5,7-20:2", "%8", "ok", "any", "failed", "12_3", "12_[0-4,9]", "100x8xA100:80G,64c,512G", "n1,n2@2d+4h", "*@1d+2h:p"),
    *("default:wait_bonus=5", "portfolio:profile=green", "annealed:base=easy", "30d/2h", ",fail", "sjf-easy+fgd"),
)
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)

PARSERS: tuple[tuple[Callable[[str], Any], type[Exception]], ...] = (
    (parse_bytes, ValueError),
    (parse_milli, ValueError),
    (parse_duration_ms, ValueError),
    (parse_capability, ValueError),
    (parse_indices, ValueError),
    (parse_ref, ValueError),
    (gpus_of, BadRequest),
    (milli_of, BadRequest),
    (bytes_of, BadRequest),
    (span_of, BadRequest),
    (limit_of, BadRequest),
    (priority_of, BadRequest),
    (after_of, BadRequest),
    (moment_of, BadRequest),
    (since_of, BadRequest),
    (parse_nodes, BadWorkload),
    (window_spec, BadWorkload),
    (parse_faults, BadWorkload),
    (lambda text: read_policy(text, PlanSettings()), BadPolicy),
    (lambda text: number_after("jobs", text), ValueError),
    (lambda text: len(name_after("jobs", text)), ValueError),
)


@pytest.mark.parametrize("number", range(len(PARSERS)))
@settings(max_examples=examples(120), deadline=None)
@given(text=TEXTS)
@example(text="")
def test_a_text_is_read_or_refused_in_a_sentence(number: int, text: str) -> None:
    parse, refusal = PARSERS[number]
    try:
        found = parse(text)
    except refusal as error:
        found = str(error).strip()
    assert found != ""
    for value in found if isinstance(found, tuple) else (found,):
        assert not isinstance(value, int) or abs(value) < 2**63


AMOUNTS = st.integers(0, 2**50)


@settings(max_examples=examples(200), deadline=None)
@given(AMOUNTS)
def test_what_is_written_is_read_again(amount: int) -> None:
    assert parse_milli(format_milli(amount)) == amount
    assert abs(parse_bytes(format_bytes(amount)) - amount) <= amount // 10
    assert parse_capability(format_capability(amount % 200 + 1)) == amount % 200 + 1
    assert number_after("jobs", cursor_of("jobs", amount)) == amount


@settings(max_examples=examples(200), deadline=None)
@given(st.text(min_size=1, max_size=50), st.sampled_from(["jobs", "devices"]))
def test_a_cursor_is_read_by_its_own_list_alone(name: str, kind: str) -> None:
    cursor = cursor_of(kind, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert name_after(kind, cursor) == name
    with pytest.raises(ValueError, match="no cursor"):
        name_after("other", cursor)


@settings(max_examples=examples(100), deadline=None)
@given(st.sets(st.integers(0, 500), min_size=1, max_size=30), st.integers(0, 9))
def test_indices_are_written_as_they_are_read(indices: set[int], cap: int) -> None:
    ranges = tuple((index, index, 1) for index in sorted(indices))
    assert parse_indices(format_indices(ranges, cap)) == (ranges, cap)


FLAGS = (
    "--job-name",
    "-J",
    "--time",
    "-t",
    "--mem",
    "--gres",
    "--gpus",
    "-c",
    "--array",
    "--dependency",
    "--nodes",
    "-N",
    "--ntasks",
    "-n",
)
LINES = st.tuples(st.sampled_from((*FLAGS, "--export", "-x", "--", "=")), st.sampled_from(("=", " ", "")), TEXTS).map("".join)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(LINES | TEXTS, max_size=4))
def test_headers_of_a_script_are_honoured_or_refused_by_their_line(lines: list[str]) -> None:
    try:
        read_headers("#!/bin/sh\n" + "\n".join(f"#SBATCH {line}" for line in lines) + "\necho\n")
    except BadRequest as error:
        said = error.message
    else:
        said = "honoured"
    assert said


routes = Routes("")


@routes.get("/{ref}", needs=Permission.PUBLIC)
async def _endpoint(_request: Any, ref: str, limit: int = 1, name: str = "") -> Any:
    """An endpoint of nothing."""


TARGET = Target(next(iter(routes)))
FIELDS = st.sampled_from(["type", "code", "detail", "remedy", "details"])


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=60) | TEXTS.map(lambda text: f"limit={text}&name={text}".encode()))
def test_a_query_is_read_or_refused(query: bytes) -> None:
    try:
        found = TARGET.arguments({"ref": "1"}, query)
    except ApiError as error:
        found = {"ref": error.status, "limit": 0, "name": ""}
    assert found["ref"] in ("1", 400)
    assert set(found) == {"ref", "limit", "name"}
    assert isinstance(found["limit"], int)
    assert abs(found["limit"]) <= 10**18


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=80) | st.dictionaries(FIELDS, st.none() | TEXTS).map(msgspec.json.encode))
def test_a_problem_document_is_read_or_is_none(payload: bytes) -> None:
    try:
        found = msgspec.json.decode(payload, type=_Refusal)
    except msgspec.MsgspecError:
        return
    assert isinstance(found.code, str)
