"""What parameters of paths and queries may be: the bounds that calls are checked by, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from tenure.wire.base import MOST

_NO_NUL = r"^[^\x00]*$"
BIG = 10**15
"""Far above every cursor, number and moment, and within what fifteen digits say."""

Ref = Annotated[
    str,
    Meta(max_length=4096, pattern=_NO_NUL, description="A job: its id (12), an element (12_3), last, last~2.", examples=["last"]),
]
Name = Annotated[str, Meta(max_length=200, pattern=_NO_NUL, description="Its name.", examples=["default"])]
Named = Annotated[str, Meta(max_length=200, pattern=_NO_NUL, description="Only what is of that name; empty: all.")]
Code = Annotated[str, Meta(max_length=60, pattern=r"^[a-z_]+$", description="The code of an error.", examples=["not_found"])]
Number = Annotated[int, Meta(ge=0, le=BIG, description="Its number.", examples=[1])]
Limit = Annotated[int, Meta(ge=1, le=1000, description="So many at most.")]
Cursor = Annotated[
    str, Meta(max_length=2000, pattern=r"^[A-Za-z0-9_-]*$", description="The next of the page before; empty: the first.")
]
History = Annotated[int, Meta(ge=0, le=1, description="1: all that are kept, the newest first.")]
Until = Annotated[int, Meta(ge=0, le=MOST, description="A moment in milliseconds since the epoch, before which it is; 0: no matter.")]
Moment = Annotated[int, Meta(ge=0, le=MOST, description="A moment in milliseconds since the epoch; 0: the beginning.")]
Switch = Annotated[int, Meta(ge=0, le=1, description="1: yes.")]
Count = Annotated[int, Meta(ge=0, le=BIG)]
After = Annotated[int, Meta(ge=-1, le=BIG, description="The cursor after which it begins; -1: the present.")]
States = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[a-z_,]*$",
        description="States between commas, or active, ended, all.",
        examples=["active"],
    ),
]
Seen = Literal["", "waiting", "held", "expiring", "ending", "over"]
Wait = Annotated[int, Meta(ge=0, le=30_000, description="So many milliseconds the answer may take.")]
Following = Annotated[int, Meta(ge=0, le=1, description="1: the answer goes on while there is more to come.")]
Topics = Annotated[
    str, Meta(max_length=200, pattern=r"^[a-z_,]*$", description="Names between commas; none: all.", examples=["job,node"])
]
Step = Literal[0, 5_000, 60_000, 600_000]
"""The steps of time in which figures are kept; 0: the finest that reaches back far enough."""
Page = Annotated[int, Meta(ge=1, le=10_000, description="So many at most.")]
Job = Annotated[str, Meta(max_length=4096, pattern=_NO_NUL, description="Only of this job; empty: of all.", examples=["last"])]
Small = Annotated[int, Meta(ge=0, le=1_000_000, description="Its number; 0: the last attempt, or the first task.")]
Stream = Literal["out", "err"]
Offset = Annotated[int, Meta(ge=-1, le=BIG, description="The byte to begin at; -1: the beginning.")]
Tail = Annotated[int, Meta(ge=0, le=1_000_000, description="So many lines before the end; 0: no matter.")]
Heartbeat = Annotated[int, Meta(ge=1, le=300, description="So many seconds between signs of life.")]

_TAGS = r"^[ -~]+$"
"""Whatever may be said in a header: a tag that is none is nobody's."""
HEADERS: Mapping[str, Any] = {
    "Idempotency-Key": Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^[!-~]+$",
            examples=["9f1c2e7a"],
            description="Made up by the caller: the same key again has no further effect. The body may have it as its key instead.",
        ),
    ],
    "If-Match": Annotated[
        str,
        Meta(
            pattern=_TAGS,
            examples=['"30aa02ef29e5974d32"'],
            description="Only if it is still what it was: the ETag of the last answer.",
        ),
    ],
    "If-None-Match": Annotated[
        str,
        Meta(
            pattern=_TAGS, examples=['"30aa02ef29e5974d32"'], description="304 if it is still what it was: the ETag of the last answer."
        ),
    ],
    "Range": Annotated[
        str, Meta(max_length=200, examples=["bytes=0-99"], description="One range of bytes of the log as it is now; else not heeded.")
    ],
    "Last-Event-ID": Annotated[
        str,
        Meta(max_length=18, pattern=r"^[0-9]+$", examples=["17"], description="The id of the last event that was heard."),
    ],
}
"""What the headers of requests may be that mean something to some routes."""
