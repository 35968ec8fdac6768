"""The journal's records as lines: one JSON object each, the same bytes on disk and to observers.

Why by hand: a record is made two or three times per task on the hot path, and a format string costs a third of a general
encoder. Invariant: every line starts with `{"seq":N,"kind":"K"`, which readers may rely on to skip lines unparsed.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .task import Task

#: What observers are told; the other kinds (boot, intent, ack, fence, and the notes of a task: suspended, resumed, limited, resized)
#: are the supervisor's own memory.
PUBLIC = frozenset((b"started", b"rejected", b"exited", b"emptied"))


def intent(seq: int, task: Task, at_ms: int) -> bytes:
    """Written before the spawn: all that a later supervisor needs to go on guarding the task."""
    room = f',"room":{task.room}' if task.room else ""
    lease = ',"lease":true' if task.lease else ""
    whose = f',"uid":{task.uid}' if task.uid else ""
    return (
        f'{{"seq":{seq},"kind":"intent","attempt":{task.attempt},"task":{task.task},"fence":{task.fence},"at_ms":{at_ms}'
        f',"time_limit_ms":{task.time_limit_ms},"grace_ms":{task.grace_ms},"cpu_milli":{task.cpu_milli}'
        f',"memory_bytes":{task.memory_bytes},"group":{quote(task.group_path)},"oom_before":{task.oom_before}'
        f',"devices":{_texts(task.devices)},"logs":{_texts(task.log_files)}{room}{lease}{whose}}}\n'
    ).encode()


def started(seq: int, task: Task) -> bytes:
    """The process exists; of a lease: it is held."""
    lease = f',"lease":true,"boot_ms":{task.started_boot_ms}' if task.lease else ""
    return (
        f'{{"seq":{seq},"kind":"started","attempt":{task.attempt},"task":{task.task},"fence":{task.fence}'
        f',"pid":{task.pid},"start_ticks":{task.start_ticks},"at_ms":{task.started_at_ms}{lease}}}\n'
    ).encode()


def rejected(seq: int, task: Task, fault: str, code: str, why: str, at_ms: int) -> bytes:
    """The process never existed. `fault` says whose it is: the job's (do not try elsewhere) or the node's."""
    return (
        f'{{"seq":{seq},"kind":"rejected","attempt":{task.attempt},"task":{task.task},"fence":{task.fence}'
        f',"fault":"{fault}","code":"{code}","why":{quote(why)},"at_ms":{at_ms}}}\n'
    ).encode()


class End:
    """How a task ended. `None` says that nobody can know."""

    __slots__ = (
        "at_ms",
        "cpu_ms",
        "empty",
        "exit_code",
        "oom_kills",
        "peak_bytes",
        "peak_rss_bytes",
        "reason",
        "signal",
        "wall_ms",
        "why",
    )

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.reason = "unknown"
        self.at_ms = 0
        self.wall_ms: int | None = None
        self.cpu_ms: int | None = None
        self.peak_bytes: int | None = None  #: of the tree, page cache included where control groups count
        self.peak_rss_bytes: int | None = None  #: of its largest process
        self.oom_kills = 0
        self.empty = True
        self.why = ""


def exited(seq: int, task: Task, end: End) -> bytes:
    """The main process is gone; `empty` says whether everything else of the task is, too."""
    return (
        f'{{"seq":{seq},"kind":"exited","attempt":{task.attempt},"task":{task.task},"fence":{task.fence}'
        f',"exit_code":{_or_null(end.exit_code)},"signal":{_or_null(end.signal)},"reason":"{end.reason}"'
        f',"stop_reason":{quote(task.stop_reason)},"started_at_ms":{task.started_at_ms or "null"},"ended_at_ms":{end.at_ms}'
        f',"wall_ms":{_or_null(end.wall_ms)},"cpu_ms":{_or_null(end.cpu_ms)},"peak_memory_bytes":{_or_null(end.peak_bytes)}'
        f',"peak_rss_bytes":{_or_null(end.peak_rss_bytes)}'
        f',"oom_kills":{end.oom_kills},"empty":{"true" if end.empty else "false"},"why":{quote(end.why)}}}\n'
    ).encode()


def emptied(seq: int, task: Task, at_ms: int) -> bytes:
    """Nothing of the task is left."""
    return (
        f'{{"seq":{seq},"kind":"emptied","attempt":{task.attempt},"task":{task.task},"fence":{task.fence}'
        f',"strays_killed":{task.strays_killed},"at_ms":{at_ms}}}\n'
    ).encode()


def note(seq: int, kind: str, **fields: Any) -> bytes:
    """A record of the rare kinds."""
    return json.dumps({"seq": seq, "kind": kind, **fields}, separators=(",", ":")).encode() + b"\n"


def kind_of(line: bytes) -> bytes:
    """The kind of a line, read without parsing it; empty where the line is not one of ours."""
    start = line.find(b'"kind":"', 0, 48)
    return line[start + 8 : line.find(b'"', start + 8, start + 32)] if start >= 0 else b""


def seq_of(line: bytes) -> int:
    """The seq of a line, read without parsing it; 0 where the line is not one of ours."""
    if not line.startswith(b'{"seq":'):
        return 0
    digits = line[7 : line.find(b",", 7, 32)]
    return int(digits) if digits.isdigit() else 0


def _or_null(value: int | None) -> str:
    return "null" if value is None else str(value)


def _texts(values: tuple[str, ...]) -> str:
    return f"[{','.join(map(quote, values))}]" if values else "[]"


def key_of(record: dict[str, Any]) -> tuple[int, int] | None:
    """(attempt, task) of a record, or None where it has none."""
    attempt, task = record.get("attempt"), record.get("task")
    return (attempt, task) if type(attempt) is int and type(task) is int else None


def told(line: bytes, since: int) -> bool:
    """Whether a line read from the file is to be told to an observer who knows everything up to `since`."""
    return kind_of(line) in PUBLIC and seq_of(line) > since and (record := parsed(line)) is not None and key_of(record) is not None


def parsed(line: bytes) -> dict[str, Any] | None:
    """A line as a record, or None: torn, or not one of ours."""
    try:
        record = json.loads(line)
        return dict(record) if type(record["seq"]) is int and type(record["kind"]) is str else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
