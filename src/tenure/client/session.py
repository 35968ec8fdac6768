"""The synchronous client: one typed method per thing one can ask of the daemon.

Amounts and ids are the integers and words of `tenure.wire`; `submit` also takes what people write (``memory="8G"``). Every change
carries an idempotency key, so that a lost answer never means a second job. Invariant: no method returns before the daemon said yes,
and what it acknowledged is on disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from tenure.client import http
from tenure.client.conflicts import Conflicts
from tenure.client.errors import TenureError, error_of
from tenure.client.hearing import Hearing
from tenure.client.leases import Leases
from tenure.client.link import Link, decoder, lost, path_of, quote
from tenure.client.listing import Listing
from tenure.client.monitor import Monitor
from tenure.client.people import People
from tenure.client.policies import Policies
from tenure.client.reservations import Reservations
from tenure.client.selecting import Which, selection
from tenure.client.thinking import Thinking
from tenure.model.amounts import is_whole
from tenure.wire import MEETING, dto
from tenure.wire.pools import PoolsReply
from tenure.wire.sharing import ProjectsReply

if TYPE_CHECKING:
    from tenure.client.place import Place
    from tenure.wire.login import LoginReply
    from tenure.wire.whatif import PlanReply, WhatIfReply, WhatIfRequest

WAIT_SLICE_MS = 30_000
_CUTS = 3


class _Many(msgspec.Struct):
    """A `SubmitManyReply` whose entries are told apart one by one."""

    results: list[msgspec.Raw]


def new_key() -> str:
    """A fresh idempotency key."""
    return os.urandom(16).hex()


class Client(Listing, Hearing):
    """A connection to one daemon; use `connect` to get one. Not for use by two threads at a time; open one per thread.

    Everything raises `TenureError` or one of its kinds. ``admin`` has what concerns the installation and not a job,
    ``policies`` how it is decided, ``people`` who may do what, ``conflicts`` what not everybody can have, ``monitor`` how machines and
    jobs do, ``reservations`` what is set aside, ``leases`` what is lent for a short time, ``thinking``
    how things stand and what would help, ``people`` who one is and what tokens one has.
    ``place`` is where the daemon is, None for that of a home.
    """

    def __init__(self, where: str | Place, *, timeout_s: float = 30.0, revive: Callable[[], None] | None = None) -> None:
        self._link = Link(where, timeout_s, revive)
        self.place = None if isinstance(where, str) else where
        self.admin = Admin(self._link)
        self.policies = Policies(self._link)
        self.conflicts = Conflicts(self._link)
        self.monitor = Monitor(self._link)
        self.reservations = Reservations(self._link)
        self.leases = Leases(self._link)
        self.thinking = Thinking(self._link)
        self.people = People(self._link)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Jobs are not concerned."""
        self._link.close()

    def submit(self, command: Sequence[str] | dto.SubmitRequest, **options: Any) -> dto.SubmitReply:
        """Queue a job: an argv with the options of `build_request`, or a request as it stands. Returns its id."""
        request = command if isinstance(command, dto.SubmitRequest) else self._built(command, options)
        return self._link.call("POST", "/api/v1/jobs", dto.SubmitReply, request)

    def _built(self, command: Sequence[str], options: dict[str, Any]) -> dto.SubmitRequest:
        from tenure.client.requests import build_request

        if self.place is not None and not self.place.is_this_machine:
            options.setdefault("inherit", False)
        return build_request(command, key=new_key(), **options)

    def submit_many(self, requests: Sequence[dto.SubmitRequest]) -> list[dto.SubmitReply | TenureError]:
        """Queue several jobs in one durable write: a reply or the error of each, in order; one refused does not hinder the others."""
        raw = self._link.call("POST", "/api/v1/jobs/batch", _Many, dto.SubmitManyRequest(jobs=list(requests)))
        return [_one_of_many(item) for item in raw.results]

    def plan(self, command: Sequence[str] | dto.SubmitRequest, **options: Any) -> PlanReply:
        """What would become of this submission, and whom it would delay; nothing is queued."""
        from tenure.wire.whatif import PlanReply

        request = command if isinstance(command, dto.SubmitRequest) else self._built(command, options)
        return self._link.call("POST", "/api/v1/plan", PlanReply, request, timeout_s=120)

    def show(self, job: str | int) -> dto.JobDetail:
        """Everything about one job."""
        return self._link.call("GET", f"/api/v1/jobs/{quote(str(job))}", dto.JobDetail)

    def why(self, job: str | int) -> dto.ExplanationView:
        """Why it is where it is."""
        return self._link.call("GET", f"/api/v1/jobs/{quote(str(job))}/why", dto.ExplanationView)

    def logs(
        self,
        job: str | int,
        *,
        attempt: int = 0,
        task: int = 0,
        stream: str = "out",
        offset: int | None = None,
        since_ms: int = 0,
        tail: int = 0,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """A task's output, piece by piece. ``tail`` starts that many lines before the end, ``offset`` at that byte, ``since_ms`` at
        that moment (at most some seconds earlier). With ``follow`` it goes on until the task has ended, waits for one that has not
        started, and outlives a restart of the daemon."""
        base = f"/api/v1/jobs/{quote(str(job))}/log"
        query: dict[str, Any] = {"attempt": attempt, "task": task, "stream": stream, "follow": follow}
        position = offset  # None: the beginning, or where ``tail`` says
        failures = 0
        while True:
            head, pieces, close, _ = self._link.stream(
                path_of(base, **query, offset=position, since_ms=since_ms or None, tail=tail or None)
            )
            position, tail, since_ms = int(head.get("tenure-log-offset") or position or 0), 0, 0
            try:
                for piece in pieces:
                    position += len(piece)
                    failures = 0
                    yield piece
            except http.Broken as error:
                failures += 1
                if failures > _CUTS:
                    raise lost(error) from error
            else:
                return
            finally:
                close()

    def events(self, *, after: int = 0, limit: int | None = None, job: str = "", follow: bool = False) -> Iterator[dto.EventView]:
        """Events after the cursor ``after`` (-1: from now on), in order. With ``follow`` it goes on for ever and outlives a restart of
        the daemon. Kind ``reset`` means that events are missing: read the present state anew."""
        decode = decoder(dto.EventView).decode
        failures = 0
        while True:
            head, pieces, close, _ = self._link.stream(
                path_of("/api/v1/events/lines", after=after, limit=limit, job=job, follow=follow)
            )
            if after < 0 and is_whole(begun := head.get("tenure-cursor")):
                after = int(begun)  # where the present was: to ask for it again would leave out what happened since
            try:
                for line in _lines(pieces):
                    event = decode(line)
                    after = event.cursor
                    failures = 0
                    yield event
            except http.Broken as error:
                failures += 1
                if not follow or failures > _CUTS:
                    raise lost(error) from error
            else:
                return
            finally:
                close()

    def act(self, action: str, which: Which, *, why: str = "", key: str = "") -> dto.ActReply:
        """Cancel, hold, release, requeue, suspend or resume what is selected: one result per job. ``key`` is the idempotency key."""
        request = dto.ActRequest(action=action, select=selection(which), key=key or new_key(), why=why)
        return self._link.call("POST", "/api/v1/jobs/act", dto.ActReply, request)

    def update(self, which: Which, **changes: Any) -> dto.ActReply:
        """Change fields of what is selected, named as in `tenure.wire.dto.UpdateRequest`."""
        request = dto.UpdateRequest(select=selection(which), key=new_key(), **changes)
        return self._link.call("POST", "/api/v1/jobs/update", dto.ActReply, request)

    def wait(self, which: Which, timeout_s: float | None = None) -> dto.WaitReply:
        """Return when all that is selected has ended, or ``done`` false after ``timeout_s``."""
        chosen = selection(which)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            slice_ms = WAIT_SLICE_MS if deadline is None else max(0, min(WAIT_SLICE_MS, int((deadline - time.monotonic()) * 1000)))
            request = dto.WaitRequest(select=chosen, timeout_ms=slice_ms)
            reply = self._link.call("POST", "/api/v1/jobs/wait", dto.WaitReply, request, timeout_s=slice_ms / 1000 + 30)
            if reply.done or (deadline is not None and time.monotonic() >= deadline):
                return reply
            if reply.jobs and any(name.startswith("last") for name in chosen.ids):
                chosen = dto.Selection(ids=[job.id for job in reply.jobs])  # "last" must not wander to a job submitted meanwhile


class Admin:
    """What concerns the installation: nodes, queues, the daemon itself."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def nodes(self) -> dto.NodesReply:
        """All nodes and devices."""
        return self._link.whole("/api/v1/nodes", dto.NodesReply)

    def set_node(self, name: str, status: str, reason: str = "") -> dto.NodeView:
        """Drain (``draining``) or resume (``up``) a node."""
        return self._link.call(
            "POST", "/api/v1/nodes", dto.NodeView, dto.NodeRequest(name=name, status=status, key=new_key(), reason=reason)
        )

    def what_if(self, request: WhatIfRequest) -> WhatIfReply:
        """What would start when if something were different, and who would be delayed by how much; nothing is changed."""
        from tenure.wire.whatif import WhatIfReply

        return self._link.call("POST", "/api/v1/what-if", WhatIfReply, request, timeout_s=120)

    def projects(self) -> ProjectsReply:
        """How projects stand."""
        return self._link.whole("/api/v1/projects", ProjectsReply)

    def pools(self) -> PoolsReply:
        """The pools of nodes, and what is held of them."""
        from tenure.wire.pools import PoolsReply

        return self._link.whole("/api/v1/pools", PoolsReply)

    def queues(self) -> dto.QueuesReply:
        """All queues."""
        return self._link.whole("/api/v1/queues", dto.QueuesReply)

    def set_queue(self, name: str, **changes: Any) -> dto.QueueView:
        """Make or change a queue; fields as in `tenure.wire.dto.QueueRequest`."""
        return self._link.call("POST", "/api/v1/queues", dto.QueueView, dto.QueueRequest(name=name, key=new_key(), **changes))

    def status(self) -> dto.StatusView:
        """The daemon about itself."""
        return self._link.call("GET", f"{MEETING}/status", dto.StatusView)

    def doctor(self, *, check_store: bool = False) -> dto.DoctorReply:
        """All findings; with ``check_store`` every invariant of the store is derived anew."""
        return self._link.call("GET", path_of("/api/v1/doctor", check_store=check_store), dto.DoctorReply, timeout_s=600)

    def backup(self, path: str) -> dto.BackupReply:
        """Write a consistent copy of the store to ``path``, which must not exist."""
        return self._link.call("POST", "/api/v1/backup", dto.BackupReply, dto.BackupRequest(path=path), timeout_s=600, repeat=False)

    def login_link(self) -> LoginReply:
        """A link that logs one browser in as the caller, once and within five minutes."""
        from tenure.wire.login import LoginReply

        return self._link.call("POST", "/api/v1/login-links", LoginReply, {}, repeat=False)

    def down(self) -> None:
        """Ask the daemon to stop; running jobs go on."""
        self._link.call("POST", f"{MEETING}/down", dict[str, Any], {}, repeat=False)
        self._link.close()


def _one_of_many(raw: msgspec.Raw) -> dto.SubmitReply | TenureError:
    try:
        refused = decoder(dto.ErrorReply).decode(raw)
    except msgspec.ValidationError:
        return decoder(dto.SubmitReply).decode(raw)
    return error_of(refused.code, refused.message, refused.remedy, refused.details)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream; empty ones (a sign of life) are left out."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
