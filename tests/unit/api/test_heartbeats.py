"""Heartbeats say how far their follower is: who hears of nothing for long resumes where it is, and loses and repeats nothing.

Real clients over a real store, whose events are pruned while nobody listens; and followers that are cut anywhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import ServerSentEvent, aconnect_sse
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import unix_connect

from tenure.api.bus import Bus
from tenure.api.feed import Feed
from tenure.api.following import TOPICS, Follower, Told, Wish
from tenure.client import subscribing
from tenure.client.link import Link
from tenure.model.access import SCHEDULER
from tenure.model.commands import SetNode
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.queries import Queries
from tenure.testing.store_rig import StoreRig, node
from tenure.wire.dto import EventView
from tests.support.examples import examples
from tests.support.followed import Service, run_with

FEW = 3
PATIENCE_S = 30.0


class Cluster:
    """A store that keeps few events, in which much happens to jobs and little to nodes."""

    def __init__(self, path: Path) -> None:
        self.rig = StoreRig(lambda: open_sqlite(str(path), StoreSettings(ballast_bytes=0, max_events=FEW)), [node("n1")])
        assert isinstance(self.rig.store, SqlStore)
        self.queries: Queries = self.rig.store.queries()

    @property
    def last(self) -> int:
        """The cursor of the last event."""
        return self.queries.last_cursor()

    def job(self, made: Service) -> None:
        """Something happens to a job."""
        self.rig.submit()
        made.bus.publish(self.last, ())

    def node(self, made: Service, state: str) -> int:
        """Something happens to a node; the cursor of that."""
        self.rig.apply(SetNode(self.rig.key(), SCHEDULER, "n1", state))
        made.bus.publish(self.last, ())
        return self.last

    def prune(self) -> None:
        """Let go of all but the last few events."""
        self.rig.store.retain(self.rig.now_ms)

    @asynccontextmanager
    async def busy(self, made: Service) -> AsyncIterator[None]:
        """Something happens to jobs all the time."""

        async def go_on() -> None:
            while True:
                self.job(made)
                await asyncio.sleep(0.05)

        going = asyncio.create_task(go_on())
        try:
            yield
        finally:
            going.cancel()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "tenure.db")
    yield made
    made.queries.close()
    made.rig.store.close()


@asynccontextmanager
async def sse(made: Service, last: str = "") -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """The messages of nodes, as a library gives them that stands for all who read server-sent events."""
    transport = httpx.AsyncHTTPTransport(uds=made.path)
    headers = {"Last-Event-ID": last} if last else {}
    url = "http://tenure/api/v1/events?topics=node&heartbeat_s=1"
    async with (
        httpx.AsyncClient(transport=transport, timeout=PATIENCE_S) as client,
        aconnect_sse(client, "GET", url, headers=headers) as source,
        aclosing(source.aiter_sse()) as messages,  # type: ignore[type-var]
    ):
        yield messages


async def until_at(messages: AsyncIterator[ServerSentEvent], cursor: int) -> str:
    """The id of the first message that is as far; nothing but heartbeats may come."""
    async for message in messages:
        assert message.data == ""  # by the format it is no message; the library gives it as an empty one
        if int(message.id) >= cursor:
            return message.id
    raise AssertionError("the stream ended")


def test_who_reads_events_resumes_after_the_last_heartbeat(cluster: Cluster) -> None:
    async def body(made: Service) -> None:
        async with sse(made) as messages:
            hello = await anext(messages)
            assert hello.event == "hello"
            async with cluster.busy(made):
                await until_at(messages, int(hello.id) + 1)
            last = await until_at(messages, cluster.last)
        cluster.job(made)
        cluster.prune()
        told = cluster.node(made, "draining")
        async with sse(made, last) as messages:
            found = [await anext(messages) for _ in range(2)]
            assert [(message.event, message.id) for message in found] == [("hello", last), ("node", str(told))]
            assert await until_at(messages, told) == str(told)
        async with sse(made, hello.id) as messages:  # what a client had that heard no id but the first
            found = [await anext(messages) for _ in range(3)]
            assert [message.event for message in found] == ["hello", "reset", "node"]
            resumed = found[1].id
        async with sse(made, resumed) as messages:
            assert [(await anext(messages)).event for _ in range(2)] == ["hello", "node"]

    run_with(cluster.queries, body)


def test_a_websocket_resumes_after_the_last_heartbeat(cluster: Cluster) -> None:
    path = "ws://tenure/api/v1/events/ws?topics=node&heartbeat_s=1"

    async def body(made: Service) -> None:
        async with unix_connect(made.path, path) as client:
            hello = json.loads(await client.recv())
            async with cluster.busy(made):
                beat = json.loads(await client.recv())
            assert beat == {"type": "heartbeat", "id": beat["id"], "data": {"cursor": beat["id"]}}
            assert beat["id"] > hello["id"]
            while beat["id"] < cluster.last:
                beat = json.loads(await client.recv())
        cluster.prune()
        told = cluster.node(made, "draining")
        async with unix_connect(made.path, f"{path}&after={beat['id']}") as client:
            found = [json.loads(await client.recv()) for _ in range(2)]
            assert [(message["type"], message["id"]) for message in found] == [("hello", beat["id"]), ("node", told)]

    run_with(cluster.queries, body)


def test_a_subscription_is_where_the_last_heartbeat_was(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribing, "HEARTBEAT_S", 1)
    heard: list[subscribing.Message] = []

    async def body(made: Service) -> None:
        subscription = await asyncio.to_thread(lambda: subscribing.Subscription(Link(made.path), heard.append, ["node"]))
        cluster.job(made)
        await made.until(lambda: subscription.cursor == cluster.last)
        await asyncio.to_thread(subscription.stop)
        cluster.prune()
        told = cluster.node(made, "draining")
        again = await asyncio.to_thread(
            lambda: subscribing.Subscription(Link(made.path), heard.append, ["node"], since=subscription.cursor)
        )
        await made.until(lambda: bool(heard))
        await asyncio.to_thread(again.stop)
        assert [(message.topic, message.cursor) for message in heard] == [("node", told)]

    run_with(cluster.queries, body)


class Drawn:
    """Events of drawn kinds, so many of which have happened."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.count = 0

    def events(self, after: int, limit: int) -> tuple[list[EventView], bool]:
        last = min(self.count, after + limit)
        return [EventView(cursor=at, kind=self.kinds[at - 1], at_ms=at) for at in range(after + 1, last + 1)], False

    def last_cursor(self) -> int:
        return self.count


@settings(max_examples=examples(40), deadline=None)
@given(
    kinds=st.lists(st.sampled_from(("node.up", "job.ended", "queue.set")), min_size=1, max_size=30),
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), max_size=15),
    topics=st.sets(st.sampled_from(TOPICS), min_size=1),
)
def test_who_is_cut_anywhere_and_resumes_hears_all_of_it_once(kinds: list[str], steps: list[tuple[int, int]], topics: set[str]) -> None:
    """After so many messages the connection breaks, and so many events happen."""

    async def run() -> list[int]:
        stored, bus = Drawn(kinds), Bus(asyncio.get_running_loop())
        feed, told, last = Feed(bus, stored), list[int](), 0
        for few, more in (*steps, (0, len(kinds))):
            stored.count = min(len(kinds), stored.count + more)
            bus.publish(stored.count, ())
            is_last = (few, more) == (0, len(kinds))
            follower = Follower(feed, Wish(frozenset(topics)), lambda: SCHEDULER)
            left = 10**9 if is_last else few
            async with asyncio.timeout(PATIENCE_S), aclosing(follower.messages(last, 0)) as batches:  # type: ignore[type-var]
                async for message in flat(batches):
                    if message.cursor is not None:
                        told += [message.cursor] if message.kind in TOPICS else []
                        assert message.cursor >= last
                        last = message.cursor
                    left -= 1
                    if left <= 0 or (is_last and last == len(kinds)):
                        break
        return told

    of = {"node.up": "node", "job.ended": "job", "queue.set": "scheduling_update"}
    wanted = [at for at, kind in enumerate(kinds, 1) if of[kind] in topics]
    assert asyncio.run(run()) == wanted


async def flat(batches: AsyncIterator[object]) -> AsyncIterator[Told]:
    """One message after the other; what comes with the last one is told with it."""
    async for some in batches:
        for message in some:  # type: ignore[attr-defined]
            yield message
