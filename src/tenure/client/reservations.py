"""What a client can ask about reservations: which there are, one more, one less."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure.client.link import Link
    from tenure.wire.reservation import ReservationsReply, ReservationView


class Reservations:
    """``client.reservations``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def standing(self) -> ReservationsReply:
        """Those that are not over, the first to begin first."""
        from tenure.wire.reservation import ReservationsReply

        return self._link.whole("/api/v1/reservations", ReservationsReply)

    def history(self) -> ReservationsReply:
        """All that are kept, the newest first."""
        from tenure.wire.reservation import ReservationsReply

        return self._link.whole("/api/v1/reservations", ReservationsReply, history=1)

    def make(
        self,
        *,
        from_ms: int = 0,
        until_ms: int = 0,
        length_ms: int = 0,
        nodes: Sequence[str] = (),
        name: str = "",
        project: str = "",
        user: str = "",
        maintenance: bool = False,
        gpus: int = 0,
        cpu_milli: int = 0,
        memory_bytes: int = 0,
    ) -> ReservationView:
        """Set nodes (none named: all) aside from ``from_ms`` (0: now) to ``until_ms``, or for ``length_ms``: for a project, a user or
        either, or for maintenance. With ``gpus`` or amounts only so much of each node."""
        from tenure.wire.reservation import ReservationRequest, ReservationView

        wish = ReservationRequest(
            key=os.urandom(16).hex(),
            from_ms=from_ms,
            until_ms=until_ms,
            length_ms=length_ms,
            name=name,
            nodes=list(nodes),
            maintenance=maintenance,
            project=project,
            user=user,
            gpus=gpus,
            cpu_milli=cpu_milli,
            memory_bytes=memory_bytes,
        )
        return self._link.call("POST", "/api/v1/reservations", ReservationView, wish)

    def remove(self, reservation: str) -> ReservationView:
        """Take the reservation of that name or id back."""
        from tenure.wire.reservation import RemovalRequest, ReservationView

        wish = RemovalRequest(key=os.urandom(16).hex(), reservation=reservation)
        return self._link.call("POST", "/api/v1/reservations/remove", ReservationView, wish)
