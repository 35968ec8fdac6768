"""What every route works with, and how it waits for the control thread without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tenure import __version__
from tenure.api.answered import Answers
from tenure.api.bus import Bus
from tenure.api.errors import ApiError as ApiError  # noqa: PLC0414 (what every endpoint takes from here)
from tenure.api.feed import Feed
from tenure.api.identity import Identity
from tenure.api.identity import caller_from as caller_from  # noqa: PLC0414
from tenure.api.limits import Limits
from tenure.api.listener import Listener
from tenure.api.problems import failure
from tenure.api.routes import KEY, check_header
from tenure.control.admission import Admission
from tenure.control.hinting import Hints
from tenure.control.loop import STUCK_AFTER_S, ControlLoop
from tenure.executors.local.accounts import account_of
from tenure.model.anomaly import Anomaly
from tenure.model.commands import Answer, Caller, Command, Holder
from tenure.model.node import Node
from tenure.model.observations import Launch
from tenure.model.pool import Pool
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.monitors.watch import Watch
from tenure.store.queries import Queries
from tenure.wire.dto import CheckView, JobView

T = TypeVar("T")
MAX_EXPECTED = 200
EXPECTED_WITHIN_S = 0.025
"""So long a read waits for the control thread to begin to say when jobs should start."""
MAX_BODY_BYTES = 64 * 1024 * 1024
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Then = Callable[[Sequence[Answer]], None]
"""Called with answers by the thread that gives them; it must neither block nor fail."""


@dataclass(slots=True)
class Context:
    """The daemon as its routes see it."""

    loop: ControlLoop
    queries: Queries
    bus: Bus
    home: Path
    socket: Path
    default_memory_bytes: int = 0
    own_plan: PlanSettings = PlanSettings()
    settings: Mapping[str, Any] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    started_ms: int = 0
    diagnose: Callable[[bool], Sequence[CheckView]] = lambda _check_store: ()
    supervisor: Callable[[], tuple[int, str, dict[str, str]]] = lambda: (0, "", {})
    environment_of: Callable[[Launch], dict[str, str]] = lambda _launch: {}
    holder_of: Callable[[int], Holder] = lambda _pid: Holder()
    max_ttl_ms: int = 3_600_000
    log_length_at: Callable[[int, int, int, int], int] = lambda _attempt, _task, _stream, _moment_ms: 0
    shut_down: Callable[[], None] = lambda: None
    hints: Hints = field(default_factory=lambda: Hints(lambda _call: None, lambda _given, _withdrawn: None))
    watch: Watch | None = None
    listener: Listener | None = None
    root_jobs: bool = False
    limits: Limits = field(default_factory=Limits)
    version: str = __version__
    pid: int = field(default_factory=os.getpid)
    identity: Identity = field(init=False)
    answers: Answers = field(init=False)
    feed: Feed = field(init=False)
    _judged_nodes: Sequence[Node] = ()
    _possible: set[Shape] = field(default_factory=set)
    _kept: dict[type[Any], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identity = Identity(self.queries)
        self.answers = Answers(self.queries)
        self.feed = Feed(self.bus, self.queries, self.alarm)
        self.feed.beside = self._report

    async def _report(self) -> None:
        """Tell whoever follows how things stand, after each cycle but not more than once a second, and what would help."""
        from tenure.api.thinking import push_advice, push_reports

        await asyncio.gather(push_reports(self), push_advice(self))

    def alarm(self) -> Anomaly | None:
        """Whether the control loop does not turn; asks nothing of it."""
        stuck_s = self.loop.health.stuck_for_s()
        if stuck_s <= STUCK_AFTER_S:
            return None
        from tenure.monitors.signs import loop_stuck

        return loop_stuck(stuck_s, self.loop.clock.now_ms())

    def kept(self, kind: type[T]) -> T:
        """What some routes keep between two calls: the one object of that type, made of this context when it is first asked for."""
        found = self._kept.get(kind)
        if found is None:
            found = self._kept[kind] = kind(self)  # type: ignore[call-arg]
        return cast("T", found)

    async def apply(self, commands: Sequence[Command], then: Then | None = None) -> list[Answer]:
        """Have commands applied durably. ``then`` is called with the answers before anything else becomes of what they are about."""
        answers: Future[list[Answer]] = Future()
        if then is not None:
            answers.add_done_callback(lambda done: then(() if done.exception() else done.result()))
        return await settled(self.loop.submit(commands, answers))

    def check_runs_as(self, caller: Caller) -> None:
        """Raise ApiError for one as whom no job can run, where jobs run as those who submit them."""
        if not self.identity.shared:
            return
        if caller.uid == 0 and not self.root_jobs:
            text, remedy = "jobs do not run as root here", "submit it as a user; [shared] root = true allows it"
            raise failure("root_jobs", text, remedy)
        if account_of(caller.uid) is None:
            text = f"{caller.user} has no account on this machine that a job could run as"
            raise failure("no_account", text, "submit with the token of somebody who has one")

    async def on_control(self, function: Callable[[], T]) -> T:
        """Run a function on the control thread."""
        result: T = await settled(self.loop.call(function))
        return result

    async def add_expected_starts(self, jobs: Sequence[JobView], within_s: float | None = EXPECTED_WITHIN_S) -> None:
        """Set ``eta_ms`` of the waiting jobs among these, of the first `MAX_EXPECTED` by id; the others stay unknown, and all of them
        if the control thread does not come to it in time (None: whenever it does): nobody who merely reads waits for a long plan."""
        waiting = [job for job in reversed(jobs) if job.state == "pending"][:MAX_EXPECTED]
        if waiting:
            starts = await self.expected_starts([job.number for job in waiting], within_s)
            for job in waiting:
                job.eta_ms = starts.get(job.number, 0)

    async def expected_starts(self, numbers: Sequence[int], within_s: float | None = EXPECTED_WITHIN_S) -> Mapping[int, int]:
        """When these waiting jobs should start, as far as that is known; of none if the control thread does not come to it in time."""
        call: Future[Mapping[int, int]] = self.loop.call(lambda: self.loop.expected_starts(numbers).starts)
        try:
            async with asyncio.timeout(within_s):
                return await settled(call)
        except TimeoutError:
            return {} if call.cancel() else await settled(call)  # it has begun

    def admission(self, caller: Caller) -> Admission:
        """Admission for one caller: ``last`` is the caller's."""
        nodes = self.loop.planner.nodes
        if nodes is not self._judged_nodes:
            self._judged_nodes, self._possible = nodes, set()
        return Admission(nodes, lambda word: self._number(word, caller), self.default_memory_bytes, self._possible, self.pools)

    def _number(self, word: str, caller: Caller) -> int:
        from tenure.wire.dto import Selection

        try:
            found = self.queries.resolve(Selection(ids=[word]), caller)
        except ValueError as error:
            raise failure("bad_request", str(error)) from None
        if not found:
            raise failure("not_found", f"there is no job {word}", "tenure ps -a lists all jobs")
        return found[0].job_id


async def settled(future: Future[T]) -> T:
    """Await what another thread will deliver, with one wake-up of the event loop."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def arrived(_done: Future[T]) -> None:
        loop.call_soon_threadsafe(_release, waiter)

    future.add_done_callback(arrived)
    await waiter
    return future.result()


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def body_of(request: Request, kind: type[T], *, optional: bool = False) -> T:
    """Decode the body strictly; one that may be left out is then as its defaults say. A body that is too large, no JSON, or has an
    unknown, ill-typed or unbounded field is refused. An ``Idempotency-Key`` is the key of a body that has none."""
    headers = dict(request.scope["headers"])
    body = await read_body(headers, request.receive)
    return keyed(kind() if optional and not body.strip() else decoded(body, kind), headers)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The whole body; what a client that hung up has sent so far. Raises ApiError for too much, or for something that is no JSON."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise failure("too_large", "a request has at most 64 MiB")
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        said = kind.decode("latin-1")[:60]
        raise failure("unsupported_media_type", f"a body is application/json, not {said}", "send Content-Type: application/json")
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise failure("too_large", "a request has at most 64 MiB")
    return body


def keyed(wish: T, headers: Mapping[bytes, bytes]) -> T:
    """The request with the idempotency key of its header. Raises ApiError when it has another one itself."""
    said = headers.get(b"idempotency-key")
    if said is not None and hasattr(wish, "key"):
        check_header(KEY, said)
        key = said.decode("latin-1")
        if wish.key not in ("", key):
            raise failure("bad_request", f"the body has another key than {KEY} says", "leave one of them out")
        wish.key = key
    return wish


def decoded(body: bytes, kind: type[T]) -> T:
    """A body as the struct it must be; made a decoder once per kind."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        try:
            result: T = decoder.decode(body)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            result = msgspec.convert(_whole(msgspec.json.decode(body)), kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise failure("malformed", f"the request is not understood: {error}") from None
    return result


def _whole(value: Any) -> Any:
    """A decoded body with whole numbers where a writer that knows only floats wrote 5.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {name: _whole(each) for name, each in value.items()} if isinstance(value, dict) else value


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_encoder = msgspec.json.Encoder()


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value of the wire as a response."""
    return Response(encoded(value), status, headers, media_type="application/json")


def encoded(value: Any) -> bytes:
    """A value of the wire as JSON; bytes are JSON already."""
    return value if isinstance(value, bytes) else _encoder.encode(value)


def context_of(request: HTTPConnection) -> Context:
    """The daemon that serves this request."""
    context: Context = request.app.state.context
    return context
