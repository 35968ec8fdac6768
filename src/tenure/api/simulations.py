"""Routes of simulations: started in the background, each in a process of its own, looked at, cancelled.

Each is seen by who started it, and by those who see everything. The store keeps them: what was under way when a daemon ended, however
it did, the next one begins anew, since the same request gives the same result. A store that takes nothing for a while, as on a full
disk, is told later. Invariants: one that runs is either followed by this daemon or begun by the next; a process that takes longer than
`PATIENCE_S` is ended; nobody makes the daemon read a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import done
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named, Number
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.model.access import Caller, Permission
from tenure.model.simulation import CANCELLED, FAILED, MOST_BEGUN, RUNNING, SUCCEEDED, BeginSimulation, SimulationNote
from tenure.ports import StoreUnavailable
from tenure.store.simulated import SimulationRow, listed, one, unfinished
from tenure.store.sql import Link
from tenure.wire import ROOT
from tenure.wire.simulations import SimulationRequest, SimulationsReply, SimulationView

routes = Routes(ROOT)
T = TypeVar("T")
PATIENCE_S = 900.0
TOLD_EVERY_S = 5.0
"""So often the store is told how far one is."""
AGAIN_S = 1.0
"""So soon a store that took nothing is asked again."""
State = Literal["", "running", "succeeded", "failed", "cancelled"]
RUNTIMES = ("exact", "requested", "predicted")
_LINE = 64 * 1024 * 1024


@dataclass(slots=True)
class _Run:
    """A simulation that runs here, and the task that follows its process. ``told_s`` is when the store last heard of it."""

    view: SimulationView
    task: asyncio.Task[None] | None = None
    told_s: float = 0.0


@dataclass(slots=True)
class Simulations:
    """Those that run in one daemon. Used in its event loop alone."""

    context: Context
    runs: dict[int, _Run] = field(default_factory=dict)

    async def resume(self) -> None:
        """Begin anew what an earlier daemon left under way, unless that was tried too often."""
        for number, begun, asked in await _patiently(lambda: self._read(unfinished)):
            if number in self.runs:
                continue
            if begun >= MOST_BEGUN:
                text = f"the daemon ended {begun} times while it ran; send it again, with fewer jobs or nodes"
                await self._keep(SimulationNote(number, FAILED, code="interrupted", text=text))
                continue
            await self._keep(SimulationNote(number, again=True))
            found = await _patiently(lambda number=number: self._found(number))  # type: ignore[misc]
            if found is not None:
                self._run(_view(*found), asked)

    async def start(self, wish: SimulationRequest, caller: Caller) -> SimulationView:
        """A new one, or that of the same key. Raises ApiError when there are too many."""
        asked = msgspec.json.encode(_plain(wish))
        given = await done(self.context, BeginSimulation(wish.key, caller, tuple(wish.policies), asked))
        view = await self.one(int(given.note), caller)
        if not given.replayed:
            self._run(view, asked)
        return view

    async def seen_by(self, caller: Caller) -> list[SimulationView]:
        """Those that the caller may see."""
        rows = await self._read(lambda link: listed(link, -1 if caller.sees_all else caller.uid))
        return [self._present(_view(row, b"")) for row in rows]

    async def one(self, number: int, caller: Caller) -> SimulationView:
        """The simulation of a number. Raises ApiError where there is none that the caller may see."""
        found = await self._found(number)
        if found is None or not (caller.sees_all or found[0].uid == caller.uid):
            raise failure("not_found", f"there is no simulation {number}", f"GET {ROOT}/simulations lists yours")
        return self._present(_view(*found))

    async def cancel(self, number: int) -> None:
        """End one that runs, also where nobody follows it yet. Raises StoreUnavailable."""
        run, said = self.runs.get(number), ("", 0, 0)
        if run is not None and run.task is not None:
            said = (run.view.policy, run.view.done, run.view.total)
            run.task.cancel()
            await asyncio.wait([run.task])
        await self._note(SimulationNote(number, CANCELLED, *said))  # one that is over stays as it is

    def _present(self, view: SimulationView) -> SimulationView:
        """As it is now: the store is told of progress only now and then."""
        run = self.runs.get(view.id)
        return run.view if run is not None and view.state == RUNNING else view

    def _run(self, view: SimulationView, asked: bytes) -> None:
        """Follow one, unless it is followed or over already: it may be begun anew in the moment in which it is begun."""
        if view.id in self.runs or view.state != RUNNING:
            return
        run = self.runs[view.id] = _Run(view)
        run.task = asyncio.get_running_loop().create_task(self._live(run, asked))

    async def _live(self, run: _Run, asked: bytes) -> None:
        """Follow it to its end, and keep that. One that is under way when the daemon ends stays so, for the next one to begin anew."""
        view = run.view
        try:
            await self._follow(run, asked)
            view.state = SUCCEEDED if view.result else FAILED
            if view.state == FAILED and not view.code:
                view.code, view.text = "too_large", "it ended before it was done: it took more time or memory than one may"
            result = msgspec.json.encode(view.result) if view.result else b""
            said = (view.policy, view.done, view.total, view.code, view.text)
            await self._keep(SimulationNote(view.id, view.state, *said, result))
        finally:
            del self.runs[view.id]

    async def _follow(self, run: _Run, asked: bytes) -> None:
        """Start its process and hear what it says."""
        view = run.view
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tenure.sim.background"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=_LINE,
            )
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._hear(process, asked, run)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        except (TimeoutError, OSError, ValueError) as error:
            view.code, view.text = "internal", f"the simulation could not be carried out: {error or 'it took too long'}"

    async def _hear(self, process: asyncio.subprocess.Process, asked: bytes, run: _Run) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(asked)
        process.stdin.close()
        view, clock = run.view, asyncio.get_running_loop()
        async for line in process.stdout:
            for name, value in msgspec.json.decode(line).items():
                setattr(view, name, value)
            if clock.time() >= run.told_s + TOLD_EVERY_S and not view.result:
                run.told_s = clock.time()
                with contextlib.suppress(StoreUnavailable):
                    await self._note(SimulationNote(view.id, RUNNING, view.policy, view.done, view.total))

    async def _found(self, number: int) -> tuple[SimulationRow, bytes] | None:
        return await self._read(lambda link: one(link, number))

    async def _read(self, look: Callable[[Link], T]) -> T:
        return await asyncio.to_thread(self.context.queries.read, look)

    async def _keep(self, told: SimulationNote) -> None:
        await _patiently(lambda: self._note(told))

    async def _note(self, told: SimulationNote) -> None:
        loop = self.context.loop
        await self.context.on_control(lambda: loop.ports.store.note_simulation(told, loop.clock.now_ms()))


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What the store answers, once it can."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            return await ask()
        await asyncio.sleep(AGAIN_S)


def _view(row: SimulationRow, result: bytes) -> SimulationView:
    """A row as the wire shows it."""
    said = {name: getattr(row, name) for name in ("id", "state", "user", "made_ms", "policy", "done", "total", "code", "text")}
    policies, found = msgspec.json.decode(row.policies), msgspec.json.decode(result) if result else {}
    return SimulationView(**said, ended_ms=row.ended_ms or 0, policies=policies, result=found)


def _plain(wish: SimulationRequest) -> dict[str, Any]:
    """Every field, those with their default too: the process knows no defaults."""
    return {name: getattr(wish, name) for name in wish.__struct_fields__}


@routes.post("/simulations", SimulationRequest, SimulationView, statuses=(202,), errors=("too_many",), needs=Permission.JOBS_WRITE)
async def start(request: Request) -> Response:
    """Replay a workload in the background; ask for it by its number to see how far it is."""
    wish = await body_of(request, SimulationRequest)
    if bool(wish.generate) == bool(wish.trace):
        raise failure("bad_request", "a simulation has a generator or a trace, one of the two", 'send {"generate": "lublin:jobs=500"}')
    if wish.runtimes not in RUNTIMES or not wish.policies:
        raise failure("bad_request", f"runtimes are {', '.join(RUNTIMES)}, and there must be a policy to replay", "name one")
    view = await context_of(request).kept(Simulations).start(wish, caller_from(request))
    return answer(view, 202, {"Location": f"{ROOT}/simulations/{view.id}"})


@routes.get("/simulations", SimulationsReply, needs=Permission.JOBS_READ)
async def listing(request: Request, state: State = "", user: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of your simulations, the newest first, without what came of them."""
    found = await context_of(request).kept(Simulations).seen_by(caller_from(request))
    wanted = [one for one in found if state in ("", one.state) and user in ("", one.user)]
    page, more = page_of("simulations", wanted, lambda one: (-one.id,), limit, cursor)
    return answer(SimulationsReply(simulations=[replace(one, result={}) for one in page], next=more))


@routes.get("/simulations/{number}", SimulationView, needs=Permission.JOBS_READ)
async def show(request: Request, number: Number) -> Response:
    """How far a simulation is, and what came of it."""
    return answer(await context_of(request).kept(Simulations).one(number, caller_from(request)))


@routes.post("/simulations/{number}/cancel", None, SimulationView, needs=Permission.JOBS_WRITE)
async def cancel(request: Request, number: Number) -> Response:
    """End a simulation; one that has ended is left alone."""
    simulations, caller = context_of(request).kept(Simulations), caller_from(request)
    await simulations.one(number, caller)
    await simulations.cancel(number)
    return answer(await simulations.one(number, caller))
