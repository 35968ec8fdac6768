"""What each order makes of a generated workload: figures that only a change of decisions changes, and what they say together.

The workload is the Lublin-Feitelson model's on 64 processors at a load of 0.95, 200 jobs; users ask for what they need.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tenure.policies import policy_by_name
from tenure.sim.generate import generate
from tenure.sim.metrics import Figures, figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.runtimes import Requested

WORKLOAD = "lublin:jobs=200,nodes=64,seed=5,load=0.95"

GOLDEN = [
    ("fifo", 842.4117, 111624.6, 202926),
    ("easy", 68.8670, 12177.1, 152009),
    ("conservative", 53.4725, 12640.7, 152009),
    ("easy-sjbf", 49.0418, 11126.4, 152009),
    ("tenure", 46.2165, 9652.7, 72613),
    ("sjf", 40.6461, 11547.3, 70198),
    ("sjf-easy", 41.7329, 7997.1, 65551),
    ("spf-easy", 17.2952, 6740.7, 76749),
    ("saf", 25.8864, 11362.8, 171596),
    ("saf-easy", 21.6422, 6283.0, 102487),
    ("ljf-easy", 120.7506, 14823.6, 124173),
    ("hrrn", 33.6843, 12534.9, 82394),
    ("hrrn-easy", 25.6537, 10613.0, 61353),
    ("wfp3-easy", 40.5470, 9032.3, 64028),
    ("unicep-easy", 33.9037, 9042.4, 69324),
    ("portfolio", 62.2066, 8630.9, 64028),
    ("f1-easy", 64.6155, 11629.8, 151728),
]


@cache
def figures(policy: str, patience_ms: int = Rules().settings.patience_ms) -> Figures:
    rules = Rules(settings=replace(Rules().settings, patience_ms=patience_ms))
    return figures_of(Replay(generate(WORKLOAD), policy_by_name(policy), Requested(), rules).run())


@pytest.mark.parametrize(("policy", "avebsld", "mean_wait_s", "max_wait_s"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_the_figures_of_an_order(policy: str, avebsld: float, mean_wait_s: float, max_wait_s: float) -> None:
    found = figures(policy)
    assert found["avebsld"] == pytest.approx(avebsld, abs=1e-4)
    assert found["mean_wait_s"] == pytest.approx(mean_wait_s, abs=0.1)
    assert found["max_wait_s"] == pytest.approx(max_wait_s, abs=1)


@pytest.mark.parametrize("policy", ["edf-easy", "points-easy"])
def test_without_deadlines_and_priorities_these_orders_are_that_of_submission(policy: str) -> None:
    names = ("avebsld", "mean_wait_s", "max_wait_s", "mean_turnaround_s")
    assert [figures(policy)[name] for name in names] == [figures("easy")[name] for name in names]


def test_patience_that_nobody_could_keep_is_not_first_come_first_served() -> None:
    found, easy = figures("tenure", 15 * 60_000), figures("easy")
    assert found["avebsld"] == pytest.approx(38.4663, abs=1e-4)
    assert found["mean_wait_s"] == pytest.approx(9955.9, abs=0.1)
    assert (easy["avebsld"], easy["mean_wait_s"]) > (found["avebsld"], found["mean_wait_s"])


def test_endless_patience_is_shortest_predicted_first() -> None:
    assert figures("tenure", 0)["avebsld"] == figures("spf-easy")["avebsld"]
