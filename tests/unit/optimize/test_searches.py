"""Each search on instances small enough to know the best answer: brute force, and the exact solver as the oracle of the others."""

from __future__ import annotations

import random
from importlib.util import find_spec
from itertools import permutations

import pytest

from tenure.core.board import Board
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.optimize import exact as solver
from tenure.optimize import words
from tenure.optimize.annealing import anneal
from tenure.optimize.evolving import genetic, swarm
from tenure.optimize.exact import MAKESPAN, exact, pack, solve, weight_of
from tenure.optimize.instance import Instance, instance_of
from tenure.optimize.planned import Planned, Search
from tenure.optimize.schedule import Decoder, Fitness
from tenure.optimize.words import SEARCHES, read_policy
from tenure.policies import policy_by_name
from tenure.policies.words import BadPolicy
from tenure.testing.builders import Cluster
from tests.require import require

BASE = policy_by_name("tenure")
MINUTE_MS = 60_000


@pytest.fixture
def moo() -> None:
    require("moo", find_spec("pymoo") is not None, "pymoo is not installed; pip install 'tenure[moo]'")


@pytest.fixture
def opt() -> None:
    require("opt", find_spec("ortools") is not None, "ortools is not installed; pip install 'tenure[opt]'")


def instance(cluster: Cluster, window: int = 20) -> Instance:
    board = Board.of(cluster.snapshot(), BASE.distinguishes)
    return instance_of(board, cluster.now_ms, BASE.stages, window)


def drawn(seed: int, jobs: int = 6) -> Cluster:
    """Two small nodes, something runs, some jobs with deadlines and priorities wait."""
    chance = random.Random(seed)
    cluster = Cluster()
    for name in "ab":
        cluster.node(name, Amounts(cpu_milli=8 * MILLI, memory_bytes=64 * GIB))
    cluster.run("r", Shape(Amounts(cpu_milli=chance.randint(2, 8) * MILLI)), on="a", ends_ms=chance.randint(1, 9) * MINUTE_MS)
    for number in range(jobs):
        length_ms = chance.randint(1, 12) * MINUTE_MS
        cluster.wait(
            f"w{number}",
            Shape(Amounts(cpu_milli=chance.randint(1, 8) * MILLI, memory_bytes=chance.randint(0, 24) * GIB)),
            limit_ms=length_ms,
            priority=chance.choice([2, 5, 5, 8]),
            deadline_ms=cluster.now_ms + chance.choice([0, 2]) * length_ms,
        )
    return cluster


def best_by_hand(found: Instance) -> int:
    decoder = Decoder(found)
    return max(decoder.fitness(found.canonical(order)).value for order in permutations(range(len(found.tokens))))


@pytest.mark.parametrize("seed", range(6))
def test_annealing_finds_the_best_order_of_a_few(seed: int) -> None:
    found = instance(drawn(seed))
    assert Decoder(found).fitness(anneal(found, [range(6)], 6_000, seed)).value == best_by_hand(found)


@pytest.mark.usefixtures("moo")
@pytest.mark.parametrize("search", [genetic, swarm])
def test_evolution_comes_close_repeats_itself_and_is_never_worse_than_it_began(search: Search) -> None:
    for seed in range(3):
        found = instance(drawn(seed))
        order = search(found, [range(6)], 3_000, seed)
        assert order == search(found, [range(6)], 3_000, seed)
        best, begun = best_by_hand(found), Decoder(found).fitness(range(6)).value
        assert max(begun, best - best // 20) <= Decoder(found).fitness(order).value <= best


@pytest.mark.usefixtures("moo")
@pytest.mark.parametrize("search", [genetic, swarm])
def test_evolution_without_the_means_for_a_generation_answers_with_the_best_it_was_given(search: Search) -> None:
    found = instance(drawn(1))
    orders = [[5, 4, 3, 2, 1, 0], list(range(6))]
    assert search(found, orders, 20, 0) == max(orders, key=lambda order: Decoder(found).fitness(order).value)


@pytest.mark.usefixtures("opt")
@pytest.mark.parametrize("seed", range(4))
def test_the_solver_is_the_oracle_of_the_makespan(seed: int) -> None:
    """The best order of all reaches the proved last end but for the solver's coarser time, and none is below its bound."""
    found = instance(drawn(seed, jobs=5))
    answer = solve(found, 60_000, 0, MAKESPAN)
    decoder = Decoder(found)

    def last_end(order: tuple[int, ...]) -> int:
        slots = decoder.slots(order)
        return max(slot.start_ms + token.length_ms for slot, token in zip(slots, found.tokens, strict=True)) - found.now_ms

    ends = [last_end(order) for order in permutations(range(5))]
    assert answer.proven
    assert answer.value == answer.bound
    assert min(ends) <= answer.value * answer.step_ms <= min(ends) + 6 * answer.step_ms


@pytest.mark.usefixtures("opt")
@pytest.mark.parametrize("seed", range(4))
def test_no_policy_beats_the_solver_in_weighted_delay(seed: int) -> None:
    found = instance(drawn(seed, jobs=5))
    answer = solve(found, 60_000, 0)
    assert answer.order is not None
    decoder = Decoder(found)
    weights = [weight_of(token, answer.step_ms) for token in found.tokens]

    def delay(order: list[int]) -> float:
        slots = decoder.slots(order)
        return sum(weight * (slot.start_ms - found.now_ms) / answer.step_ms for weight, slot in zip(weights, slots, strict=True))

    least = min(delay(list(order)) for order in permutations(range(5)))
    slack = sum(weights) * 6  # the solver's lengths are rounded up, so each start may be a few steps later
    assert answer.proven
    assert least <= answer.value + slack
    assert answer.bound <= least + slack


@pytest.mark.usefixtures("opt")
def test_packing_starts_the_gangs_that_fill_the_room() -> None:
    """Greedy in order takes the three; the two and the other two together are worth more."""
    cluster = Cluster()
    for name in "ab":
        cluster.node(name, Amounts(cpu_milli=4 * MILLI))
    two = Shape(Amounts(cpu_milli=2 * MILLI), tasks=2)
    cluster.wait("three", Shape(Amounts(cpu_milli=3 * MILLI), tasks=2), limit_ms=MINUTE_MS, priority=5)
    cluster.wait("pair", two, limit_ms=2 * MINUTE_MS, priority=5)
    cluster.wait("other", two, limit_ms=2 * MINUTE_MS, priority=5)
    found = instance(cluster)
    assert {found.tokens[place].job_id for place in pack(found, 5_000, 0)} == {cluster.jobs["pair"], cluster.jobs["other"]}


@pytest.mark.usefixtures("opt")
def test_the_solver_s_order_is_judged_like_any_other() -> None:
    for seed in range(3):
        found = instance(drawn(seed))
        order = exact(found, [range(6)], 20_000, 0)
        fitness = Decoder(found).fitness(order).value
        assert Decoder(found).fitness(range(6)).value <= fitness <= best_by_hand(found)


@pytest.mark.usefixtures("opt")
def test_a_large_instance_is_packed_but_not_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "MOST_TASKS", 3)
    monkeypatch.setattr(solver, "solve", lambda *_: pytest.fail("too large to be solved"))
    found = instance(drawn(2))
    assert sorted(exact(found, [range(6)], 20_000, 0)) == list(range(6))


def test_fitness_by_hand() -> None:
    """One node of 4 cpus, free: a job of 4 cpus and 2 minutes with priority 6, then one of 2 cpus and 1 minute with priority 2."""
    cluster = Cluster()
    cluster.node("a", Amounts(cpu_milli=4 * MILLI))
    cluster.wait(
        "x", Shape(Amounts(cpu_milli=4 * MILLI)), limit_ms=2 * MINUTE_MS, priority=6, deadline_ms=cluster.now_ms + 2 * MINUTE_MS
    )
    cluster.wait("y", Shape(Amounts(cpu_milli=2 * MILLI)), limit_ms=MINUTE_MS, priority=2, deadline_ms=cluster.now_ms + MINUTE_MS)
    found = instance(cluster)
    jobs = [token.job_id for token in found.tokens]
    first = [jobs.index(cluster.jobs["x"]), jobs.index(cluster.jobs["y"])]
    # Work 4 * 2 + 2 * 1 = 10 of 4 * 3 cpu minutes; x meets its deadline; slowdowns 1 and 3, weighted (6 * 1 + 2 * 3) / 8.
    assert Decoder(found).fitness(first) == Fitness(833_333, 500_000, 666_666, 1_000_000)
    # The other way round y meets its own; slowdowns 1.5 and 1, (6 * 1.5 + 2) / 8.
    assert Decoder(found).fitness(first[::-1]) == Fitness(833_333, 500_000, 727_272, 1_000_000)


def test_balance_is_that_of_the_nodes() -> None:
    cluster = Cluster()
    for name in "ab":
        cluster.node(name, Amounts(cpu_milli=4 * MILLI))
    cluster.run("r", Shape(Amounts(cpu_milli=4 * MILLI)), on="a", ends_ms=3 * MINUTE_MS)
    cluster.wait("x", Shape(Amounts(cpu_milli=4 * MILLI)), limit_ms=MINUTE_MS)
    # Loads 3 and 1: (3 + 1)² / (2 * (9 + 1)).
    assert Decoder(instance(cluster)).fitness([0]).balance == 800_000


def test_whole_gpus_and_fractions_keep_their_devices() -> None:
    """A fraction that runs for 9 minutes takes one of two devices: two whole ones are free together only after it."""
    cluster = Cluster()
    cluster.node("a", gpus=2)
    cluster.run("half", Shape(gpu_milli=500), on="a", ends_ms=9 * MINUTE_MS)
    cluster.wait("two", Shape(gpu_milli=2000), limit_ms=MINUTE_MS)
    cluster.wait("one", Shape(gpu_milli=1000), limit_ms=5 * MINUTE_MS)
    cluster.wait("other half", Shape(gpu_milli=500), limit_ms=20 * MINUTE_MS)
    found = instance(cluster)
    order = [next(p for p, t in enumerate(found.tokens) if t.job_id == cluster.jobs[name]) for name in ("two", "one", "other half")]
    slots = Decoder(found).slots(order)
    starts = [(slots[place].start_ms - found.now_ms) // MINUTE_MS for place in order]
    assert starts == [9, 0, 10]


def test_arrays_come_element_by_element_and_what_can_never_run_is_left_out() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(cpu_milli=2 * MILLI))
    array = cluster.wait("array", Shape(Amounts(cpu_milli=MILLI)), limit_ms=MINUTE_MS, is_array=1, array_left=20)
    cluster.wait("huge", Shape(Amounts(cpu_milli=9 * MILLI)), limit_ms=MINUTE_MS)
    found = instance(cluster)
    assert [token.job_id for token in found.tokens] == [array.id] * 8
    assert found.jobs(range(8)) == [array.id]


def test_what_never_ends_is_never_counted_on() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(cpu_milli=2 * MILLI))
    cluster.run("service", Shape(Amounts(cpu_milli=MILLI)), on="a")
    cluster.wait("x", Shape(Amounts(cpu_milli=2 * MILLI)), limit_ms=MINUTE_MS)
    decoder = Decoder(instance(cluster))
    assert decoder.slots([0])[0].start_ms == -1
    assert decoder.fitness([0]) == Fitness(1_000_000, 1_000_000, 1_000_000, 1_000_000)


def test_who_lost_patience_is_not_moved() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(cpu_milli=2 * MILLI))
    old = cluster.wait("old", Shape(Amounts(cpu_milli=2 * MILLI)), limit_ms=60 * MINUTE_MS, age_ms=10 * 86_400_000)
    cluster.wait("x", Shape(Amounts(cpu_milli=MILLI)), limit_ms=MINUTE_MS)
    cluster.wait("y", Shape(Amounts(cpu_milli=MILLI)), limit_ms=2 * MINUTE_MS)
    found = instance(cluster)
    assert found.pinned == 1
    assert found.tokens[0].job_id == old.id
    assert anneal(found, [[2, 1, 0]], 500, 0)[0] == 0


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("annealed:units=0", "units=0 is no setting; write units= and a whole number from 1 on"),
        ("annealed:window=wide", "window=wide is no setting"),
        ("annealed:pace=3", "a policy has no setting 'pace'"),
        ("annealed:base=fast", "no policy is called 'fast'"),
        ("annealing", "no policy is called 'annealing'"),
    ],
)
def test_words_that_mean_nothing(word: str, sentence: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_policy(word, PlanSettings())
    assert sentence in str(caught.value)


def test_a_word_names_search_incumbent_and_effort() -> None:
    policy, settings = read_policy("annealed:base=easy,units=50,window=7,patience=1h", PlanSettings())
    assert isinstance(policy, Planned)
    assert (policy.incumbent.name, policy.units, policy.window, policy.search, policy.inline) == (
        "easy:patience=1h",
        50,
        7,
        anneal,
        True,
    )
    assert (settings.policy, settings.patience_ms) == ("annealed:base=easy,units=50,window=7,patience=1h", 3_600_000)
    assert not words.policy_of(settings).inline  # type: ignore[attr-defined]
    assert read_policy("easy", PlanSettings())[0].name == "easy"


@pytest.mark.parametrize("name", ["exact", "genetic", "swarm"])
def test_a_search_without_its_library_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "find_spec", lambda _: None)
    with pytest.raises(BadPolicy, match=rf"the policy {name} needs \w+; install it with: pip install 'tenure\[(opt|moo)\]'"):
        read_policy(name, PlanSettings())
    assert name in SEARCHES
