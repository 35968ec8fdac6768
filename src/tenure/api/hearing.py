"""What of the event stream somebody may hear, and for how long he is let in.

A stream outlives the look at who opened it, so that look is repeated while it goes on: a token that is revoked or expires ends it.
Of jobs everybody hears those that he may see; of what concerns no job, what everybody may know; conflicts, hints and reservations tell
of the jobs of several, and reach those who see everything. Invariant: what is not known to be open is not told.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import HTTPConnection

from tenure.api.errors import ApiError
from tenure.api.identity import Identity
from tenure.model.access import Caller, Permission
from tenure.wire.dto import EventView

OPEN = frozenset({"node", "queue", "policy", "strategy"})
"""The first words of kinds of events that everybody may hear."""
Hearer = Callable[[], Caller | None]


def hearer_of(identity: Identity, connection: HTTPConnection) -> Hearer:
    """Who listens on a connection, asked anew each time: None once he is not let in any more."""
    scope, headers = connection.scope, dict(connection.scope["headers"])

    def again() -> Caller | None:
        try:
            caller = identity.identify(scope, headers)
        except ApiError:
            return None
        return caller if caller.may(Permission.JOBS_READ) else None

    return again


def may_hear(caller: Caller, kind: str, job: str, project: str, uid: int) -> bool:
    """Whether somebody may hear of an event of a job (empty: of none) of this project and uid."""
    if caller.sees_all:
        return True
    return caller.sees(uid, project) if job else kind.partition(".")[0] in OPEN


def hears(caller: Caller, event: EventView) -> bool:
    """The same, of an event as the wire shows it."""
    return may_hear(caller, event.kind, event.job, event.project, event.uid)
