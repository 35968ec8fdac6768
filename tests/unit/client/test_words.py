"""What people write for GPUs, dependencies, priorities and moments."""

from __future__ import annotations

from datetime import datetime

import pytest

from tenure.client import words
from tenure.client.errors import BadRequest
from tenure.client.words import Gpus
from tenure.wire.dto import AfterRef


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("2", Gpus(2000)),
        (1, Gpus(1000)),
        (0.5, Gpus(500)),
        ("0.25", Gpus(250)),
        ("500m", Gpus(500)),
        ("a100:2", Gpus(2000, "a100")),
        ("A100", Gpus(1000, "A100")),
        ("gpu:2", Gpus(2000)),
        ("gpu:a100:2", Gpus(2000, "a100")),
        ("rtx-4090:0.5", Gpus(500, "rtx-4090")),
        ("gpu", Gpus(1000)),
        ("4090:2", Gpus(2000, "4090")),
        ("0", Gpus(0)),
        ("a100:0", Gpus(0)),
    ],
)
def test_gpus(text: str, gpus: Gpus) -> None:
    assert words.gpus_of(text) == gpus


@pytest.mark.parametrize("text", ["", "1.5", "a100:x", "a100:1:2", "-1", "a100:", ":2", "gpu:", "2:a100", "1,2"])
def test_gpus_that_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        words.gpus_of(text)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("12", [AfterRef(job="12")]),
        ("12:any", [AfterRef(job="12", condition="any")]),
        ("last:failed", [AfterRef(job="last", condition="failed")]),
        ("12_3:ok,13", [AfterRef(job="12_3"), AfterRef(job="13")]),
        (
            "afterok:1:2,afterany:3",
            [AfterRef(job="1"), AfterRef(job="2"), AfterRef(job="3", condition="any")],
        ),
        ("afternotok:7", [AfterRef(job="7", condition="failed")]),
    ],
)
def test_after(text: str, after: list[AfterRef]) -> None:
    assert words.after_of(text) == after


@pytest.mark.parametrize(
    "text", ["", "x", "12:maybe", "after:12", "singleton", "afterok:1?afterok:2", "afterok", "12:ok:13", "aftercorr:1"]
)
def test_after_that_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        words.after_of(text)


@pytest.mark.parametrize(
    ("text", "level"), [("1", 1), (10, 10), ("low", 2), ("Normal", 5), ("medium", 5), ("high", 7), ("critical", 9)]
)
def test_priority(text: str, level: int) -> None:
    assert words.priority_of(text) == level


@pytest.mark.parametrize("text", ["0", "11", "-1", "urgent", ""])
def test_priority_that_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="1 to 10"):
        words.priority_of(text)


@pytest.mark.parametrize(
    ("text", "limit"), [("90s", 90_000), ("30", 1_800_000), ("2:00:00", 7_200_000), ("1-0", 86_400_000), (90, 90_000), (1.5, 1500)]
)
def test_limit(text: str, limit: int) -> None:
    assert words.limit_of(text) == limit


@pytest.mark.parametrize("text", ["0", "UNLIMITED", "10ms", "soon", 0.1])
def test_limit_that_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        words.limit_of(text)


NOON = datetime(2026, 1, 31, 12, 0).astimezone()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("+2h", (2026, 1, 31, 14, 0)),
        ("now+2hours", (2026, 1, 31, 14, 0)),
        ("now+1day", (2026, 2, 1, 12, 0)),
        ("now+120", (2026, 1, 31, 12, 2)),
        ("+30", (2026, 1, 31, 12, 30)),
        ("16:00", (2026, 1, 31, 16, 0)),
        ("9:30", (2026, 2, 1, 9, 30)),
        ("2026-03-01", (2026, 3, 1, 0, 0)),
        ("2026-03-01T08:15", (2026, 3, 1, 8, 15)),
    ],
)
def test_moments(text: str, at: tuple[int, ...]) -> None:
    assert words.moment_of(text, NOON.timestamp()) == int(datetime(*at).astimezone().timestamp() * 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "soon", "25:00", "+x", "2026-13-01"])
def test_moments_that_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        words.moment_of(text, NOON.timestamp())


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2h", (2026, 1, 31, 10, 0)),
        ("90s", (2026, 1, 31, 11, 58, 30)),
        ("11:30", (2026, 1, 31, 11, 30)),
        ("12:00", (2026, 1, 31, 12, 0)),
        ("14:30", (2026, 1, 30, 14, 30)),
        ("2026-01-02T08:15", (2026, 1, 2, 8, 15)),
    ],
)
def test_moments_that_are_past(text: str, at: tuple[int, ...]) -> None:
    assert words.since_of(text, NOON.timestamp()) == int(datetime(*at).astimezone().timestamp() * 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01"])
def test_past_moments_that_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        words.since_of(text, NOON.timestamp())


def test_sizes() -> None:
    assert words.bytes_of("8G") == 8 * 1024**3
    assert words.bytes_of("100", "m") == 100 * 1024**2
    assert words.bytes_of(5) == 5
    with pytest.raises(BadRequest):
        words.bytes_of("8X")
    with pytest.raises(BadRequest):
        words.milli_of("four")
