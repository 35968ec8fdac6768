"""Leases on the wire: what is asked for, what was granted, and how it stands."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply, Request, Whole, Word

WAITING, HELD, EXPIRING, ENDING, OVER = "waiting", "held", "expiring", "ending", "over"
"""The phases of a lease: not granted yet; held; held, but nearly over unless it is renewed; held, but being taken back; none of it."""


class Amounts(Request):
    """Upper ends of ranges; 0 is the same as the lower end."""

    cpu_milli: Whole = 0
    memory_bytes: Whole = 0
    gpu_milli: Whole = 0
    gpu_memory_bytes: Whole = 0


class LeaseRequest(Request):
    """Amounts for a short time. ``key`` is the idempotency key and ``token`` the secret of whoever asks, both made by the client: a
    repetition of the same request is the same lease, and waits on.

    ``wait_ms`` is how long it may wait before it is withdrawn, ``poll_ms`` how long this call may take (30 s at most): then the answer
    has the phase waiting, and the call is repeated. With ``bound`` the lease ends with the process that asks. With ``most`` the largest
    amounts are given that are to be had at once, else the least ones are waited for.
    """

    token: Word
    key: Word = ""
    name: Word = ""
    purpose: list[str] = msgspec.field(default_factory=list)
    cpu_milli: Whole = 0
    memory_bytes: Whole = 0
    storage_bytes: Whole = 0
    bandwidth_bps: Whole = 0
    gpu_milli: Whole = 0
    gpu_memory_bytes: Whole = 0
    gpu_model: Word = ""
    labels: list[Word] = msgspec.field(default_factory=list)
    most: Amounts | None = None
    ttl_ms: Whole = 300_000
    wait_ms: Whole = 300_000
    poll_ms: Whole = 30_000
    expected_ms: Whole = 60_000
    grace_ms: Whole = 10_000
    priority: Whole = 1
    project: Word = "default"
    queue: Word = "default"
    bound: bool = True


class RenewRequest(Request):
    """Let it end ``ttl_ms`` from now on."""

    token: Word
    ttl_ms: Whole


class ReleaseRequest(Request):
    """End it, or withdraw it while it waits."""

    token: Word


class LeaseView(Reply):
    """A lease. ``phase`` is one of the five of this module; ``why`` says why it is being taken back or is over.

    ``fence`` grows with every grant of the installation: who uses something outside under a lease can refuse whoever comes with a
    smaller one. ``left_ms`` is what is left until ``expires_ms`` when this was written. Devices are UUIDs. ``env`` is what the holder's
    process should have in its environment, told to those who hold the token. ``price_micro`` is what an hour of it costs and
    ``cost_micro`` what it has cost, in millionths, where its node has a price.
    """

    id: str
    number: int
    phase: str
    state: str
    name: str = ""
    user: str = ""
    project: str = "default"
    purpose: str = ""
    why: str = ""
    fence: int = 0
    node: str = ""
    devices: list[str] = msgspec.field(default_factory=list)
    pretend: bool = False
    cpu_milli: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    bandwidth_bps: int = 0
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    priority: int = 1
    pid: int = 0
    asked_ms: int = 0
    granted_ms: int = 0
    expires_ms: int = 0
    left_ms: int = 0
    ended_ms: int = 0
    grace_ms: int = 0
    expected_ms: int = 0
    has_price: bool = False
    price_micro: int = 0
    cost_micro: int = 0
    env: dict[str, str] = msgspec.field(default_factory=dict)


class LeasesReply(Page):
    """Open leases, by id."""

    leases: list[LeaseView]
