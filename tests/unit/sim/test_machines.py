"""Machines of a simulation: the spec, lists of nodes, and the order in which ties see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.amounts import GIB, Amounts
from tenure.sim.machines import GRAMMAR, Machine, lots_of, nodes_of, ordered, parse_nodes
from tenure.sim.workload import BadWorkload

OPENB = "sn,cpu_milli,memory_mib,gpu,model\nb,64000,1024,2,P100\na,8000,512,0,\n"
PHILLY = ",machineId,number of GPUs\n0,m0,8\n1,m1,0\n2,m2,4\n"


def test_a_spec_names_nodes_devices_and_amounts() -> None:
    nodes = parse_nodes("2x8xA100:80G,64c,512G")
    assert [node.name for node in nodes] == ["n1", "n2"]
    assert nodes[0].capacity == Amounts(64_000, 512 * GIB)
    assert [device.id for node in nodes for device in node.devices] == list(range(1, 17))
    device = nodes[1].devices[3]
    assert (device.node_id, device.index, device.model, device.memory_bytes) == (2, 3, "A100", 80 * GIB)
    assert len({device.uuid for node in nodes for device in node.devices}) == 16


def test_groups_follow_each_other_and_names_sort_as_numbers_do() -> None:
    nodes = parse_nodes("9x1xT4 + 3x32c,128G")
    assert [node.id for node in nodes] == list(range(1, 13))
    assert [node.name for node in nodes] == sorted(node.name for node in nodes)
    assert [len(node.devices) for node in nodes] == [1] * 9 + [0] * 3


def test_every_amount_can_be_said() -> None:
    (node,) = parse_nodes("1x0.5c,64G,disk=2T,net=100G,label=rack:b,label=rack:a")
    assert node.capacity == Amounts(500, 64 * GIB, 2048 * GIB, 100 * 10**9)
    assert node.labels == ("rack:a", "rack:b")


def test_what_is_not_said_follows_from_gpus_or_cores() -> None:
    (gpus,), (cores,) = parse_nodes("1x2xH100"), parse_nodes("1x4c")
    assert gpus.capacity == Amounts(32_000, 256 * GIB)
    assert gpus.devices[0].memory_bytes == 16 * GIB
    assert cores.capacity == Amounts(4_000, 16 * GIB)


@pytest.mark.parametrize(
    "text",
    [
        *("", "A100", "x", "0x8c", "8xA100:80G", "2x0xA100", "2x200xA100", "2x8xA100:80Q", "2x8xA100,64q", "2x128G", "2x4c,disk="),
        *("2x4c,net=fast", "2x4c,label=", "2x4c,gpu=3", "2x4c+", "300000x4c", "150000x4c+150000x4c", "missing.csv", "no/such/file"),
    ],
)
def test_a_bad_spec_shows_what_to_write(text: str) -> None:
    with pytest.raises(BadWorkload) as caught:
        parse_nodes(text)
    assert GRAMMAR in str(caught.value) or "at most" in str(caught.value)


@given(st.text(alphabet="0123456789xc+,:GTMA=. dnlab", max_size=30))
def test_any_text_is_nodes_or_a_clear_refusal(text: str) -> None:
    try:
        nodes = parse_nodes(text if len(text) < 6 else text.replace("x", "0", text.count("x") - 2))
    except BadWorkload:
        return
    assert [node.id for node in nodes] == list(range(1, len(nodes) + 1))


def test_a_file_of_openb_nodes(tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text(OPENB)
    nodes = parse_nodes(str(path))
    assert [(node.name, node.capacity, len(node.devices)) for node in nodes] == [
        ("b", Amounts(64_000, GIB), 2),
        ("a", Amounts(8_000, GIB // 2), 0),
    ]
    assert nodes[0].devices[0].model == "P100"


def test_a_file_of_philly_machines_leaves_out_those_without_gpus(tmp_path: Path) -> None:
    path = tmp_path / "machines.csv"
    path.write_text(PHILLY)
    assert [(node.name, len(node.devices)) for node in parse_nodes(str(path))] == [("m0", 8), ("m2", 4)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "line 1: no list of nodes"),
        ("", "line 1: no list of nodes"),
        (OPENB + "c,1,1,many,T4\n", "line 4: gpu is 'many'"),
        (OPENB + "c,1,1\n", "line 4: 3 fields where the header names 5"),
        (OPENB + "a,1,1,1,T4\n", "two nodes have the same name"),
        (OPENB.splitlines()[0] + "\n", "lists 0 nodes"),
    ],
)
def test_a_bad_list_says_where(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text(text)
    with pytest.raises(BadWorkload, match=told):
        parse_nodes(str(path))


def test_the_order_by_name_does_not_depend_on_the_file() -> None:
    one, two = (nodes_of(Machine(name, Amounts(1000), 2, "T4") for name in names) for names in ("cab", "bca"))
    assert ordered(one) == ordered(two)
    assert [node.name for node in ordered(one)] == ["a", "b", "c"]
    assert [device.node_id for node in ordered(one) for device in node.devices] == [1, 1, 2, 2, 3, 3]


def test_a_shuffle_depends_on_the_seed_alone() -> None:
    one, two = (nodes_of(Machine(name, Amounts(1000), 1, "T4") for name in names) for names in ("abcdefgh", "hgfedcba"))
    assert ordered(one, "shuffled", 7) == ordered(two, "shuffled", 7)
    assert ordered(one, "shuffled", 7) != ordered(one, "shuffled", 8)
    assert [node.id for node in ordered(one, "shuffled", 7)] == list(range(1, 9))


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(BadWorkload, match="write name, shuffled, random-ties"):
        ordered((), "random")


def test_random_ties_leave_the_nodes_in_order_and_draw_with_the_seed() -> None:
    nodes = nodes_of(Machine(name, Amounts(1000)) for name in "cab")
    assert ordered(nodes, "random-ties", 7) == ordered(nodes)
    assert (lots_of("name", 7), lots_of("shuffled", 7)) == (0, 0)
    assert len({0, lots_of("random-ties", 0), lots_of("random-ties", 1)}) == 3


def test_power_and_price_become_labels() -> None:
    (node,) = parse_nodes("1x8xA100:80G,power=3200,idle=600,sleep=20,price=9.80")
    assert node.labels == ("power_idle_w=600", "power_sleep_w=20", "power_w=3200", "price_per_hour=9.80")
    with pytest.raises(BadWorkload, match="'lots' is not a power in watts"):
        parse_nodes("1x4c,power=lots")
