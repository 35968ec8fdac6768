"""Heads of answers that leave together with their bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tenure.api.joining import JoiningTransport

HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


class TransportDouble:
    """Keeps what is sent, each piece apart."""

    def __init__(self, sent: Sequence[bytes] = (), closed: bool = False) -> None:
        self.sent, self.closed = list(sent), closed

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def joined(write: Any, rounds: int = 0) -> TransportDouble:
    """What a transport is given by this, and in so many rounds of the event loop after it."""

    async def run() -> TransportDouble:
        inner: Any = TransportDouble()
        write(JoiningTransport(inner, asyncio.get_running_loop()))
        for _ in range(rounds):
            await asyncio.sleep(0)
        return TransportDouble(inner.sent, inner.closed)  # before the event loop ends, which takes it some more rounds

    return asyncio.run(run())


def each(*pieces: bytes) -> Any:
    return lambda transport: [transport.write(piece) for piece in pieces]


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_head_leaves_with_its_body_and_nothing_twice(rounds: int) -> None:
    assert joined(each(HEAD, BODY, BODY, HEAD, b""), rounds).sent == [HEAD + BODY, BODY, HEAD]


def test_a_head_alone_leaves_with_the_next_round() -> None:
    assert joined(each(HEAD)).sent == []
    assert joined(each(HEAD), rounds=1).sent == [HEAD]


def test_one_head_after_the_other_and_what_looks_like_one() -> None:
    assert joined(each(HEAD, HEAD, HEAD), rounds=1).sent == [HEAD + HEAD, HEAD]
    assert joined(each(b"data: HTTP/1.1 \r\n\r\n")).sent == [b"data: HTTP/1.1 \r\n\r\n"]


def test_a_connection_that_is_closed_has_sent_its_head() -> None:
    inner = joined(lambda transport: (transport.write(HEAD), transport.close()), rounds=1)
    assert (inner.sent, inner.closed) == ([HEAD], True)


def test_what_it_does_not_do_itself_its_transport_does() -> None:
    states: list[bool] = []
    joined(lambda transport: (states.append(transport.is_closing()), transport.close(), states.append(transport.is_closing())))
    assert states == [False, True]
