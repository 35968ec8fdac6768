"""The Python client: ``with tenure.connect() as client: client.submit(["python", "train.py"], gpus=1)``.

The names below are imported when they are first used, so that a command line that needs only a path pays only for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenure.client.checkpointing import checkpointed as checkpointed
    from tenure.client.checkpointing import last_checkpoint as last_checkpoint
    from tenure.client.checkpointing import should_preempt as should_preempt
    from tenure.client.errors import BadRequest as BadRequest
    from tenure.client.errors import DaemonUnreachable as DaemonUnreachable
    from tenure.client.errors import LeaseLost as LeaseLost
    from tenure.client.errors import NeverFits as NeverFits
    from tenure.client.errors import NotFound as NotFound
    from tenure.client.errors import ProtocolMismatch as ProtocolMismatch
    from tenure.client.errors import TenureError as TenureError
    from tenure.client.errors import TimedOut as TimedOut
    from tenure.client.hearing import subscribe as subscribe
    from tenure.client.holding import Lease as Lease
    from tenure.client.holding import lease as lease
    from tenure.client.reporting import report as report
    from tenure.client.session import Client as Client
    from tenure.client.start import connect as connect
    from tenure.client.start import submit as submit
    from tenure.client.subscribing import Message as Message
    from tenure.client.subscribing import Subscription as Subscription

_HOMES = {
    "Client": "session",
    "subscribe": "hearing",
    "Message": "subscribing",
    "Subscription": "subscribing",
    "Lease": "holding",
    "lease": "holding",
    "connect": "start",
    "submit": "start",
    "report": "reporting",
    **dict.fromkeys(("checkpointed", "last_checkpoint", "should_preempt"), "checkpointing"),
    **dict.fromkeys(
        ("TenureError", "BadRequest", "NotFound", "NeverFits", "TimedOut", "LeaseLost", "DaemonUnreachable", "ProtocolMismatch"),
        "errors",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
