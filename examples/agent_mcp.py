"""An agent without a language model: it sees what is free, borrows a share, submits, follows, explains and cancels, all through MCP.

Run it as it stands: it starts ``tenure mcp serve`` itself, as an agent's host would, with caps. What changes something is asked for
twice: the first call says what would happen and gives a confirmation, the second one does it. Needs pip install 'tenure[mcp]'.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

try:
    from mcp import ClientSession, StdioServerParameters, stdio_client
except ModuleNotFoundError:
    sys.exit(
        "this example speaks the Model Context Protocol; install what it takes: pip install 'tenure[mcp]' (in the source: '.[mcp]')"
    )

CAPS = ("--name", "example", "--max-gpu-hours", "1", "--max-concurrent", "3", "--max-lease", "10m")


class Agent:
    """What a host of tools does for a model: call one, read what it says."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def look(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool. Raises RuntimeError with what it says when it refuses."""
        result = await self._session.call_tool(tool, arguments)
        text = "".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            raise RuntimeError(text)
        found: dict[str, Any] = result.structured_content or json.loads(text)
        return found

    async def do(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that changes something: see the plan, then confirm it."""
        plan = await self.look(tool, **arguments)
        assert plan["dry_run"], "the first call changes nothing"
        return await self.look(tool, **arguments, confirm=plan["confirm"])


async def work(agent: Agent) -> None:
    """One round of an agent's work."""
    seen = await agent.look("capacity")
    free = {stock["kind"]: stock.get("available", 0) for stock in seen["available"]}
    print(f"free: {free['cpu'] / 1000:g} cpus, {free['memory'] // 2**20} MiB; {seen.get('pending', 0)} jobs wait")

    lease = await agent.do("acquire_lease", gpus="0", cpus="0.5", memory="64M", ttl="2m")
    print(f"lease {lease['id']} is {lease['phase']} on {lease['node']}")
    await agent.look("release_lease", number=lease["number"], token=lease["token"])

    job = await agent.do("submit", command=["echo", "hello from an agent"], cpus="0.1", time="1m", name="hello")
    done = await agent.look("follow", job=job["id"], wait_s=30)
    print(f"job {done['id']} {done['state']}: {done['output'].strip()}")

    most = str(max(node["cpus"] for node in seen["nodes"]))
    waiting = await agent.do("submit", command=["sleep", "600"], cpus=most, time="10m", name="wide")
    behind = await agent.do("submit", command=["sleep", "600"], cpus=most, time="1m", name="behind")
    why = await agent.look("explain", job=behind["id"])
    print(f"job {behind['id']}: {why['summary']}")
    for number in (waiting["id"], behind["id"]):
        ended = await agent.do("cancel", job=number)
        assert all(result["ok"] for result in ended["results"])
    print(f"cancelled {waiting['id']} and {behind['id']}")

    try:
        await agent.do("acquire_lease", gpus="0", cpus="0.1", ttl="1h")
    except RuntimeError as refusal:
        print(f"refused: {refusal}")
    else:
        raise AssertionError("an hour is more than the server's cap allows")


async def main() -> None:
    """Start the server as an agent's host would, and work."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "tenure.cli", "mcp", "serve", *CAPS], env=dict(os.environ), cwd=os.getcwd()
    )
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        print(f"{len(tools)} tools: {', '.join(sorted(tool.name for tool in tools))}")
        await work(Agent(session))


if __name__ == "__main__":
    asyncio.run(main())
