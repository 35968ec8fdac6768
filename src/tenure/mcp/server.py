"""The tools as a server of the protocol: over standard input and output for one agent, over HTTP for several.

Over stdio it works for the person who started it. Over HTTP (`tenure.mcp.serving`) every request must show a token of Tenure's
(``Authorization: Bearer``) and works for whom that names: the daemon judges it anew at each call. Invariant: nothing but the protocol
is written to standard output.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from tenure import __version__
from tenure.client.errors import TenureError
from tenure.mcp.steering import SteeringTools
from tenure.mcp.tools import Answer, Tools
from tenure.wire.secrets import bearer_of

P = ParamSpec("P")

INSTRUCTIONS = """Tenure runs jobs on shared machines and lends GPUs. Look first: capacity, list_jobs, what_if. submit, cancel,
guide and acquire_lease only say what would happen and give a confirmation; call them again with the same arguments and confirm to do
it. A job that waits: explain says why and what would help; recommendations lists changes that were tried out. Give jobs a
time limit: it starts them sooner. Errors read [code] what is wrong; what to do about it."""

Confirm = Annotated[str, Field(description="The confirmation that the dry run gave; empty: say what would happen, do nothing.")]
Job = Annotated[str, Field(description="A job's id: 12, an element 12_3, or last.")]
Amount = Annotated[str, Field(description="An amount such as 8G; empty: none.")]
Rate = Annotated[str, Field(description="Bits per second of the network, such as 10G; empty: none.")]
Span = Annotated[str, Field(description="A time such as 30m or 2h.")]
_LOOKS = ToolAnnotations(read_only_hint=True)
_ACTS = ToolAnnotations(read_only_hint=False, idempotent_hint=True)


def said(tool: Callable[P, Answer]) -> Callable[P, Answer]:
    """A tool whose refusals the agent can read: the code, one sentence, the way out."""

    @wraps(tool)
    def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return tool(*args, **kwargs)
        except TenureError as error:
            remedy = f"; {error.remedy}" if error.remedy else ""
            raise ToolError(f"[{error.code}] {error.message}{remedy}") from error

    return call


def build(tools: SteeringTools) -> MCPServer[Any]:
    """The server with all tools."""
    server: MCPServer[Any] = MCPServer("tenure", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    _looking(server, tools)
    _jobs(server, tools)
    _leases(server, tools)
    _guidance(server, tools)
    return server


def _secret(context: Context[Any, Any]) -> str:
    """The token that this request shows; empty over stdio. Raises TenureError over HTTP without one: it is not the server's own."""
    request = getattr(context.request_context, "request", None)
    headers = getattr(request, "headers", None)
    if headers is None:
        return ""
    if not (secret := bearer_of(headers.get("authorization", "").encode("latin-1"))):
        raise TenureError("unidentified", "this server wants a token", "send the header Authorization: Bearer TOKEN")
    return secret


def _looking(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_LOOKS)
    @said
    def capacity(context: Context[Any, Any]) -> Answer:
        """What there is of cpus, memory and GPUs, what is held and free, how many jobs wait, and for what."""
        return tools.capacity(_secret(context))

    @server.tool(annotations=_LOOKS)
    @said
    def list_jobs(context: Context[Any, Any], states: list[str] | None = None, limit: int = 20) -> Answer:
        """Jobs, the newest first. states: pending, running, failed, active, ended, all, ...; active unless told."""
        return tools.jobs(_secret(context), states or ["active"], limit)

    @server.tool(annotations=_LOOKS)
    @said
    def follow(context: Context[Any, Any], job: Job, wait_s: float = 0, tail: int = 50) -> Answer:
        """The state of a job and the last lines of its output. With wait_s it waits so long at most (60) for the job to end."""
        return tools.follow(_secret(context), job, wait_s, tail)

    @server.tool(annotations=_LOOKS)
    @said
    def explain(context: Context[Any, Any], job: Job) -> Answer:
        """Why a job waits, what holds its room, when it should start, and which smallest change would start it sooner."""
        return tools.explain(_secret(context), job)

    @server.tool(annotations=_LOOKS)
    @said
    def recommendations(context: Context[Any, Any]) -> Answer:
        """Changes that would let somebody start sooner: evidence, the command that makes each, and its effect, which was tried out."""
        return tools.recommendations(_secret(context))

    @server.tool(annotations=_LOOKS)
    @said
    def what_if(
        context: Context[Any, Any],
        cancel: list[str] | None = None,
        priorities: dict[str, int] | None = None,
        drain: list[str] | None = None,
        resume: list[str] | None = None,
        remove: list[str] | None = None,
        policy: str = "",
    ) -> Answer:
        """What would start when if jobs were cancelled or had other priorities (1-10), nodes were drained, resumed or removed, or
        another policy decided. Nothing is changed."""
        wish = {"cancel": cancel, "priorities": priorities, "drain": drain, "resume": resume, "remove": remove, "policy": policy}
        return tools.what_if(_secret(context), wish)


def _jobs(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_ACTS)
    @said
    def submit(
        context: Context[Any, Any],
        command: Annotated[list[str], Field(description="Program and arguments.", min_length=1)],
        gpus: Annotated[str, Field(description="GPUs: 1, 2, 0.5, a100:1.")] = "0",
        gpu_memory: Amount = "",
        cpus: str = "1",
        memory: Amount = "",
        storage: Amount = "",
        bandwidth: Rate = "",
        time: Annotated[str, Field(description="The time limit, such as 30m; without one nobody can plan around the job.")] = "",
        name: str = "",
        project: str = "",
        cwd: Annotated[str, Field(description="The directory to run in; the server's own unless told.")] = "",
        priority: str = "5",
        confirm: Confirm = "",
    ) -> Answer:
        """Queue a job. Without confirm: when it would start, where, and whom it would delay."""
        options = {
            "gpus": gpus,
            "gpu_memory": gpu_memory,
            "cpus": cpus,
            "memory": memory,
            "storage": storage,
            "bandwidth": bandwidth,
            "time": time,
            "name": name,
            "project": project,
            "cwd": cwd,
            "priority": priority,
        }
        return tools.submit(_secret(context), command, options, confirm)

    @server.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True))
    @said
    def cancel(context: Context[Any, Any], job: Job, confirm: Confirm = "") -> Answer:
        """End a job, waiting or running. Without confirm: what it is, and who would start then."""
        return tools.cancel(_secret(context), job, confirm)


def _guidance(server: MCPServer[Any], tools: SteeringTools) -> None:
    @server.tool(annotations=_LOOKS)
    @said
    def guidance(context: Context[Any, Any]) -> Answer:
        """What guidance stands: which work counts more or less for a while, which policy decides, who asked for it, until when."""
        return tools.guidance(_secret(context))

    @server.tool(annotations=_ACTS)
    @said
    def guide(
        context: Context[Any, Any],
        steps: Annotated[int, Field(ge=-3, le=3, description="Steps of priority more (or less) for a class of work.")] = 0,
        project: str = "",
        queue: str = "",
        user: str = "",
        name: Annotated[str, Field(description="Names of jobs, a pattern such as sweep*.")] = "",
        policy: Annotated[str, Field(description="Or another policy, such as portfolio:profile=fast.")] = "",
        length: Annotated[str, Field(description="For how long, 24h at most.")] = "1h",
        note: str = "",
        confirm: Confirm = "",
    ) -> Answer:
        """Raise or lower a class of work, or let another policy decide, for a while. It ends by itself, and makes nothing critical."""
        wish = {"steps": steps, "project": project, "queue": queue, "user": user, "name": name, "policy": policy}
        return tools.guide(_secret(context), {**wish, "length": length, "note": note}, confirm)

    @server.tool(annotations=_ACTS)
    @said
    def end_guidance(context: Context[Any, Any], number: int) -> Answer:
        """Take guidance back."""
        return tools.end_guidance(_secret(context), number)


def _leases(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_ACTS)
    @said
    def acquire_lease(
        context: Context[Any, Any],
        gpus: Annotated[str, Field(description="GPUs: 1, 0.5, 0 for none.")] = "1",
        gpu_memory: Amount = "",
        cpus: str = "1",
        memory: Amount = "",
        storage: Amount = "",
        bandwidth: Rate = "",
        ttl: Span = "5m",
        project: str = "",
        wait_s: Annotated[float, Field(description="So long it may wait in the queue; this call returns after 60 s at most.")] = 30,
        confirm: Confirm = "",
    ) -> Answer:
        """Hold GPUs, cpus, memory, scratch space and bandwidth for a short time, for a process of your own. Answers with the devices,
        the environment to use them, and the token that renews and releases it. Without confirm: when it could be had."""
        asked = {"gpus": gpus, "gpu_memory": gpu_memory, "cpus": cpus, "memory": memory, "storage": storage, "bandwidth": bandwidth}
        options = {**asked, "ttl": ttl, "project": project}
        return tools.acquire(_secret(context), options, wait_s, confirm)

    @server.tool(annotations=_ACTS)
    @said
    def renew_lease(context: Context[Any, Any], number: int, token: str, ttl: Span = "5m") -> Answer:
        """Let a lease end ttl from now."""
        return tools.renew(_secret(context), number, token, ttl)

    @server.tool(annotations=_ACTS)
    @said
    def release_lease(context: Context[Any, Any], number: int, token: str) -> Answer:
        """Give a lease back; others can have what it held when this returns."""
        return tools.release(_secret(context), number, token)
