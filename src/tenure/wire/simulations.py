"""Simulations on the wire: what is replayed under which policies, how far that is, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tenure.wire.base import Line, Page, Reply, Request, Whole, Word

Spec = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[A-Za-z0-9:,=.+_ -]*$")]
"""Machines or a generator; it cannot be the path of a file."""
Content = Annotated[str, msgspec.Meta(max_length=32 * 1024 * 1024)]


class SimulationRequest(Request):
    """Replay one workload under up to eight policies: drawn by a generator (``generate``: ``lublin:jobs=2000,nodes=128``), or the
    ``trace`` itself, as text in a ``format`` of `tenure simulate` (empty: by its looks). ``nodes`` are machines (``4x32c``); empty: the
    workload's own. ``runtimes``: what the planner believes: exact, requested, predicted. ``limit``: so many jobs at most, 0 all."""

    key: Word = ""
    generate: Spec = ""
    trace: Content = ""
    format: Word = ""
    nodes: Spec = ""
    policies: Annotated[list[Line], msgspec.Meta(max_length=8)] = msgspec.field(default_factory=lambda: ["default"])
    runtimes: Word = "requested"
    seed: Whole = 0
    limit: Whole = 0


class SimulationView(Reply):
    """One simulation. ``state`` is running, succeeded, failed or cancelled; ``policy`` is being replayed, ``done`` of ``total`` jobs
    have arrived; ``code`` and ``text`` say why it failed; ``result`` is what `tenure simulate --json` prints."""

    id: int
    state: str
    user: str
    made_ms: int
    ended_ms: int = 0
    policies: list[str] = msgspec.field(default_factory=list)
    policy: str = ""
    done: int = 0
    total: int = 0
    code: str = ""
    text: str = ""
    result: dict[str, Any] = msgspec.field(default_factory=dict)


class SimulationsReply(Page):
    """The simulations that are kept, the newest first, without their results."""

    simulations: list[SimulationView]
