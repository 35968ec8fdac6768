"""The five objectives on clusters small enough to work them out by hand, and how a portfolio is named."""

from __future__ import annotations

import pytest

from tenure.core.board import Board
from tenure.core.objectives import UNKNOWN_MS, WHOLE, Judge, Objectives
from tenure.core.pareto import choose, dominates, front
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.plan import Start
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.upkeep import Upkeep, label_of, upkeep_of
from tenure.policies import policy_by_name
from tenure.policies.portfolio import BALANCED, PROFILES, Candidate, Portfolio
from tenure.policies.words import BadPolicy, read_policy
from tenure.testing.builders import Cluster

MINUTE_MS = 60_000
POLICY = policy_by_name("portfolio")


def cpus(count: int) -> Shape:
    return Shape(Amounts(cpu_milli=count * MILLI))


def node(cluster: Cluster, name: str, cpu: int, *labels: str) -> None:
    cluster.node(name, Amounts(cpu_milli=cpu * MILLI, memory_bytes=64 * GIB), labels=labels)


def judged(cluster: Cluster, *names: str, on: str = "a") -> Objectives:
    """The objectives of starting these jobs there."""
    board = Board.of(cluster.snapshot(), POLICY.distinguishes)
    plan = POLICY.plan_on(board, cluster.now_ms)
    known = {start.job_id: start for decision in plan.decisions for start in decision.starts}
    starts = [known.get(cluster.jobs[name]) or _start(cluster, name, on) for name in names]
    return Judge(board).judge(starts)


def _start(cluster: Cluster, name: str, on: str) -> Start:
    from tenure.model.allocation import Placement

    return Start(cluster.jobs[name], (Placement(0, cluster.nodes[on].id, ()),))


def test_utilisation_is_the_part_taken_of_what_is_free_and_asked_for() -> None:
    cluster = Cluster()
    node(cluster, "a", 8)
    cluster.run("r", cpus(2), on="a", ends_ms=MINUTE_MS)
    cluster.wait("x", cpus(3), limit_ms=MINUTE_MS)
    cluster.wait("y", cpus(1), limit_ms=MINUTE_MS)
    assert judged(cluster).utilisation == 0
    assert judged(cluster, "x").utilisation == 750_000  # 3 of the 4 that are asked for; 6 are free
    assert judged(cluster, "x", "y").utilisation == WHOLE


def test_response_is_the_growth_of_slowdowns_that_ends_by_what_could_end() -> None:
    cluster = Cluster()
    node(cluster, "a", 2)
    cluster.wait("short", cpus(2), limit_ms=MINUTE_MS)
    cluster.wait("long", cpus(2), limit_ms=4 * MINUTE_MS)
    assert judged(cluster, "short").response == WHOLE
    assert judged(cluster, "long").response == 250_000
    assert judged(cluster).response == 0


def test_a_job_of_which_nothing_is_known_counts_as_an_hour() -> None:
    cluster = Cluster()
    node(cluster, "a", 2)
    cluster.wait("known", cpus(2), limit_ms=UNKNOWN_MS // 2)
    cluster.wait("unknown", cpus(2))
    assert judged(cluster, "unknown").response == WHOLE // 2


def test_fairness_is_what_users_hold_of_their_fair_shares() -> None:
    cluster = Cluster()
    node(cluster, "a", 8)
    for number in range(8):
        cluster.wait(f"many-{number}", cpus(1), limit_ms=MINUTE_MS, user=1)
    cluster.wait("one", cpus(2), limit_ms=MINUTE_MS, user=2)
    # Max-min fair: user 2 gets the two cpus it wants, user 1 the other six.
    assert judged(cluster, "one").fairness == 250_000
    assert judged(cluster, *(f"many-{number}" for number in range(8))).fairness == 750_000
    assert judged(cluster, "one", *(f"many-{number}" for number in range(6))).fairness == WHOLE


def test_energy_and_cost_compare_with_the_most_sparing_node_there_is() -> None:
    cluster = Cluster()
    node(cluster, "a", 8, "power_w=900", "power_idle_w=100", "price_per_hour=4")
    node(cluster, "b", 8, "power_w=500", "power_idle_w=100", "price_per_hour=1")
    cluster.wait("x", cpus(4), limit_ms=MINUTE_MS)
    board = Board.of(cluster.snapshot(), POLICY.distinguishes)
    board.waiting.move_to(cluster.now_ms, board.asks)
    judge = Judge(board)
    assert judge.judge([_start(cluster, "x", "a")])[3:] == (WHOLE // 2, WHOLE // 4)
    assert judge.judge([_start(cluster, "x", "b")])[3:] == (WHOLE, WHOLE)


def test_waking_a_node_that_could_sleep_costs_what_it_idles_at() -> None:
    cluster = Cluster()
    node(cluster, "a", 8, "power_w=500", "power_idle_w=110", "power_sleep_w=10")
    node(cluster, "b", 8, "power_w=500", "power_idle_w=100")
    cluster.wait("x", cpus(4), limit_ms=MINUTE_MS)
    board = Board.of(cluster.snapshot(), POLICY.distinguishes)
    board.waiting.move_to(cluster.now_ms, board.asks)
    # On a 0.5 * 390 + 100 = 295 W, on b, which idles anyway, 0.5 * 400 = 200 W; at least 0.5 * 390 = 195 W, were a awake already.
    assert Judge(board).judge([_start(cluster, "x", "a")]).energy == round(WHOLE * 195 / 295)
    assert Judge(board).judge([_start(cluster, "x", "b")]).energy == round(WHOLE * 195 / 200)


def test_where_one_node_says_nothing_power_and_price_make_no_difference() -> None:
    cluster = Cluster()
    node(cluster, "a", 8, "power_w=900", "price_per_hour=1")
    node(cluster, "b", 8)
    cluster.wait("x", cpus(4), limit_ms=MINUTE_MS)
    assert judged(cluster, "x")[3:] == (WHOLE, WHOLE)
    names = [each.name for each in candidates(cluster)]
    assert not any("frugal" in name or "cheapest" in name for name in names)


def candidates(cluster: Cluster) -> list[Candidate]:
    assert isinstance(POLICY, Portfolio)
    return list(POLICY.candidates(Board.of(cluster.snapshot(), POLICY.distinguishes), cluster.now_ms))


def test_profiles_choose_differently() -> None:
    cluster = Cluster()
    node(cluster, "big", 8, "power_w=900", "price_per_hour=1")
    node(cluster, "small", 4, "power_w=200", "price_per_hour=3")
    cluster.wait("x", cpus(2), limit_ms=MINUTE_MS)
    chosen = {}
    for profile in ("green", "cheap"):
        plan = read_policy(f"portfolio:profile={profile}", PlanSettings())[0].plan(cluster.snapshot())
        chosen[profile] = plan.decisions[0].starts[0].placements[0].node_id
    # A quarter of big draws 225 W and costs 0.25; half of small 100 W and 1.50.
    assert chosen == {"green": cluster.nodes["small"].id, "cheap": cluster.nodes["big"].id}


def test_who_is_overdue_is_the_head_of_every_member() -> None:
    cluster = Cluster()
    node(cluster, "a", 8)
    cluster.run("r", cpus(4), on="a", ends_ms=10 * MINUTE_MS)
    cluster.wait("wide", cpus(8), limit_ms=60 * MINUTE_MS, age_ms=3 * 86_400_000, priority=1)
    cluster.wait("narrow", cpus(4), limit_ms=20 * MINUTE_MS)
    plan = POLICY.plan(cluster.snapshot())
    assert plan.decisions == ()
    assert plan.reservation is not None
    assert plan.reservation.job_id == cluster.jobs["wide"]


def test_a_plan_cut_short_is_that_of_the_first_member() -> None:
    from tenure.core.budget import UnitBudget

    cluster = Cluster()
    node(cluster, "a", 8)
    for number in range(6):
        cluster.wait(f"x{number}", cpus(1), limit_ms=MINUTE_MS)
    plan = POLICY.plan(cluster.snapshot(), UnitBudget(3))
    assert (plan.truncated_at, len(plan.decisions)) == (3, 3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("profile=quick", "no profile is called 'quick'; write profile= with one of balanced, fast, fair, green, cheap, or weights="),
        ("profile=fast,weights=1/1/1/1/1", "name one or the other"),
        ("weights=1/2/3", "'1/2/3' is no set of weights"),
        ("weights=0/0/0/0/0", "is no set of weights"),
        ("weights=1/1/1/1/x", "is no set of weights"),
        ("weights=1/1/1/1/1000001", "is no set of weights"),
    ],
)
def test_weights_that_mean_nothing(settings: str, sentence: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_policy(f"portfolio:{settings}", PlanSettings())
    assert sentence in str(caught.value)


def test_a_portfolio_is_named_with_its_weights_and_the_planners_settings() -> None:
    policy, settings = read_policy("portfolio:weights=1/2/3/4/5,patience=1h", PlanSettings())
    assert isinstance(policy, Portfolio)
    assert policy.weights == (1, 2, 3, 4, 5)
    assert settings.patience_ms == 3_600_000
    plain = read_policy("portfolio", PlanSettings())[0]
    assert isinstance(plain, Portfolio)
    assert plain.weights == PROFILES[BALANCED] == (30, 25, 20, 15, 10)
    assert all(sum(weights) == 100 for weights in PROFILES.values())


def test_fronts_of_a_few_points() -> None:
    points = [(1, 5), (2, 4), (1, 4), (2, 4), (0, 6)]
    assert front(points) == [0, 1, 3, 4]
    assert dominates((2, 4), (1, 4))
    assert not dominates((2, 4), (2, 4))
    assert choose(points, (1, 1)) == 0
    assert choose([(1, 4), (1, 5)], (1, 0)) == 1  # of equal weight, the one that is not dominated


def test_what_labels_declare() -> None:
    labels = ("power_idle_w=90", "power_sleep_w=5", "power_w=700", "price_per_hour=1.25", "ssd")
    assert upkeep_of(labels) == Upkeep(90, 700, 5, 1250, has_power=True, has_price=True)
    assert upkeep_of(("power_w=lots", "price_per_hour")) == Upkeep()
    assert Upkeep(90, 700, 5).drawn_w(0.5, empty=False) == 395
    assert (Upkeep(90, 700, 5).drawn_w(0, empty=True), Upkeep(90, 700).drawn_w(0, empty=True)) == (5, 90)
    assert label_of("price_per_hour", "2.50") == "price_per_hour=2.50"
    for name, value in (("price_per_hour", "much"), ("power_w", "-3")):
        with pytest.raises(ValueError, match="write it like"):
            label_of(name, value)
