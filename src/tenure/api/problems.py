"""Every error that a call can be answered with: its code, the status that goes with it, and how it is written (RFC 9457).

A problem's type is the path at which this daemon explains the code. Whoever speaks protocol 1 gets the same error as that wrote it.
Invariant: a code has one status, and a status has no error without a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from tenure.api.errors import ApiError
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire import PROTOCOL, ROOT
from tenure.wire.base import ErrorReply, Problem

MEDIA = "application/problem+json"
_encode = msgspec.json.Encoder().encode


class Kind(NamedTuple):
    """What a code means: the status of an answer that has it, and a title in a few words."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "The request does not say what its description says"),
    "bad_token": Kind(401, "The token is not valid"),
    "unidentified": Kind(401, "The connection does not say whose it is"),
    "forbidden": Kind(403, "This is not allowed to the caller"),
    "wrong_token": Kind(403, "Only the token of a lease renews and releases it"),
    "foreign_project": Kind(403, "The caller is no member of the project"),
    "over_cap": Kind(403, "The token's caps do not allow it"),
    "not_yours": Kind(403, "It is somebody else's"),
    "root_jobs": Kind(403, "Jobs do not run as root"),
    "no_account": Kind(403, "There is no account that the job could run as"),
    "wrong_origin": Kind(403, "A page of another origin calls"),
    "cross_site": Kind(403, "It does not say from where it comes"),
    "not_found": Kind(404, "There is no such thing"),
    "no_log": Kind(404, "There is no log"),
    "not_monitored": Kind(404, "Monitoring is off"),
    "method_not_allowed": Kind(405, "This cannot be done to it"),
    "timed_out_waiting": Kind(408, "It was not granted in time"),
    "too_slow": Kind(408, "The body did not come in time"),
    "ended": Kind(409, "The job has ended"),
    "is_a_lease": Kind(409, "A lease cannot be treated like this"),
    "key_reused": Kind(409, "The key was used for something else"),
    "lease_ending": Kind(409, "The lease is being taken back"),
    "lease_over": Kind(409, "The lease is over"),
    "resize_fixed": Kind(409, "What a job that runs holds cannot be changed here"),
    "shares_room": Kind(409, "Its room is handed on to others"),
    "no_room": Kind(409, "Others hold that now"),
    "limit_fixed": Kind(409, "Its time limit cannot be changed now"),
    "name_taken": Kind(409, "The name is taken"),
    "no_leases": Kind(409, "The supervisor cannot hold leases"),
    "no_listener": Kind(409, "The daemon listens on no port"),
    "not_a_contender": Kind(409, "The job does not wait in this conflict"),
    "not_available": Kind(409, "This is not available here"),
    "not_granted": Kind(409, "The lease ended before it was held"),
    "not_held": Kind(409, "The lease is not held"),
    "not_running": Kind(409, "The job does not run"),
    "not_waiting": Kind(409, "The job does not wait"),
    "one_contender": Kind(409, "There is nobody to share with"),
    "overlap": Kind(409, "That room is reserved already"),
    "reserved": Kind(409, "A reservation stands in the way"),
    "too_many": Kind(409, "There are too many of them"),
    "ambiguous": Kind(409, "Two users have this name"),
    "revoked": Kind(409, "The token was revoked before"),
    "changed": Kind(412, "It is not what it was any more"),
    "too_large": Kind(413, "It is larger than it may be"),
    "unsupported_media_type": Kind(415, "The body is no JSON"),
    "bad_range": Kind(416, "There is nothing in that range"),
    "wrong_host": Kind(421, "It is called by a name that is none of the daemon's"),
    "above_ask": Kind(422, "More than the job asked for"),
    "bad_request": Kind(422, "It was understood, and means nothing here"),
    "bad_time": Kind(422, "That time is past, or ends before it begins"),
    "dependency_cycle": Kind(422, "It would wait for itself"),
    "dependency_never": Kind(422, "What it would wait for can no longer happen"),
    "limit_too_long": Kind(422, "The time limit is longer than its queue allows"),
    "never_fits": Kind(422, "Nothing that is declared could ever run it"),
    "no_pool": Kind(422, "No pool of nodes takes such work"),
    "not_an_array": Kind(422, "The job is no array"),
    "unknown_policy": Kind(422, "There is no such policy, or no such setting of it"),
    "protocol_mismatch": Kind(426, "Client and daemon do not understand each other"),
    "too_many_calls": Kind(429, "These are more calls than the caller may make"),
    "too_many_failures": Kind(429, "Too many calls without a valid token came from there"),
    "internal": Kind(500, "A mistake in the daemon"),
    "not_leader": Kind(503, "Another daemon has taken over"),
    "not_yet": Kind(503, "Nothing has been seen yet"),
    "shutting_down": Kind(503, "The daemon is stopping"),
    "stuck": Kind(503, "The daemon does not schedule"),
    "too_many_followers": Kind(503, "As many as are allowed follow events already"),
    "locked": Kind(503, "The store is in use"),
    "busy": Kind(503, "The store is in use"),
    "unavailable": Kind(503, "The store cannot be used now"),
    "unreadable": Kind(503, "The store cannot be read"),
    "corrupt": Kind(503, "The store is damaged"),
    "network_file_system": Kind(503, "The store is on a network file system"),
    "foreign_database": Kind(503, "The store is of another program"),
    "newer_database": Kind(503, "The store is of a newer version"),
    "backup_failed": Kind(507, "The copy could not be written"),
    "disk_full": Kind(507, "There is no room to make it durable"),
}


def failure(code: str, message: str, remedy: str = "", headers: Mapping[str, str] | None = None) -> ApiError:
    """The error of a code, to be raised."""
    return ApiError(status_of(code), ErrorReply(code=code, message=message, remedy=remedy), headers=headers)


def status_of(code: str) -> int:
    """The status of a code; 422 for one that is not in the table."""
    kind = KINDS.get(code)
    return kind.status if kind else 422


def type_of(code: str) -> str:
    """Where a code is explained."""
    return f"{ROOT}/problems/{code}"


def problem(reply: ErrorReply, status: int) -> Problem:
    """An error as it is answered."""
    kind = KINDS.get(reply.code)
    return Problem(
        type=type_of(reply.code),
        title=kind.title if kind else "It was refused",
        status=status,
        detail=reply.message,
        code=reply.code,
        remedy=reply.remedy,
        details=reply.details,
    )


def error_response(error: Exception, spoken: int = PROTOCOL) -> Response:
    """An error as an answer, in the words of a protocol; one that nobody foresaw is a mistake of ours."""
    found = _known(error)
    headers = found.headers | ({"WWW-Authenticate": "Bearer"} if found.status == HTTPStatus.UNAUTHORIZED else {})
    headers |= {"Retry-After": str(found.wait_s)} if found.wait_s else {}
    if spoken == 1:
        return Response(_encode(found.reply), found.status, headers, "application/json")
    return Response(_encode(problem(found.reply, found.status)), found.status, headers, MEDIA)


def _known(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, StoreUnavailable):
        return ApiError(507 if error.code == "disk_full" else 503, ErrorReply(code=error.code, message=error.why))
    if isinstance(error, StaleEpoch):
        return failure("not_leader", "another daemon has taken over this store", "repeat the command")
    message = f"the daemon could not answer ({type(error).__name__}: {error})"
    return failure("internal", message, "nothing was changed by this call; see the daemon's log")


def is_foreseen(error: Exception) -> bool:
    """Whether an error is meant for callers; the others are logged as well."""
    return isinstance(error, ApiError | StoreUnavailable | StaleEpoch)


def mismatch(spoken: bytes) -> ApiError:
    """The error of a client whose protocol this daemon does not speak, before anything is decoded."""
    return failure(
        "protocol_mismatch",
        f"this daemon speaks protocol {PROTOCOL}, the client speaks {spoken.decode('latin-1')[:20]}",
        "run tenure down && tenure up with the newer version; running jobs go on",
        {"Upgrade": f"tenure/{PROTOCOL}"},
    )
