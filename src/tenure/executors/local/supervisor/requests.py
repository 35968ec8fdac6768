"""What each request does, and its reply.

Replies carry the request's `id`; `launch`, `signal` and `ack` are answered only if they have one, because their effects
are announced as records anyway. Errors are always answered.
Invariant: a request with a lower fence than the highest seen changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import OLDEST_PROTOCOL, PROTOCOL, VERSION, amounts, clock, limits, memory, protocol
from .protocol import Message, Refused
from .server import Client
from .task import Task

if TYPE_CHECKING:
    from .resident import Resident


class Requests:
    """Serves the lines of every client on behalf of one supervisor."""

    def __init__(self, resident: Resident) -> None:
        self._resident = resident
        self._operations: dict[str, Callable[[Client, Message], Message | None]] = {
            "hello": self._hello,
            "launch": self._launch,
            "signal": self._signal,
            "observe": self._observe,
            "ack": self._ack,
            "list": self._list,
            "pids": self._pids,
            "usage": self._usage,
            "stats": self._stats,
            "shutdown": self._shutdown,
        }

    def serve(self, client: Client, line: bytes) -> None:
        """Carry out one line; whatever it holds, the answer is a reply or nothing."""
        message: Message = {}
        try:
            message = protocol.parse(line)
            operation = self._operations.get(message["op"], _unknown)
            reply = operation(client, message)
        except Refused as refused:
            reply = {"reply": "error", "code": refused.code, "why": refused.why}
        except Exception as error:  # a defect of ours must not cost the exit codes of everything that runs
            _log(error)
            why = "the supervisor failed on this request; its log has the details"
            reply = {"reply": "error", "code": "internal", "why": why}
        if reply is not None and (len(reply) > 1 or ("id" in message and not message.get("quiet"))):
            self._answer(client, message, reply)

    def _answer(self, client: Client, message: Message, reply: Message) -> None:
        if "id" in message:
            reply["id"] = message["id"]
        client.reply(json.dumps(reply, separators=(",", ":")).encode() + b"\n")

    def _hello(self, client: Client, message: Message) -> Message:
        offered = message.get("protocol")
        if not (isinstance(offered, list) and len(offered) == 2 and all(type(one) is int for one in offered)):
            raise Refused("bad_request", "hello needs protocol: [lowest, highest]")
        agreed = min(PROTOCOL, offered[1])
        if agreed < max(OLDEST_PROTOCOL, offered[0]):
            ours = f"{OLDEST_PROTOCOL} to {PROTOCOL}"
            why = f"this supervisor speaks protocols {ours}, you {offered[0]} to {offered[1]}; let its tasks end and restart it"
            raise Refused("protocol_mismatch", why)
        resident = self._resident
        return {
            "reply": "hello",
            "protocol": agreed,
            "version": VERSION,
            "pid": os.getpid(),
            "boot_id": resident.boot_id,
            "cgroups": resident.setup.described(),
            "fence": resident.fence,
            "shared": resident.shared,
            "next_seq": resident.journal.seq + 1,
            "acked": resident.journal.acked,
        }

    def _launch(self, client: Client, message: Message) -> Message:
        resident = self._resident
        batch = protocol.launches(message, client.templates)
        resident.raise_fence(protocol.number(message, "fence"))
        known = resident.starts.launch(batch, resident.fence)
        if known:
            client.reply(resident.told_again(known))
        return {"reply": "launch"}

    def _signal(self, client: Client, message: Message) -> Message:
        resident = self._resident
        items = protocol.signals(message)
        resident.raise_fence(protocol.number(message, "fence"))
        missing, resized = [], []
        for item in items:
            task = resident.tree.tasks.get((item.attempt, item.task))
            if task is not None and item.action == "resize":
                kept = amounts.change(task, item.cpu_milli, item.memory_bytes, resident.journal)
                resized.append([item.attempt, item.task, *kept])
            elif task is not None:
                self._act(task, item)
            elif not resident.starts.tell_waiting(item):
                missing.append([item.attempt, item.task])
        found = {"missing": missing, "resized": resized}
        return {"reply": "signal", **{name: value for name, value in found.items() if value}}

    def _act(self, task: Task, item: protocol.Signal) -> None:
        endings = self._resident.endings
        if item.action in ("stop", "kill", "suspend"):
            self._resident.starts.clear_behind(task, "the task before it was told to stop")
        if item.action == "stop":
            endings.end(task, "stopped", item.reason, task.grace_ms if item.grace_ms is None else item.grace_ms)
        elif item.action == "kill":
            endings.end(task, "stopped", item.reason, 0)
        elif item.action == "suspend":
            self._resident.pauses.suspend(task)
        elif item.action == "resume":
            self._resident.pauses.resume(task)
        elif item.action == "limit":
            limit_ms = task.used_ms(clock.boot_ms()) + item.left_ms if item.left_ms else item.limit_ms
            limits.change(task, limit_ms, self._resident.journal, self._resident.timers, endings)
        else:
            self._resident.tree.send(task, item.number)

    def _observe(self, client: Client, message: Message) -> Message:
        client.since = protocol.number(message, "since")
        client.offset = 0
        return {"reply": "observe"}

    def _ack(self, client: Client, message: Message) -> Message:
        self._resident.acknowledge(protocol.number(message, "seq"))
        return {"reply": "ack"}

    def _list(self, client: Client, message: Message) -> Message:
        resident = self._resident
        tasks = [_described(task) for task in resident.tree.tasks.values()]
        waiting = [{**_described(Task.of(one.launch, one.fence)), "state": "waiting"} for one in resident.rooms.everybody()]
        return {"reply": "list", "tasks": tasks + waiting}

    def _pids(self, client: Client, message: Message) -> Message:
        attempt = protocol.number(message, "attempt")
        tree = self._resident.tree
        found = [task for task in tree.tasks.values() if task.attempt == attempt]
        return {"reply": "pids", "tasks": [{"task": task.task, "pids": sorted(tree.members(task))} for task in found]}

    def _usage(self, client: Client, message: Message) -> Message:
        tree = self._resident.tree
        tasks = [{"attempt": task.attempt, "task": task.task, **memory.use_of(tree, task)} for task in tree.tasks.values()]
        return {"reply": "usage", "tasks": tasks}

    def _stats(self, client: Client, message: Message) -> Message:
        return {"reply": "stats", **self._resident.stats()}

    def _shutdown(self, client: Client, message: Message) -> Message:
        resident = self._resident
        if resident.tree.tasks:
            raise Refused("busy", f"{len(resident.tree.tasks)} tasks still run under this supervisor; stop them first")
        resident.leave()
        return {"reply": "shutdown", "leaving": True}


def _log(error: BaseException) -> None:
    """Where it happened, to the log. Not by the traceback module: it imports and reads sources, which may be new by now."""
    places, trace = [], error.__traceback__
    while trace is not None:
        places.append(f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}")
        trace = trace.tb_next
    os.write(2, f"{type(error).__name__}: {error} at {' '.join(places)}\n".encode("utf-8", "backslashreplace"))


def _unknown(_client: Client, message: Message) -> Message:
    raise Refused("unknown_op", f"there is no request {message['op']!r:.80}")


def _described(task: Task) -> dict[str, Any]:
    return {
        "attempt": task.attempt,
        "task": task.task,
        "fence": task.fence,
        "pid": task.pid,
        "start_ticks": task.start_ticks,
        "started_at_ms": task.started_at_ms,
        "state": "draining" if task.draining else "suspended" if task.frozen else "running",
        "ending": task.ending,
        "adopted": task.adopted,
        "cgroup": task.group_path,
        "time_limit_ms": task.time_limit_ms,
        "deadline_boot_ms": task.deadline_boot_ms,
        "devices": list(task.devices),
        "lease": task.lease,
    }
