"""A real client of the protocol against the real server and a real daemon: over stdio with caps, over HTTP with tokens."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tenure.client.certificates import create
from tenure.wire.people import TokenRequest
from tests.support.living import Installation, end, installation, until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[node]
cpus = "2"
memory = "8G"
[[pretend_nodes]]
name = "far"
cpus = "8"
memory = "16G"
gpus = "2xA100:80G"
"""
TOOLS = {
    "acquire_lease",
    "cancel",
    "capacity",
    "explain",
    "end_guidance",
    "follow",
    "guidance",
    "guide",
    "list_jobs",
    "recommendations",
    "release_lease",
    "renew_lease",
    "submit",
    "what_if",
}


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


class Refused(Exception):
    """A tool said no."""


async def call(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers. Raises Refused with what it says."""
    result = await session.call_tool(tool, arguments)
    text = "".join(part.text for part in result.content if part.type == "text")
    if result.is_error:
        raise Refused(text)
    found: dict[str, Any] = result.structured_content or json.loads(text)
    return found


async def confirmed(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    plan = await call(session, tool, **arguments)
    assert plan["dry_run"]
    return await call(session, tool, **arguments, confirm=plan["confirm"])


@asynccontextmanager
async def over_stdio(living: Installation, *options: str) -> AsyncIterator[ClientSession]:
    words = ["-m", "tenure.cli", "mcp", "serve", *options]
    server = StdioServerParameters(command=sys.executable, args=words, env=living.env, cwd=str(living.work))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield session


@contextmanager
def http_server(living: Installation, address: str = "127.0.0.1:0", *options: str) -> Iterator[str]:
    """A server on a free port; its URL."""
    words = [sys.executable, "-m", "tenure.cli", "mcp", "serve", "--http", address, *options]
    with subprocess.Popen(words, env=living.env, cwd=living.work, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"https?://\S+", process.stderr.readline())
            assert found is not None
            yield found[0]
        finally:
            end(process.pid)


@asynccontextmanager
async def over_http(url: str, token: str, trusted: ssl.SSLContext | bool = True) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, verify=trusted) as client,
        streamable_http_client(url, http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        yield session


def test_an_agent_looks_tries_confirms_and_cleans_up(living: Installation) -> None:
    async def work() -> None:
        async with over_stdio(living) as session:
            assert {tool.name for tool in (await session.list_tools()).tools} == TOOLS
            seen = await call(session, "capacity")
            assert {stock["kind"]: stock["available"] for stock in seen["available"]}["gpu"] == 2000
            assert [node["name"] for node in seen["nodes"]]
            job = {"command": ["echo", "hi"], "time": "1m", "cpus": "0.5", "name": "hello"}
            plan = await call(session, "submit", **job)
            assert plan["plan"]["verdict"] == "starts_now"
            assert (await call(session, "list_jobs", states=["all"]))["jobs"] == []
            done = await call(session, "submit", **job, confirm=plan["confirm"])
            again = await call(session, "submit", **job, confirm=plan["confirm"])
            assert done["id"] == again["id"]
            told = await call(session, "follow", job=done["id"], wait_s=30)
            assert (told["state"], told["output"]) == ("succeeded", "hi\n")
            with pytest.raises(Refused, match=r"\[bad_confirmation\].*without confirm"):
                await call(session, "submit", **{**job, "cpus": "2"}, confirm=plan["confirm"])
            wide = await confirmed(session, "submit", command=["sleep", "600"], gpus="2", time="1h")
            behind = await confirmed(session, "submit", command=["true"], gpus="1", time="1h")
            assert "GPU" in (await call(session, "explain", job=behind["id"]))["summary"]
            assert (await call(session, "what_if", cancel=[wide["id"]]))["starts_now"] == [behind["id"]]
            plan = await call(session, "cancel", job=wide["id"])
            assert plan["plan"]["then"]["starts_now"] == [behind["id"]]
            assert living.state(wide["id"]) == "running"
            ended = await call(session, "cancel", job=wide["id"], confirm=plan["confirm"])
            assert [result["ok"] for result in ended["results"]] == [True]
            assert (await call(session, "recommendations"))["recommendations"] == []
            given = await confirmed(session, "guide", steps=2, name="sweep*", note="later tonight")
            assert (await call(session, "guidance"))["guidance"][0]["text"] == "jobs of name sweep* count 2 more"
            assert (await call(session, "end_guidance", number=given["id"]))["ended_ms"]
            with pytest.raises(Refused, match=r"\[not_found\] there is no job 99"):
                await call(session, "explain", job="99")
            with pytest.raises(Refused, match=r"\[never_fits\]"):
                await confirmed(session, "submit", command=["true"], cpus="100")

    asyncio.run(asyncio.wait_for(work(), 100))


def test_a_lease_from_the_first_call_to_the_last(living: Installation) -> None:
    async def work() -> None:
        async with over_stdio(living) as session:
            wish = {"gpus": "0.5", "gpu_memory": "8G", "ttl": "2m"}
            lease = await confirmed(session, "acquire_lease", **wish)
            assert lease["phase"] == "held"
            assert lease["gpu_milli"] == 500
            assert lease["env"]["CUDA_VISIBLE_DEVICES"]
            longer = await call(session, "renew_lease", number=lease["number"], token=lease["token"], ttl="4m")
            assert longer["expires_ms"] > lease["expires_ms"]
            with pytest.raises(Refused, match=r"\[wrong_token\]"):
                await call(session, "release_lease", number=lease["number"], token="0" * 64)
            over = await call(session, "release_lease", number=lease["number"], token=lease["token"])
            assert over["phase"] == "over"

    asyncio.run(asyncio.wait_for(work(), 60))


def test_caps_outlive_the_server(living: Installation) -> None:
    caps = ("--name", "bot", "--max-gpu-hours", "1", "--max-concurrent", "2", "--max-lease", "5m")
    half = {"command": ["sleep", "600"], "gpus": "1", "time": "30m"}

    async def first() -> None:
        async with over_stdio(living, *caps) as session:
            await confirmed(session, "submit", **half)
            await confirmed(session, "submit", **half, name="second")
            with pytest.raises(Refused, match=r"\[over_cap\].*3 jobs and leases at a time, where it allows 2"):
                await confirmed(session, "submit", command=["true"])
            with pytest.raises(Refused, match=r"\[over_cap\].*a lease of 10m"):
                await confirmed(session, "acquire_lease", gpus="0", ttl="10m")

    async def second() -> None:
        async with over_stdio(living, *caps) as session:
            for number in ("1", "2"):
                await confirmed(session, "cancel", job=number)
            until(lambda: living.state("2") == "cancelled", "both to end")
            await confirmed(session, "submit", **half, name="third")
            with pytest.raises(Refused, match=r"\[over_cap\].*GPU-hours at most, of which it has 0\.\d+ left"):
                await confirmed(session, "submit", **half, name="fourth")

    asyncio.run(asyncio.wait_for(first(), 60))
    asyncio.run(asyncio.wait_for(second(), 60))
    other = living.cli("mcp", "serve", "--name", "bot", "--max-gpu-hours", "2", ok=False)
    assert "the server bot has other caps" in other.stderr
    assert oct((living.home / "mcp" / "bot.json").stat().st_mode & 0o777) == "0o600"


def test_over_http_everybody_comes_with_a_token(living: Installation) -> None:
    with living.client() as client:
        mine = client.people.make_token(TokenRequest(key="a", label="agent", jobs=1)).secret
        looks = client.people.make_token(TokenRequest(key="b", label="viewer", read_only=True)).secret

    async def work(url: str) -> None:
        async with over_http(url, mine) as session:
            job = await confirmed(session, "submit", command=["sleep", "600"], cpus="0.1", time="10m")
            with pytest.raises(Refused, match=r"\[over_cap\]"):
                await confirmed(session, "submit", command=["true"], cpus="0.1")
        async with over_http(url, looks) as session:
            assert [one["id"] for one in (await call(session, "list_jobs"))["jobs"]] == [job["id"]]
            plan = await call(session, "cancel", job=job["id"])
            with pytest.raises(Refused, match=r"\[forbidden\]"):
                await call(session, "cancel", job=job["id"], confirm=plan["confirm"])
        async with over_http(url, mine) as session:
            with pytest.raises(Refused, match=r"\[bad_confirmation\]"):
                await call(session, "cancel", job=job["id"], confirm=plan["confirm"])
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            ({"Authorization": f"Bearer {mine}", "Origin": "https://evil.example"}, 403),
            ({"Authorization": f"Bearer {mine}", "Host": "evil.example"}, 421),
        ):
            async with httpx2.AsyncClient(timeout=30) as client:
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                accept = {"Accept": "application/json, text/event-stream"}
                answer = await client.post(url, json=body, headers={**accept, **headers})
                assert answer.status_code == status, (headers, answer.text)

    with http_server(living) as url:
        asyncio.run(asyncio.wait_for(work(url), 100))


def test_beyond_this_machine_it_takes_tls_and_somebody_with_a_token(living: Installation) -> None:
    pytest.importorskip("cryptography")
    made = create(str(living.work / "tls"), ["localhost"], 90)
    listening = ("0.0.0.0:0", "--tls-cert", made.cert, "--tls-key", made.key)
    refused = living.cli("mcp", "serve", "--http", *listening, ok=False).stderr
    assert "which takes somebody who may come in (tenure token create)" in refused
    with living.client() as client:
        secret = client.people.make_token(TokenRequest(key="a", label="agent")).secret
    trusted = ssl.create_default_context(cafile=made.ca)

    async def work(url: str) -> None:
        assert url.startswith("https://localhost:")
        async with over_http(url, secret, trusted) as session:
            job = await confirmed(session, "submit", command=["true"], cpus="0.1", time="1m")
            with living.client() as client:
                assert client.people.audit(1).entries[0].via == "token"
                assert client.show(job["id"]).job.name == "true"
        async with httpx2.AsyncClient(timeout=30, verify=trusted) as client:
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {secret}", "Host": "rebound.example"}, 421)):
                answer = await client.post(url, json={}, headers=headers)
                assert (answer.status_code, "strict-transport-security" in answer.headers) == (status, True)
        with pytest.raises(httpx2.ConnectError):
            async with httpx2.AsyncClient(timeout=30) as strange:
                await strange.get(url)
        with pytest.raises(httpx2.TransportError):
            async with httpx2.AsyncClient(timeout=30) as plain:
                await plain.get(url.replace("https:", "http:"))

    with http_server(living, *listening) as url:
        asyncio.run(asyncio.wait_for(work(url), 100))
    assert "POST /mcp 200" in (living.home / "mcp" / "access.log").read_text()


def test_the_example_works_as_it_stands(living: Installation) -> None:
    words = [sys.executable, str(ROOT / "examples" / "agent_mcp.py")]
    done = subprocess.run(words, env=living.env, cwd=living.work, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert "hello from an agent" in done.stdout
    assert "refused: Error executing tool acquire_lease: [over_cap]" in done.stdout
