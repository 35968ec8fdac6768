"""`subscribe` and `follow` against a daemon that is killed: nothing lost, nothing twice, and nothing after the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tenure.client import BadRequest, Message
from tests.support.living import Installation, installation, until


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation() as started:
        started.cli("up")
        yield started


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def has_ended(self, job: str) -> bool:
        return any(message.data.get("kind") == "job.ended" and message.data["job"] == job for message in self.messages)

    @property
    def cursors(self) -> list[int | None]:
        return [message.cursor for message in self.messages]


def test_a_subscription_outlives_a_killed_daemon_and_repeats_nothing(living: Installation) -> None:
    heard, whole = Heard(), Heard()
    with living.client() as client:
        subscription = client.subscribe(heard, topics=["job"])
        began = subscription.cursor
        jobs = []
        for _ in range(3):
            jobs.append(living.submit("--", "true"))
            until(lambda: heard.has_ended(jobs[-1]), "the end of a job")
            living.kill_daemon()
        living.submit("--", "true")
        subscription.stop()
        with client.subscribe(whole, topics=["job"], since=began):
            until(lambda: whole.has_ended(jobs[-1]), "all of it")
    assert heard.cursors == whole.cursors[: len(heard.cursors)]
    assert len(set(heard.cursors)) == len(heard.cursors) >= 9
    assert subscription.wait(10)


def test_nothing_is_told_after_the_end(living: Installation) -> None:
    heard = Heard()
    with living.client() as client:
        subscription = client.subscribe(heard, topics=["job"])
        subscription.stop()
        living.submit("--wait", "--", "true")
        assert heard.messages == []
        assert subscription.wait(10)


def test_an_error_of_the_callback_ends_it_and_is_raised(living: Installation) -> None:
    def fail(message: Message) -> None:
        raise ValueError(message.topic)

    with living.client() as client:
        subscription = client.subscribe(fail, topics=["job"])
        living.submit("--", "true")
        with pytest.raises(ValueError, match="job"):
            subscription.wait(30)


def test_a_callback_may_unsubscribe(living: Installation) -> None:
    told, made = [], threading.Event()
    with living.client() as client:

        def once(message: Message) -> None:
            made.wait(30)
            told.append(message)
            subscription.stop()

        subscription = client.subscribe(once, topics=["job"])
        made.set()
        living.submit("--wait", "--", "true")
        assert subscription.wait(30)
    assert len(told) == 1


def test_what_is_refused_is_raised_at_once(living: Installation) -> None:
    with living.client() as client, pytest.raises(BadRequest, match="there is no topic 'jobs'"):
        client.subscribe(print, topics=["jobs"])


def test_an_event_loop_follows_over_a_killed_daemon(living: Installation) -> None:
    async def follow() -> list[int | None]:
        found = []
        with living.client() as client:
            async with client.follow(topics=["job"]) as messages:
                for turn in range(2):
                    job = await asyncio.to_thread(living.submit, "--", "true")
                    async for message in messages:
                        found.append(message.cursor)
                        if message.data["kind"] == "job.ended" and message.data["job"] == job:
                            break
                    if not turn:
                        await asyncio.to_thread(living.kill_daemon)
        return found

    found = asyncio.run(follow())
    assert found == sorted(set(filter(None, found)))
    assert len(found) >= 6
