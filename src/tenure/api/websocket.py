"""The event stream over a WebSocket: the messages of the server-sent events, and a client that may change its mind.

Every message is a JSON object with a ``type``. Of what happens: ``{"type": TOPIC, "id": CURSOR, "data": {...}}``. A client may send
``subscribe`` (topics to add, a project to hear of alone, a cursor to go back to), ``unsubscribe`` and ``ping``. Ping frames find dead
connections; ``heartbeat`` messages are for clients that are not shown those. Invariant: what is not understood is answered with
``error`` and changes nothing; who is dropped is told why, by the close code and a reason that says where to resume.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tenure.api.context import ApiError, context_of
from tenure.api.following import DROPPED, Follower, Told, Wish, admit, bad, chosen, patient
from tenure.api.hearing import hearer_of
from tenure.api.parameters import After, Heartbeat, Named, Topics
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply

routes = Routes(ROOT)
documented = Routes("/api/resource-scheduler")

MIN_TURN_S = 0.02
"""Who sends more messages than one in this time waits: his reads of the store are not to be felt by others."""
TRY_AGAIN = 1013
_encoder = msgspec.json.Encoder()


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """Hear of these topics as well (all, if none are named). ``project`` and ``after`` change what they name."""

    topics: list[str] = []
    project: str | None = None
    after: int | None = None


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe", forbid_unknown_fields=True):
    """Hear no more of these topics, or of any if none are named."""

    topics: list[str] = []


class Ping(msgspec.Struct, tag_field="type", tag="ping", forbid_unknown_fields=True):
    """Answer ``pong``."""


_decoder = msgspec.json.Decoder(Subscribe | Unsubscribe | Ping)


@routes.websocket("/events/ws", needs=Permission.JOBS_READ)
@documented.websocket("/push/ws", needs=Permission.JOBS_READ)
async def follow(
    connection: HTTPConnection[Any], topics: Topics = "", project: Named = "", after: After = -1, heartbeat_s: Heartbeat = 15
) -> Response:
    """Follow what happens, from now on or from ``after``; parameters as for the server-sent events. ``topics=none`` is quiet until the
    client subscribes."""
    context = context_of(connection)
    names = [name for name in topics.split(",") if name]
    wish = Wish(frozenset() if names == ["none"] else chosen(names), project)
    admit(context.feed)
    return Conversation(Follower(context.feed, wish, hearer_of(context.identity, connection)), after, heartbeat_s)


class Conversation(Response):
    """The answer that accepts a WebSocket and speaks until one of the two closes it."""

    def __init__(self, follower: Follower, after: int, heartbeat_s: int) -> None:
        super().__init__()
        self._follower = follower
        self._after = after
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak. Whatever ends the listening ends the telling, and the other way round."""
        send = patient(send, scope)
        await receive()  # that somebody wants to connect
        with contextlib.suppress(TimeoutError, OSError):
            await send({"type": "websocket.accept"})
            telling = asyncio.create_task(self._tell(send))
            try:
                while (message := await receive())["type"] == "websocket.receive":
                    telling = await self._hear(message, telling, send)
                    await asyncio.sleep(MIN_TURN_S)
            finally:
                await _ended(telling)

    async def _tell(self, send: Send) -> None:
        """Everything that happens, until the client is too slow."""
        with contextlib.suppress(TimeoutError, OSError):
            async with contextlib.aclosing(self._follower.messages(self._after, self._heartbeat_s)) as several:  # type: ignore[type-var]
                async for some in several:
                    await self._send_all(some, send)

    async def _send_all(self, some: Sequence[Told], send: Send) -> None:
        for told in some:
            await send({"type": "websocket.send", "text": _text(told)})
            if told.kind == DROPPED:
                await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": f"too slow; resume after {told.cursor}"})

    async def _hear(self, message: Any, telling: asyncio.Task[None], send: Send) -> asyncio.Task[None]:
        """Do what the client wants; what tells it from now on."""
        try:
            wants = _understood(message)
            if isinstance(wants, Ping):
                await _reply(send, {"type": "pong"})
                return telling
            self._follower.wish = _changed(self._follower.wish, wants)
        except ApiError as error:
            await _reply(send, {"type": "error"} | _plain(error.reply))
            return telling
        if isinstance(wants, Subscribe) and wants.after is not None:
            await _ended(telling)
            self._after = wants.after
            return asyncio.create_task(self._tell(send))
        wish = self._follower.wish
        await _reply(send, {"type": "subscribed", "topics": sorted(wish.topics), "project": wish.project})
        return telling


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task, and raise what went wrong in it."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _understood(message: Any) -> Subscribe | Unsubscribe | Ping:
    """What a client said. Raises ApiError."""
    try:
        wants: Subscribe | Unsubscribe | Ping = _decoder.decode(message.get("text") or message.get("bytes") or b"")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise bad(f"the message is not understood: {error}") from None
    return wants


def _changed(wish: Wish, wants: Subscribe | Unsubscribe) -> Wish:
    """The wish after a message. Raises ApiError for a topic that there is not."""
    if isinstance(wants, Unsubscribe):
        return wish._replace(topics=wish.topics - chosen(wants.topics))
    topics = wish.topics | chosen(wants.topics)
    return Wish(topics, wish.project if wants.project is None else wants.project)


async def _reply(send: Send, message: dict[str, Any]) -> None:
    await send({"type": "websocket.send", "text": _encoder.encode(message).decode()})


def _plain(reply: ErrorReply) -> dict[str, Any]:
    return {"code": reply.code, "message": reply.message}


def _text(told: Told) -> str:
    """A message as the client reads it."""
    cursor = "" if told.cursor is None else f'"id":{told.cursor},'
    return f'{{"type":"{told.kind}",{cursor}"data":{told.data.decode()}}}'
