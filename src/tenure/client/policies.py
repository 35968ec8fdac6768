"""What a client can ask about policies: which one decides, another from now on, which there are, what each has done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure.client.link import Link
    from tenure.wire.policy import FrontReply, PoliciesReply, PolicyUsesReply, PolicyView


class Policies:
    """``client.policies``. Everything raises `TenureError` or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def current(self) -> PolicyView:
        """The policy that decides."""
        from tenure.wire.policy import PolicyView

        return self._link.call("GET", "/api/v1/policy", PolicyView)

    def choose(self, policy: str) -> PolicyView:
        """Let a policy decide from now on: ``NAME[:KEY=VALUE,...]``; empty: the one that the settings name."""
        from tenure.wire.policy import PolicyRequest, PolicyView

        return self._link.call("POST", "/api/v1/policy", PolicyView, PolicyRequest(key=os.urandom(16).hex(), policy=policy))

    def names(self) -> PoliciesReply:
        """The policies that have names, and what others are made of."""
        from tenure.wire.policy import PoliciesReply

        return self._link.call("GET", "/api/v1/policies", PoliciesReply)

    def front(self, policy: str = "") -> FrontReply:
        """The plans that a portfolio has to choose among now; without a name the present policy's, or those of ``portfolio``."""
        from tenure.wire.policy import FrontReply, FrontRequest

        return self._link.call("POST", "/api/v1/policy/front", FrontReply, FrontRequest(policy=policy))

    def performance(self) -> PolicyUsesReply:
        """What each policy has done, the present one first."""
        from tenure.wire.policy import PolicyUsesReply

        return self._link.call("GET", "/api/v1/policy/performance", PolicyUsesReply, timeout_s=120)
