"""The language refuses what it does not understand, and says what was not met."""

from __future__ import annotations

import pytest

from tenure.model.reasons import NotBefore
from tenure.policies.words import BadPolicy
from tenure.testing.expectations import Run, check
from tenure.testing.scenario import ScenarioError, parse, time_ms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node a", "no '--- expect' line"),
        ("--- then", "line 1: write '--- expect'"),
        (
            "wat a\n--- expect",
            "line 1: 'wat' is not one of node, queue, project, used, run, promise, wait, window, set, which may stand before",
        ),
        ("--- expect\nnode a", "line 2: 'node' is not one of start, hold"),
        ("node a gpus=2\n--- expect", "line 1: node has no 'gpus'; it has cpu"),
        ("node a cpu=2 cpu=3\n--- expect", "line 1: 'cpu' is given twice"),
        ("node a cpu=\n--- expect", "without a value"),
        ("node cpu=2\n--- expect", "line 1: node needs a name"),
        ("node a big\n--- expect", "line 1: 'big' is not understood; node has the words none"),
        ("node a cpu=many\n--- expect", "line 1: 'many' is not a count"),
        ("node a\nnode a\n--- expect", "line 2: two nodes are called 'a'"),
        ("node a status=off\n--- expect", "line 1: 'off' is not a valid NodeStatus"),
        ("run r cpu=1\n--- expect", "line 1: a running job needs on=NODE"),
        ("run r cpu=1 on=z\n--- expect", "line 1: no node is called 'z'"),
        ("node a\nrun r of=x on=a\n--- expect", "line 2: x"),
        ("wait j queue=q\n--- expect", "line 1: no queue is called 'q'"),
        ("wait j\nwait j\n--- expect", "line 2: two jobs are called 'j'"),
        ("wait j gpu=1.5\n--- expect", "line 1: ask for a whole number of GPUs"),
        ("wait j\n--- expect\nstart k", "line 3: no job is called 'k'"),
        ("used ann cpu=1\n--- expect", "line 1: what was used counts for a project=NAME"),
        ("set depth=1\n--- expect", "line 1: set has no 'depth'"),
    ],
)
def test_a_line_that_means_nothing_is_an_error_with_its_number(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    assert message in str(caught.value)


CLUSTER = """
node a cpu=2 gpu=2
run  r cpu=1 on=a ends=50   # a comment
wait one cpu=1 gpu=1 est=20
wait two cpu=2
wait arr cpu=1 array=2
"""


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ("start two", "two does not start: hold two because=capacity until=50"),
        ("start one\nstart arr", "arr does not start: hold arr because=capacity"),
        ("start one on=b", "it is start one on=a devices=0"),
        ("start one devices=1", "it is start one on=a devices=0"),
        ("start one count=2", "1 elements of one start"),
        ("start one element=3", "one does not start: start one on=a devices=0"),
        ("hold one", "it is not held: start one on=a devices=0"),
        ("start one\nhold two because=held", "the first cause is another: hold two because=capacity until=50"),
        ("start one\nhold two because=capacity:one", "the first cause is another"),
        ("start one\nhold two until=51", "the time is another: hold two because=capacity until=50"),
        ("start one\nhold two node=b", "the nearest node is a"),
        ("start one\nhold two lacks=memory:1/2", "it lacks cpu:0/2000"),
        ("start one\nreserve arr", "the reservation is for two"),
        ("start one\nreserve two at=9", "it is reserved at=50"),
        ("start one\nreserve two on=b", "it is reserved on=a"),
        ("start one\neta two at=7", "its expected start is at=50"),
        ("start one\nnext at=3", "the next plan is due at=never"),
        ("nothing", "something starts: start one on=a devices=0"),
        ("", "nothing says that one starts, but: start one on=a devices=0"),
    ],
)
def test_what_was_not_met_is_said_in_the_language(expected: str, failure: str) -> None:
    assert any(failure in found for found in check(f"{CLUSTER}--- expect (easy backfill)\n{expected}").failures)


def test_what_was_met_is_no_failure() -> None:
    held = "hold two because=capacity until=50 node=a lacks=cpu:0/2000"
    assert check(f"{CLUSTER}--- expect (easy)\nstart one on=a devices=0 count=1\n{held}\nnext at=never").failures == ()


def test_nobody_is_reserved_for_under_greedy() -> None:
    assert "the reservation is for nobody" in check(f"{CLUSTER}--- expect (greedy)\nreserve two").failures[0]


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(BadPolicy, match="no policy is called 'best'"):
        check("--- expect (best)")


def test_times_are_seconds_unless_they_have_a_unit() -> None:
    assert (time_ms("90"), time_ms("2h"), time_ms("1:30")) == (90_000, 7_200_000, 90_000)


def test_a_time_of_a_reason_is_written_as_it_is_read() -> None:
    run = Run(parse("node a\nwait j begin=20\n--- expect"))
    assert run.cause(NotBefore(run.time("20"))) == "not_before"
    assert run.describe("j") == "hold j because=not_before"
