"""One task on one node: does it fit, which devices does it take, what is lacking."""

from __future__ import annotations

import pytest

from tenure.core.feasibility import NodeRoom, ask_of, count_tasks, fits, give, lack, node_room, pick_devices, shortfalls, take
from tenure.model.allocation import DeviceShare
from tenure.model.amounts import GIB, Amounts
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.reasons import Shortfall
from tenure.model.shape import Shape
from tenure.testing.builders import Cluster

MEMORY = 80 * GIB


def room(
    gpus: int = 2,
    used: dict[int, tuple[int, int]] | None = None,
    *,
    per_group: int = 0,
    labels: tuple[str, ...] = (),
    status: NodeStatus = NodeStatus.UP,
    device_status: dict[int, DeviceStatus] | None = None,
) -> NodeRoom:
    """A node of 4 cpus and 8 GiB; ``used`` milli and bytes of devices by id (the first is 1)."""
    cluster = Cluster()
    amounts = Amounts(4000, 8 * GIB)
    node = cluster.node("a", amounts, gpus, per_group=per_group, labels=labels, status=status, device_status=device_status)
    found = node_room(node)
    take(found, (0, 0, 0, 0), [DeviceShare(device_id, *amount) for device_id, amount in (used or {}).items()])
    return found


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (Shape(), 99),
        (Shape(Amounts(1000)), 4),
        (Shape(Amounts(4000, 8 * GIB)), 1),
        (Shape(Amounts(4001)), 0),
        (Shape(Amounts(1, 9 * GIB)), 0),
        (Shape(gpu_milli=1000), 2),
        (Shape(gpu_milli=2000), 1),
        (Shape(gpu_milli=3000), 0),
        (Shape(gpu_milli=400), 4),
        (Shape(gpu_milli=400, gpu_memory_bytes=50 * GIB), 2),
        (Shape(gpu_milli=1000, gpu_memory_bytes=81 * GIB), 0),
        (Shape(gpu_milli=1000, gpu_model="a100"), 2),
        (Shape(gpu_milli=1000, gpu_model="h100"), 0),
        (Shape(Amounts(3000), gpu_milli=400), 1),
        (Shape(labels=("ssd",)), 0),
    ],
)
def test_how_many_tasks_fit(shape: Shape, count: int) -> None:
    ask = ask_of(shape)
    assert count_tasks(ask, room(), 99) == count
    assert fits(ask, room()) == (count > 0)


def test_a_fraction_is_a_place_on_one_device() -> None:
    two_halves = room(used={1: (600, 0), 2: (600, 0)})
    assert not fits(ask_of(Shape(gpu_milli=800)), two_halves)
    assert fits(ask_of(Shape(gpu_milli=400, gpu_memory_bytes=1)), two_halves)


def test_a_whole_device_is_an_empty_one() -> None:
    assert count_tasks(ask_of(Shape(gpu_milli=1000)), room(used={1: (1, 0)})) == 1
    assert count_tasks(ask_of(Shape(gpu_milli=1000)), room(used={1: (0, 1)})) == 1


def test_what_is_not_offered_is_not_used_but_counts() -> None:
    ask = ask_of(Shape(gpu_milli=500))
    assert count_tasks(ask, room(device_status={0: DeviceStatus.FOREIGN})) == 2
    assert not fits(ask, room(status=NodeStatus.DRAINING))
    shrunk = room()
    take(shrunk, (5000, 0, 0, 0), ())
    assert not fits(ask_of(Shape()), shrunk)
    assert shortfalls(ask_of(Shape()), shrunk) == (Shortfall("cpu_milli", 0, 0),)


def test_counts_of_devices_follow_what_is_held() -> None:
    node = room(3, {1: (500, 7), 3: (1, 0)}, device_status={2: DeviceStatus.FOREIGN})
    assert (node.empty, node.gpu_free) == (1, 1500)
    copied = node.copy()
    give(node, (0, 0, 0, 0), [DeviceShare(1, 500, 7), DeviceShare(3, 1, 0)])
    assert (node.empty, node.gpu_free) == (2, 2000)
    assert (copied.empty, copied.gpu_free) == (1, 1500)


def test_labels_must_all_be_there() -> None:
    assert fits(ask_of(Shape(labels=("a", "b"))), room(labels=("a", "b", "c")))
    assert not fits(ask_of(Shape(labels=("a", "z"))), room(labels=("a", "b")))


def test_a_fraction_goes_to_the_fullest_device_that_holds_it() -> None:
    used = {1: (300, 0), 2: (700, 0), 3: (500, 0)}
    assert pick_devices(ask_of(Shape(gpu_milli=250, gpu_memory_bytes=5)), room(4, used)) == (DeviceShare(2, 250, 5),)
    assert pick_devices(ask_of(Shape(gpu_milli=400, gpu_memory_bytes=5)), room(4, used)) == (DeviceShare(3, 400, 5),)
    assert pick_devices(ask_of(Shape(gpu_milli=900)), room(4, used)) == (DeviceShare(4, 900, MEMORY * 900 // 1000),)
    assert pick_devices(ask_of(Shape()), room(4, used)) == ()


@pytest.mark.parametrize(
    ("taken", "count", "chosen"),
    [
        ((), 1, (1,)),
        ((), 4, (1, 2, 3, 4)),
        ((1,), 1, (2,)),
        ((1,), 4, (5, 6, 7, 8)),
        ((5, 6), 2, (7, 8)),
        ((1, 5, 6), 5, (2, 3, 4, 7, 8)),
        ((1, 5, 6), 4, (2, 3, 4, 7)),
    ],
)
def test_whole_devices_come_from_the_group_they_fill_best(taken: tuple[int, ...], count: int, chosen: tuple[int, ...]) -> None:
    node = room(8, dict.fromkeys(taken, (1000, MEMORY)), per_group=4)
    shares = pick_devices(ask_of(Shape(gpu_milli=count * 1000)), node)
    assert tuple(share.device_id for share in shares) == chosen
    assert all((share.milli, share.memory_bytes) == (1000, MEMORY) for share in shares)


def test_take_and_give_are_inverses_and_pass_over_what_is_gone() -> None:
    node, before = room(), room()
    shares = (DeviceShare(1, 500, 7), DeviceShare(99, 500, 7))
    take(node, (1, 2, 3, 4), shares)
    assert node != before
    give(node, (1, 2, 3, 4), shares)
    assert node == before


@pytest.mark.parametrize(
    ("shape", "used", "short"),
    [
        (Shape(Amounts(5000, 9 * GIB)), {}, (Shortfall("cpu_milli", 5000, 4000), Shortfall("memory_bytes", 9 * GIB, 8 * GIB))),
        (Shape(gpu_milli=3000), {}, (Shortfall("gpu_devices", 3, 2),)),
        (Shape(gpu_milli=2000), {1: (1, 0)}, (Shortfall("gpu_devices", 2, 1),)),
        (Shape(gpu_milli=800), {1: (600, 0), 2: (700, 0)}, (Shortfall("gpu_milli", 800, 400),)),
        (Shape(gpu_milli=100, gpu_memory_bytes=10), {1: (0, MEMORY - 5), 2: (0, MEMORY - 4)}, (Shortfall("gpu_memory_bytes", 10, 5),)),
        (Shape(gpu_milli=500, gpu_model="h100"), {}, (Shortfall("gpu_devices", 1, 0),)),
        (Shape(gpu_milli=1000, gpu_model="h100"), {}, (Shortfall("gpu_devices", 1, 0),)),
        (Shape(gpu_milli=2000, gpu_memory_bytes=MEMORY + 1), {}, (Shortfall("gpu_memory_bytes", MEMORY + 1, MEMORY),)),
        (Shape(gpu_milli=1000), {}, ()),
    ],
)
def test_what_is_lacking(shape: Shape, used: dict[int, tuple[int, int]], short: tuple[Shortfall, ...]) -> None:
    assert shortfalls(ask_of(shape), room(2, used)) == short


def test_nearer_is_less_lacking() -> None:
    ask = ask_of(Shape(Amounts(4000), gpu_milli=1000))
    assert lack(ask, room(1)) == 0
    assert lack(ask, room(0)) == 1000
    half = ask_of(Shape(gpu_milli=500))
    assert lack(half, room(1, {1: (1000, 0)})) == 1000
    assert lack(half, room(1, {1: (750, 0)})) == 750
    assert lack(half, room(1, {1: (0, MEMORY)})) == 500
    assert lack(half, room(0)) == 1000
