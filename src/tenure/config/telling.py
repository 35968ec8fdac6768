"""The settings as they may be told to who may look at the machine: everything that holds, without what would let somebody in.

Invariant: a secret is told by whether there is one; of a webhook's address only where it leads, since paths and queries carry secrets.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from tenure.config import Settings

HIDDEN = "********"


def told(settings: Settings) -> dict[str, Any]:
    """The settings as plain values."""
    found: dict[str, Any] = msgspec.to_builtins(settings)
    for hook in found.get("notify", ()):
        parts = urlsplit(hook.get("url", ""))
        hook["url"] = f"{parts.scheme}://{parts.hostname}/{HIDDEN}"
        if hook.get("secret"):
            hook["secret"] = HIDDEN
    return found
