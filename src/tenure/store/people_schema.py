"""The tables of who may do what, and of who did what.

A user is a row of `tenure.store.schema.user`, which jobs name too. Invariants that the database itself holds: one membership of a user
in a project, one token of a digest. No secret is in any column, only digests are.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, PrimaryKeyConstraint, Table

from tenure.store.fields import a_number as _int
from tenure.store.fields import a_text as _str
from tenure.store.fields import an_id as _id
from tenure.store.fields import maybe_a_number as _maybe
from tenure.store.fields import metadata

member = Table(
    "member",
    metadata,
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    _int("role", None),
    PrimaryKeyConstraint("user_id", "project_id"),
    sqlite_with_rowid=False,
)

# ``only`` and ``verbs`` are lists in JSON, empty text where the token narrows nothing.
token = Table(
    "token",
    metadata,
    _id(),
    _str("digest", None, unique=True),
    _str("prefix", None),
    _str("kind", None),
    Column("user_id", ForeignKey("user_account.id"), nullable=False, index=True),
    _str("label"),
    _int("role", None),
    *(_str(name) for name in ("only", "verbs")),
    *(_int(name) for name in ("gpu_milli_ms", "jobs", "lease_ms")),
    _int("made_ms", None),
    _str("made_by"),
    _int("expires_ms"),
    _maybe("revoked_ms"),
)

# A chain: ``hash`` covers the row and the hash of the row before it. The last one and, of those that were removed for their age, the
# last one are in `tenure.store.schema.meta`.
audit = Table(
    "audit",
    metadata,
    _id(),
    _int("at_ms", None),
    _int("uid", None),
    *(_str(name) for name in ("user_name", "via")),
    _int("token_id"),
    _str("what", None),
    _int("count", 1),
    *(_str(name) for name in ("target", "outcome")),
    _str("detail", "{}"),
    _str("hash", None),
)
