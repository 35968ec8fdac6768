"""The part of a client that hears of what happens. What it takes is loaded by who uses it: most commands hear of nothing.

Invariant: each subscription has a connection of its own, so that it neither waits for the client's calls nor delays them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tenure.client.link import Link

if TYPE_CHECKING:
    from tenure.client.subscribing import Following, Message, Subscription


class Hearing:
    """What `Client` has of it."""

    _link: Link

    def subscribe(
        self, callback: Callable[[Message], object], *, topics: Sequence[str] = (), project: str = "", since: int | None = None
    ) -> Subscription:
        """Have ``callback`` called with each `Message` of these topics (all, if none are named), on a thread of its own, until
        `Subscription.stop`. ``project``: only what is of it or of none; ``since``: a cursor, what came after it is told first."""
        from tenure.client.subscribing import Subscription

        return Subscription(self._link.again(), callback, topics, project, since)

    def follow(self, *, topics: Sequence[str] = (), project: str = "", since: int | None = None) -> Following:
        """The same as an asynchronous iterator: ``async with client.follow() as messages: async for message in messages: ...``"""
        from tenure.client.subscribing import Following

        return Following(self._link.again(), topics, project, since)


def subscribe(
    callback: Callable[[Message], object], *, topics: Sequence[str] = (), project: str = "", since: int | None = None
) -> Subscription:
    """`Client.subscribe` without a client: of the daemon that `connect` finds or starts."""
    from tenure.client.start import connect

    with connect() as client:
        return client.subscribe(callback, topics=topics, project=project, since=since)
