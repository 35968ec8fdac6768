"""Every value on the wire, version 1, by one name: JSON objects, defined by subject beside this module.

Amounts are the integers of `tenure.model` (milli-cpu, bytes, milliseconds); text such as ``8G`` is parsed by the client. They are
msgspec structs because both ends pay for them on every call: the command line cannot afford a slow import, the daemon a slow decode.
"""

from __future__ import annotations

from tenure.wire.base import ErrorReply, Reply, Request
from tenure.wire.installation import (
    BackupReply,
    CheckView,
    DeviceView,
    DoctorReply,
    NodesReply,
    NodeView,
    QueuesReply,
    QueueView,
    StatusView,
)
from tenure.wire.jobs import (
    ActReply,
    ActResult,
    AfterView,
    ArrayView,
    AttemptView,
    EventView,
    ExplanationView,
    HolderView,
    JobDetail,
    JobsReply,
    JobView,
    ReasonView,
    SubmitManyReply,
    SubmitReply,
    SuggestionView,
    TaskView,
    WaitReply,
)
from tenure.wire.requests import (
    ActRequest,
    AfterRef,
    BackupRequest,
    NodeRequest,
    QueueRequest,
    Selection,
    SubmitManyRequest,
    SubmitRequest,
    UpdateRequest,
    WaitRequest,
)

__all__ = [
    "ActReply",
    "ActRequest",
    "ActResult",
    "AfterRef",
    "AfterView",
    "ArrayView",
    "AttemptView",
    "BackupReply",
    "BackupRequest",
    "CheckView",
    "DeviceView",
    "DoctorReply",
    "ErrorReply",
    "EventView",
    "ExplanationView",
    "HolderView",
    "JobDetail",
    "JobView",
    "JobsReply",
    "NodeRequest",
    "NodeView",
    "NodesReply",
    "QueueRequest",
    "QueueView",
    "QueuesReply",
    "ReasonView",
    "Reply",
    "Request",
    "Selection",
    "StatusView",
    "SubmitManyReply",
    "SubmitManyRequest",
    "SubmitReply",
    "SubmitRequest",
    "SuggestionView",
    "TaskView",
    "UpdateRequest",
    "WaitReply",
    "WaitRequest",
]
