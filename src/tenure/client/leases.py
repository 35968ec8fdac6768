"""Leases as calls: one method per call of the protocol. What keeps one alive is `tenure.client.holding`."""

from __future__ import annotations

from tenure.client.link import Link, path_of
from tenure.wire.leases import WAITING, LeaseRequest, LeasesReply, LeaseView, ReleaseRequest, RenewRequest

_MARGIN_S = 30.0


class Leases:
    """What one can ask of the daemon about leases."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def ask(self, request: LeaseRequest) -> LeaseView:
        """Ask once: the lease, held or still waiting. The same request again is the same lease. Raises `TimedOut` when its wait is
        over, `NeverFits` for what could never be granted."""
        return self._link.call("POST", "/api/v1/leases", LeaseView, request, timeout_s=request.poll_ms / 1000 + _MARGIN_S)

    def acquire(self, request: LeaseRequest) -> LeaseView:
        """Wait until it is held. Raises `TimedOut` with the reason when its wait is over; interrupted, it withdraws the request."""
        try:
            while (view := self.ask(request)).phase == WAITING:
                pass
        except KeyboardInterrupt:
            self.withdraw(request)
            raise
        return view

    def withdraw(self, request: LeaseRequest) -> None:
        """Give up what was asked for, granted or not; nothing is left of it afterwards."""
        request.poll_ms = 0
        self.release(self.ask(request).number, request.token)

    def renew(self, number: int, token: str, ttl_ms: int) -> LeaseView:
        """Let it end so much later than now. Raises `LeaseLost` when it is over or being taken back."""
        return self._link.call("POST", f"/api/v1/leases/{number}/renew", LeaseView, RenewRequest(token=token, ttl_ms=ttl_ms))

    def release(self, number: int, token: str) -> LeaseView:
        """Give it back; others can have what it held when this returns. One that is over is left alone."""
        return self._link.call("POST", f"/api/v1/leases/{number}/release", LeaseView, ReleaseRequest(token=token), timeout_s=60)

    def show(self, number: int, *, seen: str = "", wait_ms: int = 0) -> LeaseView:
        """How it stands; with ``wait_ms`` when its phase is another one than ``seen``, or after that time."""
        path = path_of(f"/api/v1/leases/{number}", seen=seen, wait_ms=wait_ms or None)
        return self._link.call("GET", path, LeaseView, timeout_s=wait_ms / 1000 + _MARGIN_S)

    def open(self) -> list[LeaseView]:
        """The leases that are held or waited for, everybody's."""
        return self._link.whole("/api/v1/leases", LeasesReply).leases
