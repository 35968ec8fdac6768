"""What can go wrong between a client and its daemon, as a tree of exceptions.

    TenureError              code, message (one sentence), remedy (the way out), exit_code
    ├── BadRequest           the request means nothing (2)
    ├── NotFound             no such job, queue or node (3)
    ├── NeverFits            nothing that is declared could ever run it (4)
    ├── TimedOut             the time given to a call or a wait is over (5)
    ├── LeaseLost            the lease is not the holder's any more (1)
    ├── DaemonUnreachable    no daemon answers and none could be started (1)
    └── ProtocolMismatch     client and daemon do not understand each other (1)

Invariant: every error has a stable code and a sentence a person can act on; exit codes are those of the command line.
"""

from __future__ import annotations

from typing import Any

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_NOT_FOUND, EXIT_NEVER_FITS, EXIT_TIMED_OUT, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class TenureError(Exception):
    """Base of all: a stable ``code``, a ``message`` of one sentence, a ``remedy`` (may be empty), ``details`` typed by the code."""

    exit_code = EXIT_ERROR

    def __init__(self, code: str, message: str, remedy: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class BadRequest(TenureError):
    """The request means nothing; nothing was done."""

    exit_code = EXIT_USAGE


class NotFound(TenureError):
    """What was named does not exist."""

    exit_code = EXIT_NOT_FOUND


class NeverFits(TenureError):
    """Nothing that is declared could ever run this job; it was not queued."""

    exit_code = EXIT_NEVER_FITS


class TimedOut(TenureError):
    """The time given is over; what was waited for may still happen."""

    exit_code = EXIT_TIMED_OUT


class LeaseLost(TenureError):
    """The lease is over, or cannot be kept: others may hold what it held."""


class DaemonUnreachable(TenureError):
    """No daemon answers, and none could be started."""


class ProtocolMismatch(TenureError):
    """Client and daemon do not understand each other."""


_BY_CODE: dict[str, type[TenureError]] = {
    "not_found": NotFound,
    "never_fits": NeverFits,
    "bad_request": BadRequest,
    "malformed": BadRequest,
    "bad_time": BadRequest,
    "unknown_field": BadRequest,
    "unknown_policy": BadRequest,
    "usage": BadRequest,
    "timeout": TimedOut,
    "timed_out_waiting": TimedOut,
    "lease_over": LeaseLost,
    "unreachable": DaemonUnreachable,
    "protocol_mismatch": ProtocolMismatch,
}


def error_of(code: str, message: str, remedy: str = "", details: dict[str, Any] | None = None) -> TenureError:
    """The exception for an error's code; a code that is not in the list is a plain `TenureError`."""
    return _BY_CODE.get(code, TenureError)(code, message, remedy, details)


def usage(message: str, remedy: str = "") -> BadRequest:
    """An error in what the caller wrote."""
    return BadRequest("usage", message, remedy)
