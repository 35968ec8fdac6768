"""The Standard Workload Format: what a line means, what is skipped, and what a broken one says."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.model.amounts import Amounts
from tenure.model.shape import Shape
from tenure.sim.formats.swf import read_swf
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, Workload
from tests.unit.sim.outcome import outcome

HEADER = "; Version: 2.2\n; MaxNodes: 8\n; MaxProcs: 16\n"


def line(
    id_: int = 1, submit: int | str = 0, run: int | str = 10, allocated: int = -1, wanted: int = 4, asked: int = 60, status: int = 1
) -> str:
    return f"{id_} {submit} -1 {run} {allocated} -1 -1 {wanted} {asked} -1 {status} 7 -1 -1 3 -1 -1 -1\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.swf"


def test_a_line_is_a_job(log: Path) -> None:
    log.write_text(HEADER + line(5, submit=100) + line(6, submit=130, run=20))
    workload = read_swf(str(log))
    first, second = workload.jobs
    assert (first.number, first.name, first.submitted_ms, first.run_ms, first.requested_ms) == (1, "5", 0, 10_000, 60_000)
    assert (first.user, first.project, first.shape) == ("7", "3", Shape(Amounts(cpu_milli=4000)))
    assert (second.number, second.submitted_ms, second.run_ms) == (2, 30_000, 20_000)
    assert first.shape is second.shape
    assert workload.skipped == {}


def test_the_pool_is_one_node_of_the_headers_processors(log: Path) -> None:
    log.write_text(HEADER + line())
    (node,) = read_swf(str(log)).nodes
    assert (node.capacity.cpu_milli, node.devices) == (16_000, ())
    assert read_swf(str(log), parse_nodes("1x5c")).nodes[0].capacity.cpu_milli == 5_000


def test_nodes_stand_in_where_the_header_has_no_processors(log: Path) -> None:
    log.write_text("; MaxNodes: 256\n" + line())
    assert read_swf(str(log)).nodes[0].capacity.cpu_milli == 256_000
    log.write_text("; MaxProcs: unknown\n" + line())
    with pytest.raises(BadWorkload, match="give the machine as nodes, such as 1x128c"):
        read_swf(str(log))


def test_allocated_processors_stand_in_for_requested_ones(log: Path) -> None:
    log.write_text(HEADER + line(wanted=-1, allocated=3))
    assert read_swf(str(log)).jobs[0].shape.amounts.cpu_milli == 3000


def test_unknown_request_and_user_are_none(log: Path) -> None:
    log.write_text(HEADER + "1 0 -1 5 1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n")
    (job,) = read_swf(str(log)).jobs
    assert (job.requested_ms, job.user, job.project) == (0, "", "")


def test_jobs_come_in_the_order_of_submission(log: Path) -> None:
    log.write_text(HEADER + line(3, submit=9) + line(1, submit=5) + line(2, submit=9))
    assert [(job.number, job.name, job.submitted_ms) for job in read_swf(str(log)).jobs] == [
        (1, "1", 0),
        (2, "3", 4000),
        (3, "2", 4000),
    ]


def test_what_is_no_job_is_counted_by_reason(log: Path) -> None:
    bad = [line(run=-1), line(wanted=0), line(submit=-1), line(status=3), line(wanted=17)]
    log.write_text(HEADER + "".join(bad) + line(9, run=0))
    workload = read_swf(str(log))
    assert [job.name for job in workload.jobs] == ["9"]
    assert workload.skipped == {
        "no run time": 1,
        "no processors": 1,
        "no submit time": 1,
        "part of a job that is listed whole": 1,
        "more processors than the machine": 1,
    }


def test_on_given_nodes_a_wide_job_is_a_gang(log: Path) -> None:
    log.write_text(HEADER + line(1, wanted=4) + line(2, wanted=12) + line(3, wanted=33))
    workload = read_swf(str(log), nodes=parse_nodes("4x8c"))
    assert [(job.shape.tasks, job.shape.amounts.cpu_milli) for job in workload.jobs] == [(1, 4000), (2, 6000)]
    assert workload.skipped == {"more processors than the machine": 1}


def test_seconds_may_have_a_fraction(log: Path) -> None:
    log.write_text(HEADER + line(submit="0.25", run="1.5") + line(submit="1.0"))
    workload = read_swf(str(log))
    assert (workload.jobs[0].run_ms, workload.jobs[1].submitted_ms) == (1500, 750)


def test_a_compressed_log_is_known_by_its_first_bytes(log: Path) -> None:
    log.write_bytes(gzip.compress((HEADER + line()).encode()))
    assert len(read_swf(str(log)).jobs) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 2 3\n", "line 4: 3 fields where the format has 18"),
        (line(submit="soon"), "line 4: the submit time is 'soon'"),
        (line(run="1e300"), "line 4: the run time is '1e300'"),
        (line(run="nan"), "the run time is 'nan'"),
        (line(run="1_0"), "the run time is '1_0'"),
        (line(wanted=10**9), "requested processors is '1000000000'"),
        (line(submit=-5), "the submit time is '-5'"),
    ],
)
def test_a_broken_line_says_where_and_why(log: Path, text: str, told: str) -> None:
    log.write_text(HEADER + text)
    with pytest.raises(BadWorkload, match=told):
        read_swf(str(log))


def test_an_empty_log_is_an_empty_workload(log: Path) -> None:
    log.write_text(HEADER)
    assert read_swf(str(log)).jobs == ()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(-2, 10**20), st.floats(), st.text(max_size=8)), min_size=16, max_size=20), st.binary(max_size=30))
def test_a_mangled_log_is_read_or_refused_with_a_reason(log: Path, fields: list[object], tail: bytes) -> None:
    log.write_bytes(HEADER.encode() + " ".join(map(str, fields)).encode(errors="replace") + b"\n" + tail)
    found = outcome(lambda: read_swf(str(log)))
    assert isinstance(found, Workload) or str(log) in found
