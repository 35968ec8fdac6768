"""The tools of an agent that steers: guidance that stands, giving some, taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenure.client import words
from tenure.mcp.saying import plain
from tenure.mcp.tools import Answer, Tools
from tenure.wire.guidance import GuidanceRequest


class SteeringTools(Tools):
    """All tools, with those that steer."""

    def guidance(self, secret: str) -> Answer:
        """What guidance stands."""
        with self._client(secret) as client:
            found: Answer = plain(client.thinking.guidance())
        return found

    def guide(self, secret: str, wish: Mapping[str, Any], confirm: str) -> Answer:
        """Raise or lower a class of work, or let another policy decide, for a while."""
        given = {name: value for name, value in wish.items() if value not in ("", None, 0)}
        given["length_ms"] = words.span_of(given.pop("length", "1h"))
        request = GuidanceRequest(**given)
        if not confirm:
            with self._client(secret) as client:
                plan = self._supposed(client, {"policy": request.policy}) if request.policy else given
            return self._dry(secret, "guide", wish, plan)
        request.key = self._key(secret, "guide", wish, confirm)
        with self._client(secret) as client:
            return {"dry_run": False, **plain(client.thinking.guide(request))}

    def end_guidance(self, secret: str, number: int) -> Answer:
        """Take guidance back."""
        with self._client(secret) as client:
            found: Answer = plain(client.thinking.end_guidance(number))
        return found
