"""The tables of what planning decides and goes by beside the jobs: policies, promises, reasons, conflicts, reservations,
guidance.

They are apart from `tenure.store.schema` because none of them says what is there or in use: each row says what was decided, and since
when. Invariants that the database itself holds: one open conflict of a key, one part of a reservation on a node, and a reservation ends
after it begins.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, PrimaryKeyConstraint, Table

from tenure.store.fields import a_number as _int
from tenure.store.fields import a_text as _str
from tenure.store.fields import an_id as _id
from tenure.store.fields import maybe_a_number as _maybe
from tenure.store.fields import metadata
from tenure.store.fields import partial_index as _partial

# Each change of the policy, so that what it has done can be told: the attempts from ``first_attempt`` up to the next row's are its.
# ``strategy`` is the one that an adaptive policy follows now.
policy_choice = Table(
    "policy_choice",
    metadata,
    _id(),
    _str("policy", None),
    _int("by_person"),
    _str("user_name"),
    _int("uid", -1),
    _int("at_ms", None),
    _int("first_attempt"),
    _int("rejected"),
    _int("reasons"),
    _str("strategy"),
)

claim = Table(
    "claim",
    metadata,
    _id(),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    _str("placements", None),
    _int("deadline_ms", None),
    _int("made_ms"),
    _str("victims", "[]"),
)

hold = Table(
    "hold",
    metadata,
    _int("shape_id", None),
    _int("queue_id", None),
    _str("code", None),
    _int("project_id"),
    _str("reason", None),
    _int("first_job"),
    _int("since_ms"),
    PrimaryKeyConstraint("shape_id", "queue_id", "code", "project_id"),
    sqlite_with_rowid=False,
)

conflict = Table(
    "conflict",
    metadata,
    _id(),
    *(_str(name, default) for name, default in (("key", None), ("kind", None), ("room", ""), ("contenders", "[]"), ("holders", "[]"))),
    _int("severity"),
    *(_int(name, None) for name in ("opened_ms", "updated_ms")),
    *(_maybe(name) for name in ("closed_ms", "resolved_ms")),
    *(_str(name) for name in ("resolution", "resolved_by")),
)
_partial("ix_conflict_open", conflict.c.key, where=conflict.c.closed_ms.is_(None), unique=True)
Index("ix_conflict_severity", conflict.c.severity, conflict.c.id)

# A time for which a person has set nodes aside: for a project or a user (0: not for any), for nobody where both are 0. What started
# from ``first_attempt`` on knew of it. One that was taken back stays for a while, as history.
reservation = Table(
    "reservation",
    metadata,
    _id(),
    _str("name", None),
    *(_int(name) for name in ("project_id", "user_id")),
    *(_int(name, None) for name in ("from_ms", "until_ms", "made_ms")),
    _int("uid", None),
    _str("made_by"),
    _int("first_attempt"),
    _maybe("removed_ms"),
    _str("removed_by"),
    CheckConstraint("from_ms < until_ms", name="ends_later"),
)
_partial("ix_reservation_open", reservation.c.until_ms, where=reservation.c.removed_ms.is_(None))

# What it sets aside of one node: all of it (``whole``), or these amounts and devices (a list of ids).
reservation_part = Table(
    "reservation_part",
    metadata,
    Column("reservation_id", ForeignKey("reservation.id"), nullable=False),
    Column("node_id", ForeignKey("node.id"), nullable=False),
    _int("whole", 1),
    *(_int(name) for name in ("cpu_milli", "memory_bytes", "storage_bytes", "bandwidth_bps")),
    _str("devices", "[]"),
    PrimaryKeyConstraint("reservation_id", "node_id"),
    sqlite_with_rowid=False,
)

# What somebody who thinks ahead asks for, for a while: ``steps`` of priority for jobs of a project, queue, user (0: any) and name (a
# pattern), or a ``policy`` in the place of ``before`` (empty: that of the settings). What is over stays for a while, as history.
guidance = Table(
    "guidance",
    metadata,
    _id(),
    *(_int(name) for name in ("steps", "project_id", "queue_id", "user_id")),
    *(_str(name) for name in ("name", "policy", "before", "note")),
    _int("uid", None),
    _str("made_by"),
    *(_int(name, None) for name in ("made_ms", "until_ms")),
    _maybe("ended_ms"),
    _str("ended_by"),
)
_partial("ix_guidance_open", guidance.c.until_ms, where=guidance.c.ended_ms.is_(None))
