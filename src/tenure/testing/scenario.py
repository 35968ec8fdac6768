"""The scenario language: a cluster, its jobs and what the planner must do with them, in a few readable lines.

One text serves as a test, as a bug report and as documentation; `docs/reference/scenarios.md` describes it. `parse` gives a
`Scenario`, `run` plans it and answers with every expectation that was not met, in the language itself. Invariant: a line that is not
understood is an error with its number, never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

from tenure.model.amounts import Amounts, parse_bytes, parse_duration_ms, parse_milli
from tenure.model.gpu_kind import parse_capability
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.project import UNLIMITED, Bundle
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.testing.builders import DEFAULT_QUEUE, NODE_AMOUNTS, Cluster

FOREVER_FREE = 2**31
"""Room in an array without a cap."""


class ScenarioError(ValueError):
    """A line that means nothing; the message names the line and says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, taken apart: its number, verb, name, bare words and ``key=value`` pairs."""

    number: int
    verb: str
    name: str
    flags: tuple[str, ...]
    pairs: Mapping[str, str]

    def error(self, message: str) -> ScenarioError:
        """An error that names this line."""
        return ScenarioError(f"line {self.number}: {message}")


@dataclass(slots=True)
class Scenario:
    """A parsed scenario: the cluster, the policy's name, the expectations."""

    cluster: Cluster = field(default_factory=Cluster)
    policy: str = "default"
    expectations: list[Line] = field(default_factory=list)


def time_ms(text: str) -> int:
    """A time or duration: a bare number is seconds, else as `parse_duration_ms` reads it (``90s``, ``2h30m``)."""
    return int(text) * 1000 if text.isdigit() else parse_duration_ms(text)


def parse(text: str) -> Scenario:
    """Read a scenario. Raises ScenarioError."""
    scenario, expecting = Scenario(), False
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] == "---":
            scenario.policy, expecting = _policy_of(number, words), True
            continue
        line = _line(number, words)
        known = _EXPECTATIONS if expecting else _STATEMENTS
        if line.verb not in known:
            place = "after" if expecting else "before"
            raise line.error(f"{line.verb!r} is not one of {', '.join(known)}, which may stand {place} '--- expect'")
        _check_words(line, *known[line.verb])
        if expecting:
            _check_expectation(scenario, line)
            scenario.expectations.append(line)
        else:
            _state(scenario, line)
    if not expecting:
        raise ScenarioError("the scenario has no '--- expect' line, so it tests nothing")
    return scenario


def _policy_of(number: int, words: list[str]) -> str:
    """The policy that an ``--- expect (easy backfill)`` line names; *backfill* is for the reader."""
    if len(words) < 2 or words[1] != "expect":
        raise ScenarioError(f"line {number}: write '--- expect' or '--- expect (policy)'")
    named = " ".join(words[2:]).strip("()").split()
    return named[0] if named else "default"


def _line(number: int, words: list[str]) -> Line:
    rest = words[1:]
    name = rest.pop(0) if rest and "=" not in rest[0] else ""
    pairs: dict[str, str] = {}
    for word in (word for word in rest if "=" in word):
        key, _, value = word.partition("=")
        if key in pairs or not value:
            raise ScenarioError(f"line {number}: {key!r} is given twice or without a value")
        pairs[key] = value
    return Line(number, words[0], name, tuple(word for word in rest if "=" not in word), pairs)


_SHAPE_KEYS = ("cpu", "mem", "storage", "net", "gpu", "gpumem", "model", "tasks", "nodes", "labels", "app", "most")
_WISH_KEYS = ("prefer", "patience")
_OWNER = ("project", "user")
_Words = tuple[tuple[str, ...], tuple[str, ...], bool]
_STATEMENTS: dict[str, _Words] = {
    "node": (
        (
            "cpu",
            "mem",
            "storage",
            "net",
            "gpu",
            "gpumem",
            "model",
            "capability",
            "group",
            "labels",
            "status",
            "foreign",
            "lost",
            "quarantined",
        ),
        (),
        True,
    ),
    "queue": (("bonus", "max"), ("paused",), True),
    "project": (("weight", "cpu", "mem", "gpu", "maxcpu", "maxmem", "maxgpu"), ("alone",), True),
    "used": (("project", "cpu", "mem", "gpu"), (), True),
    "run": (
        (*_SHAPE_KEYS, "on", "ends", "devices", "of", "prio", "age", "grace", "displaced", "rests", "saved", *_OWNER),
        ("stopping",),
        True,
    ),
    "promise": (("on", "until", "leaving"), (), True),
    "wait": (
        (
            *_SHAPE_KEYS,
            *_WISH_KEYS,
            "est",
            "expected",
            "ran",
            "due",
            "prio",
            "age",
            "queue",
            "begin",
            "array",
            "cap",
            "next",
            "touched",
            *_OWNER,
        ),
        ("held", "blocked"),
        True,
    ),
    "window": (("on", "from", "until", "cpu", "mem", "devices", "project"), (), True),
    "set": (tuple(item.name for item in fields(PlanSettings) if item.name != "policy"), (), False),
}
_EXPECTATIONS: dict[str, _Words] = {
    "start": (("on", "devices", "element", "count"), (), True),
    "hold": (("because", "until", "node", "lacks"), (), True),
    "reserve": (("at", "on"), (), True),
    "evict": (("for",), (), True),
    "claim": (("on", "until"), (), True),
    "suspend": (("for",), (), True),
    "resume": ((), (), True),
    "eta": (("at",), (), True),
    "next": (("at",), (), False),
    "conflict": (("over", "severity", "between", "holders"), (), False),
    "nothing": ((), (), False),
}


def _check_words(line: Line, keys: tuple[str, ...], flags: tuple[str, ...], named: bool) -> None:
    for key in line.pairs:
        if key not in keys:
            raise line.error(f"{line.verb} has no {key!r}; it has {', '.join(keys)}")
    for flag in line.flags:
        if flag not in flags:
            raise line.error(f"{flag!r} is not understood; {line.verb} has the words {', '.join(flags) or 'none'}")
    if named and not line.name:
        raise line.error(f"{line.verb} needs a name")


def _check_expectation(scenario: Scenario, line: Line) -> None:
    if line.name and line.verb != "conflict" and line.name not in scenario.cluster.jobs:
        raise line.error(f"no job is called {line.name!r}")


def _state(scenario: Scenario, line: Line) -> None:
    """Carry out one line of the first part."""
    try:
        _STATE[line.verb](scenario.cluster, line)
    except ScenarioError:
        raise
    except (ValueError, KeyError) as error:
        raise line.error(str(error.args[0])) from None


def _node(cluster: Cluster, line: Line) -> None:
    pairs = line.pairs
    if line.name in cluster.nodes:
        raise line.error(f"two nodes are called {line.name!r}")
    states = {
        int(index): status
        for status in (DeviceStatus.FOREIGN, DeviceStatus.LOST, DeviceStatus.QUARANTINED)
        for index in _list(pairs, status.value)
    }
    cluster.node(
        line.name,
        _amounts(pairs, NODE_AMOUNTS),
        int(pairs.get("gpu", "0")),
        model=pairs.get("model", "A100"),
        gpu_memory_bytes=parse_bytes(pairs.get("gpumem", "80G")),
        capability=parse_capability(pairs["capability"]) if "capability" in pairs else 0,
        per_group=int(pairs.get("group", "0")),
        labels=_list(pairs, "labels"),
        status=NodeStatus(pairs.get("status", "up")),
        device_status=states,
    )


def _queue(cluster: Cluster, line: Line) -> None:
    maximum = time_ms(line.pairs["max"]) if "max" in line.pairs else 0
    cluster.queue(line.name, paused="paused" in line.flags, bonus=int(line.pairs.get("bonus", "0")), max_limit_ms=maximum)


def _run(cluster: Cluster, line: Line) -> None:
    on = _list(line.pairs, "on")
    for place in on:
        if place not in cluster.nodes:
            raise line.error(f"no node is called {place!r}")
    if not on:
        raise line.error("a running job needs on=NODE")
    devices = [int(index) for index in _list(line.pairs, "devices")]
    cluster.run(
        line.name,
        _shape(line),
        on,
        ends_ms=time_ms(line.pairs["ends"]) if "ends" in line.pairs else None,
        devices=devices or None,
        stopping="stopping" in line.flags,
        array_id=cluster.jobs[line.pairs["of"]] if "of" in line.pairs else 0,
        priority=int(line.pairs.get("prio", "5")),
        age_ms=time_ms(line.pairs["age"]) if "age" in line.pairs else 1,
        grace_ms=time_ms(line.pairs.get("grace", "0")),
        rests_ms=time_ms(line.pairs.get("rests", "0")),
        saved_ms=time_ms(line.pairs.get("saved", "0")),
        **_owner(cluster, line),
    )
    if "displaced" in line.pairs:
        cluster.evicted(line.name, time_ms(line.pairs["displaced"]))


def _promise(cluster: Cluster, line: Line) -> None:
    for name in (line.name, *_list(line.pairs, "leaving")):
        if name not in cluster.jobs:
            raise line.error(f"no job is called {name!r}")
    until_ms = time_ms(line.pairs.get("until", "60"))
    cluster.promise(line.name, _list(line.pairs, "on"), until_ms, _list(line.pairs, "leaving"))


def _wait(cluster: Cluster, line: Line) -> None:
    pairs = line.pairs
    queue = pairs.get("queue", DEFAULT_QUEUE)
    if queue not in cluster.queues:
        raise line.error(f"no queue is called {queue!r}")
    elements = int(pairs.get("array", "0"))
    job = cluster.wait(
        line.name,
        _shape(line),
        queue=queue,
        age_ms=time_ms(pairs.get("age", "0")),
        limit_ms=time_ms(pairs.get("est", "0")),
        expected_ms=time_ms(pairs.get("expected", "0")),
        attained_ms=time_ms(pairs.get("ran", "0")),
        deadline_ms=cluster.now_ms + time_ms(pairs["due"]) if "due" in pairs else 0,
        priority=int(pairs.get("prio", "5")),
        eligible_ms=cluster.now_ms + time_ms(pairs["begin"]) if "begin" in pairs else 0,
        held=int("held" in line.flags),
        blocked=int("blocked" in line.flags),
        is_array=int(elements > 0),
        array_left=elements or 1,
        array_next=int(pairs.get("next", "0")),
        array_room=int(pairs.get("cap", str(FOREVER_FREE))),
        **_owner(cluster, line),
    )
    touched = _list(pairs, "touched")
    if touched:
        cluster.touched[job.id] = tuple(int(position) for position in touched)


def _owner(cluster: Cluster, line: Line) -> dict[str, int]:
    """Project and user of a job, by number; 0 where nothing is said."""
    project, user = line.pairs.get("project", ""), line.pairs.get("user", "")
    return {"project": cluster.project(project).id if project else 0, "user": cluster.user(user) if user else 0}


def _project(cluster: Cluster, line: Line) -> None:
    pairs = line.pairs
    cluster.project(
        line.name,
        weight_milli=parse_milli(pairs.get("weight", "1")),
        quota=_bounds(pairs, "cpu", "mem", "gpu"),
        maximum=_bounds(pairs, "maxcpu", "maxmem", "maxgpu"),
        borrow="alone" not in line.flags,
    )


def _bounds(pairs: Mapping[str, str], cpu: str, mem: str, gpu: str) -> Bundle:
    """Bounds under these names; none where nothing is said."""
    return Bundle(
        parse_milli(pairs[cpu]) if cpu in pairs else UNLIMITED,
        parse_bytes(pairs[mem]) if mem in pairs else UNLIMITED,
        parse_milli(pairs[gpu]) if gpu in pairs else UNLIMITED,
    )


def _used(cluster: Cluster, line: Line) -> None:
    if "project" not in line.pairs:
        raise line.error("what was used counts for a project=NAME")
    amounts = (max(0, amount) for amount in _bounds(line.pairs, "cpu", "mem", "gpu"))
    cluster.used(line.pairs["project"], line.name, Bundle(*amounts))


def _window(cluster: Cluster, line: Line) -> None:
    pairs, devices = line.pairs, [int(index) for index in _list(line.pairs, "devices")]
    on = _list(pairs, "on")
    if not on or "until" not in pairs or any(place not in cluster.nodes for place in on):
        raise line.error("a window needs on=NODE,.. that exist, and until=TIME")
    cluster.window(
        line.name,
        on,
        time_ms(pairs.get("from", "0")),
        time_ms(pairs["until"]),
        project=pairs.get("project", ""),
        amounts=_amounts(pairs, Amounts()),
        devices=devices or None,
    )


def _set(cluster: Cluster, line: Line) -> None:
    values = {key: time_ms(text) if key.endswith("_ms") else int(text) for key, text in line.pairs.items()}
    cluster.settings = replace(cluster.settings, **values)  # type: ignore[arg-type]  # `policy` is not among the keys


_STATE: dict[str, Callable[[Cluster, Line], None]] = {
    "node": _node,
    "queue": _queue,
    "project": _project,
    "used": _used,
    "run": _run,
    "wait": _wait,
    "promise": _promise,
    "window": _window,
    "set": _set,
}


def _list(pairs: Mapping[str, str], key: str) -> list[str]:
    return [item for item in pairs.get(key, "").split(",") if item]


def _amounts(pairs: Mapping[str, str], default: Amounts) -> Amounts:
    return Amounts(
        parse_milli(pairs["cpu"]) if "cpu" in pairs else default.cpu_milli,
        parse_bytes(pairs["mem"]) if "mem" in pairs else default.memory_bytes,
        parse_bytes(pairs["storage"]) if "storage" in pairs else default.storage_bytes,
        int(pairs["net"]) if "net" in pairs else default.bandwidth_bps,
    )


def _shape(line: Line) -> Shape:
    pairs = line.pairs
    return Shape(
        amounts=_amounts(pairs, Amounts()),
        gpu_milli=parse_milli(pairs.get("gpu", "0")),
        gpu_memory_bytes=parse_bytes(pairs.get("gpumem", "0")),
        gpu_model=pairs.get("model", ""),
        tasks=int(pairs.get("tasks", "1")),
        nodes=int(pairs.get("nodes", "0")),
        app=pairs.get("app", ""),
        max_per_node=int(pairs.get("most", "0")),
        prefer=tuple(sorted(filter(None, pairs.get("prefer", "").split(",")))),
        prefer_wait_ms=time_ms(pairs.get("patience", "0")),
        labels=tuple(_list(pairs, "labels")),
    )
