"""Routes of simulations: started in the background, each in a process of its own, looked at, cancelled.

Each is seen by who started it, and by those who see everything. They live as long as the daemon: a replay can be asked for again.
Invariants: at most `MOST_AT_ONCE` run and `KEPT` are kept; a process that takes longer than `PATIENCE_S` is ended; nobody makes the
daemon read a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named, Number
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.model.access import Caller, Permission
from tenure.wire import ROOT
from tenure.wire.simulations import SimulationRequest, SimulationsReply, SimulationView

routes = Routes(ROOT)
MOST_AT_ONCE, MOST_OF_ONE, KEPT = 2, 1, 50
PATIENCE_S = 900.0
State = Literal["", "running", "succeeded", "failed", "cancelled"]
RUNTIMES = ("exact", "requested", "predicted")
_LINE = 64 * 1024 * 1024


@dataclass(slots=True)
class _Run:
    """A simulation, whose it is, and the task that follows its process."""

    view: SimulationView
    uid: int
    key: str
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Simulations:
    """Those of one daemon. Used in its event loop alone."""

    context: Context
    runs: dict[int, _Run] = field(default_factory=dict)
    last: int = 0

    def seen_by(self, caller: Caller) -> list[_Run]:
        """Those that the caller may see, the newest first."""
        return [run for run in reversed(self.runs.values()) if caller.sees_all or run.uid == caller.uid]

    def start(self, wish: SimulationRequest, caller: Caller) -> _Run:
        """A new one, or that of the same key. Raises ApiError when there are too many."""
        mine = [run for run in self.runs.values() if run.uid == caller.uid]
        for run in mine:
            if wish.key and run.key == wish.key:
                return run
        running = [run for run in self.runs.values() if run.view.state == "running"]
        if len(running) >= MOST_AT_ONCE or len([run for run in running if run.uid == caller.uid]) >= MOST_OF_ONE:
            text = f"{len(running)} simulations run already; one person runs {MOST_OF_ONE} at a time, all together {MOST_AT_ONCE}"
            raise failure("too_many", text, "wait for one, or cancel it")
        self.last += 1
        made_ms = self.context.loop.clock.now_ms()
        view = SimulationView(id=self.last, state="running", user=caller.user, made_ms=made_ms, policies=list(wish.policies))
        run = self.runs[self.last] = _Run(view, caller.uid, wish.key)
        run.task = asyncio.get_running_loop().create_task(self._follow(run, msgspec.json.encode(_plain(wish))))
        for number in [number for number, kept in self.runs.items() if kept.view.state != "running"][: max(0, len(self.runs) - KEPT)]:
            del self.runs[number]
        return run

    async def _follow(self, run: _Run, asked: bytes) -> None:
        """Start its process and hear what it says, to the end."""
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
                    await _hear(process, asked, view)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        except asyncio.CancelledError:
            view.state = "cancelled"
        except (TimeoutError, OSError, ValueError) as error:
            view.code, view.text = "internal", f"the simulation could not be carried out: {error or 'it took too long'}"
        if view.state == "running":
            view.state = "succeeded" if view.result else "failed"
        if view.state == "failed" and not view.code:
            view.code, view.text = "too_large", "it ended before it was done: it took more time or memory than one may"
        view.ended_ms = self.context.loop.clock.now_ms()


def _plain(wish: SimulationRequest) -> dict[str, Any]:
    """Every field, those with their default too: the process knows no defaults."""
    return {name: getattr(wish, name) for name in wish.__struct_fields__}


async def _hear(process: asyncio.subprocess.Process, asked: bytes, view: SimulationView) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(asked)
    process.stdin.close()
    async for line in process.stdout:
        for name, value in msgspec.json.decode(line).items():
            setattr(view, name, value)


def _one(request: Request, number: int) -> _Run:
    """The simulation of a number. Raises ApiError where there is none that the caller may see."""
    for run in context_of(request).kept(Simulations).seen_by(caller_from(request)):
        if run.view.id == number:
            return run
    raise failure("not_found", f"there is no simulation {number}", f"GET {ROOT}/simulations lists yours")


@routes.post("/simulations", SimulationRequest, SimulationView, statuses=(202,), errors=("too_many",), needs=Permission.JOBS_WRITE)
async def start(request: Request) -> Response:
    """Replay a workload in the background; ask for it by its number to see how far it is."""
    wish = await body_of(request, SimulationRequest)
    if bool(wish.generate) == bool(wish.trace):
        raise failure("bad_request", "a simulation has a generator or a trace, one of the two", 'send {"generate": "lublin:jobs=500"}')
    if wish.runtimes not in RUNTIMES or not wish.policies:
        raise failure("bad_request", f"runtimes are {', '.join(RUNTIMES)}, and there must be a policy to replay", "name one")
    run = context_of(request).kept(Simulations).start(wish, caller_from(request))
    return answer(run.view, 202, {"Location": f"{ROOT}/simulations/{run.view.id}"})


@routes.get("/simulations", SimulationsReply, needs=Permission.JOBS_READ)
async def listing(request: Request, state: State = "", user: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of your simulations, the newest first, without what came of them."""
    found = [run.view for run in context_of(request).kept(Simulations).seen_by(caller_from(request))]
    wanted = [one for one in found if state in ("", one.state) and user in ("", one.user)]
    page, more = page_of("simulations", wanted, lambda one: (-one.id,), limit, cursor)
    return answer(SimulationsReply(simulations=[replace(one, result={}) for one in page], next=more))


@routes.get("/simulations/{number}", SimulationView, needs=Permission.JOBS_READ)
async def show(request: Request, number: Number) -> Response:
    """How far a simulation is, and what came of it."""
    return answer(_one(request, number).view)


@routes.post("/simulations/{number}/cancel", None, SimulationView, needs=Permission.JOBS_WRITE)
async def cancel(request: Request, number: Number) -> Response:
    """End a simulation; one that has ended is left alone."""
    run = _one(request, number)
    if run.task is not None and not run.task.done():
        run.task.cancel()
        await asyncio.wait([run.task])
    return answer(run.view)
