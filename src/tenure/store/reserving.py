"""Setting nodes aside for a time, and taking that back. Everything is checked first: what is refused leaves nothing behind.

Two reservations never want the same room at the same time: a second one is refused at the door, because whichever of them a plan then
served, the other would be a promise that nobody keeps. Which devices are set aside is decided here, once, so that everybody knows what
they may count on: those that nobody else will hold by then, the last of the node first. What runs goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tenure.core.set_aside import ends_of, outlasts
from tenure.model.amounts import MILLI, Amounts, format_bytes
from tenure.model.commands import Answer, Applied, MakeReservation, Refused, RemoveReservation
from tenure.model.job import RunningJob
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Node
from tenure.model.window import TimeWindow, WindowPart
from tenure.store.intern import next_id
from tenure.store.nodes import read_nodes
from tenure.store.plan_schema import reservation, reservation_part
from tenure.store.snapshot import read_holders
from tenure.store.sql import Statement, insert, param
from tenure.store.tx import Transaction, to_json
from tenure.store.windows import ReservationRow
from tenure.wire.text import clock_text, count_text

_NAME = re.compile(r"(?=.*[^\W\d])[\w.-]{1,64}")
LATE_MS = 60_000
"""A start that is no longer past than this is now: somebody has typed it."""
MOST = 1000
"""So many reservations may stand at a time: every plan looks at all of them."""

_INSERTED = ("id", "name", "project_id", "user_id", "from_ms", "until_ms", "made_ms", "uid", "made_by", "first_attempt")
INSERT = insert(reservation, *_INSERTED)
_AMOUNTS = ("cpu_milli", "memory_bytes", "storage_bytes", "bandwidth_bps")
INSERT_PART = insert(reservation_part, "reservation_id", "node_id", "whole", *_AMOUNTS, "devices")
REMOVE = Statement(
    reservation.update()
    .ordered_values((reservation.c.removed_ms, param("at")), (reservation.c.removed_by, param("by")))
    .where(reservation.c.id == param("id")),
    "at",
    "by",
    "id",
)


def reserve(tx: Transaction, command: MakeReservation) -> Answer:
    """Set nodes, or parts of them, aside. The answer's note is the name."""
    open_rows = [row for row in tx.names.reservations(tx.link) if row.until_ms > tx.now_ms]
    if bool(command.until_ms) == bool(command.length_ms):
        return Refused("bad_time", "say when a reservation ends, or how long it lasts: --until or --for, one of the two")
    # Which moment "now" is follows from this transaction, not from the command: repeated, it is the same command.
    from_ms = command.from_ms or tx.now_ms
    command = replace(command, from_ms=from_ms, until_ms=command.until_ms or from_ms + command.length_ms)
    refusal = _of_name(command.name, open_rows) or _of_words(command) or _of_times(command, tx.now_ms)
    if refusal is not None:
        return refusal
    nodes = _nodes(tx, command)
    if isinstance(nodes, Refused):
        return nodes
    from_ms = max(command.from_ms, tx.now_ms)
    beside = [row.window for row in open_rows if row.from_ms < command.until_ms and row.until_ms > from_ms]
    parts = _parts(tx, command, nodes, from_ms, beside)
    if isinstance(parts, Refused):
        return parts
    return _written(tx, command, from_ms, parts)


def _of_name(name: str, open_rows: Sequence[ReservationRow]) -> Refused | None:
    if name and not _NAME.fullmatch(name):
        return Refused("bad_request", f"{name!r} is no name; write up to 64 letters, digits, -, _ and dots, with at least one letter")
    if any(row.name == name for row in open_rows):
        return Refused("name_taken", f"a reservation is called {name!r} already; choose another name, or tenure unreserve {name}")
    if len(open_rows) >= MOST:
        return Refused("too_many", f"there are {MOST} reservations already; take some back with tenure unreserve")
    return None


def _of_words(command: MakeReservation) -> Refused | None:
    if command.maintenance == bool(command.project or command.user):
        return Refused("bad_request", "say whom it is for, a user or a project, or that it is maintenance: one of the two")
    if min(command.devices, command.cpu_milli, command.memory_bytes) < 0:
        return Refused("bad_request", "what is set aside is not negative")
    if command.maintenance and (command.devices or command.cpu_milli or command.memory_bytes):
        return Refused("bad_request", "maintenance takes whole nodes; leave --gpus, --cpus and --memory out")
    return None


def _of_times(command: MakeReservation, now_ms: int) -> Refused | None:
    if command.until_ms <= command.from_ms:
        return Refused("bad_time", "a reservation ends after it begins; give --for 2h, or an --until that is later than --from")
    if command.until_ms <= now_ms:
        return Refused("bad_time", f"{clock_text(command.until_ms)} is past; a reservation ends in the future")
    if command.from_ms < now_ms - LATE_MS:
        return Refused("bad_time", f"{clock_text(command.from_ms)} is past; let it begin now (--from now) or later")
    return None


def _nodes(tx: Transaction, command: MakeReservation) -> list[Node] | Refused:
    """The nodes that are named, or all that are there, by id."""
    known = {node.name: node for node in read_nodes(tx.link)}
    if not command.nodes:
        found = [node for node in known.values() if node.status is not NodeStatus.DOWN]
        return found or Refused("not_found", "there is no node to set aside; see tenure nodes")
    missing = [name for name in command.nodes if name not in known]
    if missing:
        return Refused("not_found", f"there is no node {missing[0]!r}; see tenure nodes")
    return sorted({known[name].id: known[name] for name in command.nodes}.values(), key=lambda node: node.id)


def _parts(
    tx: Transaction, command: MakeReservation, nodes: Sequence[Node], from_ms: int, beside: Sequence[TimeWindow]
) -> list[WindowPart] | Refused:
    """What is set aside of each node, or who has set it aside already."""
    whole = not (command.devices or command.cpu_milli or command.memory_bytes)
    holders = {} if whole else read_holders(tx.link, [node.id for node in nodes], ())
    found = []
    for node in nodes:
        others = [(window, part) for window in beside for part in window.parts if part.node_id == node.id]
        closed = next((window for window, part in others if whole or part.whole), None)
        if closed is not None:
            return _overlaps(node, closed)
        part = WindowPart(node.id) if whole else _part_of(command, node, others, _held_by_then(holders.values(), from_ms, tx.now_ms))
        if isinstance(part, Refused):
            return part
        found.append(part)
    return found


def _part_of(
    command: MakeReservation, node: Node, others: Sequence[tuple[TimeWindow, WindowPart]], held: set[int]
) -> WindowPart | Refused:
    """The devices and amounts that are set aside of a node: amounts as they were said, else the devices' share of what it has."""
    devices = _devices(node, command.devices, {device for _, other in others for device in other.devices}, held)
    if len(devices) < command.devices:
        return _too_much(node, count_text(command.devices * MILLI, "GPU"), [window for window, _ in others])
    share = [amount * command.devices // max(len(node.devices), 1) for amount in node.capacity.as_tuple()]
    wanted = Amounts(command.cpu_milli or share[0], command.memory_bytes or share[1], *share[2:])
    if not all(wanted.fits_in(left) for left in _left(node, others, command.from_ms)):
        what = f"{count_text(wanted.cpu_milli, 'cpu')} and {format_bytes(wanted.memory_bytes)} of memory"
        return _too_much(node, what, [window for window, _ in others])
    return WindowPart(node.id, whole=False, amounts=wanted, devices=devices)


def _left(node: Node, others: Sequence[tuple[TimeWindow, WindowPart]], from_ms: int) -> Iterator[Amounts]:
    """What others leave of a node from a time on, whenever one of them begins: at no time is less left, and not all of them need be at
    one time."""
    for at_ms in sorted({from_ms, *(max(window.from_ms, from_ms) for window, _ in others)}):
        left = node.capacity
        for window, other in others:
            if window.from_ms <= at_ms < window.until_ms:
                left -= other.amounts
        yield left


def _held_by_then(running: Iterable[RunningJob], from_ms: int, now_ms: int) -> set[int]:
    """The devices that somebody who runs now will still hold."""
    return {
        share.device_id
        for job in running
        if outlasts(ends_of(job), from_ms, now_ms)
        for held in job.allocations
        for share in held.devices
    }


def _devices(node: Node, count: int, taken: set[int], held: set[int]) -> tuple[int, ...]:
    usable = [device for device in node.devices if device.id not in taken and device.status is not DeviceStatus.LOST]
    usable.sort(key=lambda device: (device.status is not DeviceStatus.OK, device.id in held, -device.index))
    return tuple(sorted(device.id for device in usable[:count]))


def _overlaps(node: Node, window: TimeWindow) -> Refused:
    times = f"{clock_text(window.from_ms)} to {clock_text(window.until_ms)}"
    why = f"node {node.name} is set aside by {window.name} from {times}, and two reservations of the same room exclude each other"
    return Refused("overlap", f"{why}; choose other times or nodes, or tenure unreserve {window.name} first")


def _too_much(node: Node, what: str, others: Sequence[TimeWindow]) -> Refused:
    if others:
        names = ", ".join(sorted({window.name for window in others}))
        return Refused("overlap", f"node {node.name} has no {what} left beside {names} then; ask for less, or for another time")
    has = f"{count_text(len(node.devices) * MILLI, 'GPU')}, {count_text(node.capacity.cpu_milli, 'cpu')}"
    return Refused("never_fits", f"node {node.name} has {has} and {format_bytes(node.capacity.memory_bytes)}, not {what}; ask for less")


def _written(tx: Transaction, command: MakeReservation, from_ms: int, parts: Sequence[WindowPart]) -> Answer:
    number = next_id(tx.link, reservation)
    name = command.name or f"{'maintenance' if command.maintenance else 'reservation'}-{number}"
    project_id = tx.names.project_id(tx.link, command.project) if command.project else 0
    user_id = tx.names.user_id(tx.link, command.user) if command.user else 0
    by, uid = command.caller.user, command.caller.uid
    tx.link.write(INSERT, number, name, project_id, user_id, from_ms, command.until_ms, tx.now_ms, uid, by, tx.attempt_seq + 1)
    tx.link.write_many(
        INSERT_PART,
        [(number, part.node_id, int(part.whole), *part.amounts.as_tuple(), to_json(part.devices)) for part in parts],
    )
    tx.names.forget_reservations()
    told = {
        "id": number,
        "name": name,
        "from_ms": from_ms,
        "until_ms": command.until_ms,
        "nodes": [tx.names.node_name(tx.link, part.node_id) for part in parts],
        "project": command.project,
        "user": command.user.user if command.user else "",
        "by": by,
    }
    return Applied(0, tx.emit("reservation.made", project_id=project_id, data=to_json(told)), note=name)


def unreserve(tx: Transaction, command: RemoveReservation) -> Answer:
    """Take a reservation back. The answer's note is its name."""
    rows = tx.names.reservations(tx.link)
    named = [row for row in rows if command.reservation in (row.name, str(row.id))]
    row = next((row for row in named if row.until_ms > tx.now_ms), None)
    if row is None and named:
        return Refused(
            "ended", f"reservation {named[-1].name} was over at {clock_text(named[-1].until_ms)}; there is nothing to take back"
        )
    if row is None:
        return Refused("not_found", f"there is no reservation {command.reservation!r}; see tenure reservations")
    if command.caller.uid != row.uid and not command.caller.sees_all:
        return Refused("not_yours", f"reservation {row.name} was made by {row.made_by}; ask them, or an administrator")
    tx.link.write(REMOVE, tx.now_ms, command.caller.user, row.id)
    tx.names.forget_reservations()
    told = {"id": row.id, "name": row.name, "by": command.caller.user}
    return Applied(0, tx.emit("reservation.removed", project_id=row.project_id, data=to_json(told)), note=row.name)
