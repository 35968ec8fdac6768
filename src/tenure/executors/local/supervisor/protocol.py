"""Requests as values: what a client may say, checked before anything acts on it.

Newline-delimited JSON. A request that is not understood as a whole changes nothing. Templates are interned per
connection, so an array of a thousand tasks sends its environment once.
Invariant: a `Launch` is complete and well-typed; only the file system and the kernel can still refuse it.
"""

from __future__ import annotations

import json
from typing import Any

TEMPLATES_KEPT = 256
LARGEST_REQUEST_BYTES = 16 << 20

Message = dict[str, Any]


class Refused(Exception):
    """A request that cannot be honoured as a whole: a stable code and one sentence with the way out."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Template:
    """What the tasks of one launch share. `identity` is whom they run as (uid, gid, other groups), empty for the supervisor's own
    user, where it serves nobody else. `programs` remembers where a command was found on the template's PATH."""

    __slots__ = ("argv", "cwd", "defaults", "env", "identity", "path", "programs", "umask")

    def __init__(self, raw: Message) -> None:
        self.argv = _words(raw.get("argv", []))
        self.env = environment(raw.get("env", {}))
        self.cwd = _path(raw.get("cwd", "/"), "cwd")
        self.umask = _integer(raw.get("umask", 0o022), "umask")
        self.path = os_decode(self.env.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin"))
        self.identity = tuple(_integer(number, "identity") for number in _listing(raw.get("identity", []), "identity"))
        if len(self.identity) == 1:
            raise Refused("bad_request", "identity is a uid, a gid and other groups")
        self.defaults = raw
        self.programs: dict[str, str] = {}


class Launch:
    """One task to start. `holder` is set for a lease, which has no process of its own: (pid, start ticks) of the one that
    is watched for it (pid 0: none)."""

    __slots__ = (
        "argv",
        "attempt",
        "cpu_milli",
        "devices",
        "env",
        "grace_ms",
        "holder",
        "memory_bytes",
        "own_log",
        "room",
        "stderr",
        "stdout",
        "task",
        "template",
        "time_limit_ms",
        "wait_ms",
    )

    def __init__(self, raw: Message, template: Template) -> None:
        get = (template.defaults | raw).get
        self.template = template
        self.attempt = _integer(get("attempt"), "attempt")
        self.task = _integer(get("task", 0), "task")
        self.argv = _words(raw["argv"]) if "argv" in raw else template.argv
        self.holder = _holder(raw["holder"]) if "holder" in raw else None
        if not self.argv and self.holder is None:
            raise Refused("bad_request", f"task {self.attempt}/{self.task} has no argv; give it one or put it in the template")
        self.env = environment(raw["env"]) if "env" in raw else {}
        self.stdout = _path(get("stdout", "/dev/null"), "stdout")
        self.own_log = get("own_log") is True
        stderr = get("stderr")
        self.stderr = None if stderr is None or stderr == self.stdout else _path(stderr, "stderr")
        self.time_limit_ms = _integer(get("time_limit_ms", 0), "time_limit_ms")
        self.grace_ms = _integer(get("grace_ms", 5_000), "grace_ms")
        self.cpu_milli = _integer(get("cpu_milli", 0), "cpu_milli")
        self.memory_bytes = _integer(get("memory_bytes", 0), "memory_bytes")
        self.room = _integer(get("room", 0), "room")
        self.wait_ms = _integer(get("wait_ms", 0), "wait_ms")
        devices = get("devices")
        self.devices = tuple(_words(devices)) if devices else ()


def os_decode(value: bytes) -> str:
    """Bytes of the system as text, without loss."""
    return value.decode("utf-8", "surrogateescape")


def parse(line: bytes) -> Message:
    """One request.

    :raises Refused: it is not a JSON object with an `op`.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused("bad_request", "the request is not valid JSON; send one JSON object per line") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise Refused("bad_request", 'a request is a JSON object with a text field "op"')
    return message


def launches(message: Message, templates: dict[str, Template]) -> list[Launch]:
    """The tasks of a launch request; new templates are interned in `templates` (oldest out first).

    :raises Refused: `bad_request` or `unknown_template` (send the template again); nothing is to be started then.
    """
    for name, raw in _mapping(message.get("templates", {}), "templates").items():
        templates.pop(name, None)
        templates[name] = Template(_mapping(raw, f"template {name}"))
    tasks = _listing(message.get("tasks"), "tasks")
    result = []
    for raw in tasks:
        if not isinstance(raw, dict):
            raise Refused("bad_request", "every entry of tasks is a JSON object")
        chosen = raw.get("template")
        template = templates.get(chosen) if isinstance(chosen, str) else None
        if template is None:
            raise Refused("unknown_template", f"template {chosen!r:.80} is not known on this connection; send it again")
        result.append(Launch(raw, template))
    while len(templates) > TEMPLATES_KEPT:
        del templates[next(iter(templates))]
    return result


class Signal:
    """One action on a task: stop (TERM, grace, KILL), kill, suspend, resume, limit (a new time limit: `limit_ms` from its start, or
    `left_ms` from now on), resize (other amounts of cpu and memory, 0: as it is), signal."""

    __slots__ = ("action", "attempt", "cpu_milli", "grace_ms", "left_ms", "limit_ms", "memory_bytes", "number", "reason", "task")
    ACTIONS = ("stop", "kill", "suspend", "resume", "limit", "resize", "signal")

    def __init__(self, raw: Message) -> None:
        self.attempt = _integer(raw.get("attempt"), "attempt")
        self.task = _integer(raw.get("task", 0), "task")
        self.action = raw.get("action")
        if self.action not in self.ACTIONS:
            raise Refused("bad_request", f"action {self.action!r} is not one of {', '.join(self.ACTIONS)}")
        self.number = _integer(raw.get("signal", 0), "signal")
        if self.action == "signal" and not 1 <= self.number <= 64:
            raise Refused("bad_request", "signal is a number from 1 to 64")
        self.left_ms = _integer(raw.get("left_ms", 0), "left_ms")
        has_limit = self.action == "limit" and not self.left_ms
        self.limit_ms = _integer(raw.get("limit_ms"), "limit_ms") if has_limit else 0
        self.cpu_milli = _integer(raw.get("cpu_milli", 0), "cpu_milli")
        self.memory_bytes = _integer(raw.get("memory_bytes", 0), "memory_bytes")
        grace = raw.get("grace_ms")
        self.grace_ms = None if grace is None else _integer(grace, "grace_ms")
        reason = raw.get("reason", "")
        if not isinstance(reason, str) or len(reason) > 200:
            raise Refused("bad_request", "reason is a text of at most 200 characters")
        self.reason = reason


def signals(message: Message) -> list[Signal]:
    """The actions of a signal request, checked before any is carried out.

    :raises Refused: one of them is malformed.
    """
    return [Signal(_mapping(raw, "an item")) for raw in _listing(message.get("items"), "items")]


def number(message: Message, name: str) -> int:
    """A whole number ≥ 0 that the request must have.

    :raises Refused: it is missing or something else.
    """
    return _integer(message.get(name), name)


def environment(raw: object) -> dict[bytes, bytes]:
    """An environment as the kernel takes it.

    :raises Refused: a name or value that no process can have.
    """
    result = {}
    for name, value in _mapping(raw, "env").items():
        if not _text(value) or not _text(name) or not name or "=" in name:
            raise Refused("bad_request", f"environment variable {name!r:.80} must be text without NUL, its name without '='")
        result[name.encode("utf-8", "surrogateescape")] = value.encode("utf-8", "surrogateescape")
    return result


def _integer(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Refused("bad_request", f"{name} must be a whole number of 0 or more, not {value!r:.80}")
    return value


def _holder(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise Refused("bad_request", f"holder must be [pid, start ticks], not {value!r:.80}")
    return _integer(value[0], "pid"), _integer(value[1], "start ticks")


def _text(value: object) -> bool:
    """Whether the kernel can take it: text without NUL that has a UTF-8 form (undecodable bytes as surrogate escapes)."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _words(value: object) -> list[str]:
    if not isinstance(value, list) or not all(map(_text, value)):
        raise Refused("bad_request", f"expected a list of texts without NUL, not {value!r:.80}")
    return value


def _path(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not _text(value):
        raise Refused("bad_request", f"{name} must be an absolute path, not {value!r:.80}")
    return value


def _mapping(value: object, name: str) -> Message:
    if not isinstance(value, dict):
        raise Refused("bad_request", f"{name} must be a JSON object")
    return value


def _listing(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused("bad_request", f"{name} must be a list")
    return value
