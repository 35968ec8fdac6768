"""The file of profiles as structs: daemons by a name of one's own."""

from __future__ import annotations

import msgspec


class Profile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One daemon. The token stands in a file of its own, or here."""

    url: str
    token_file: str = ""
    token: str = ""
    ca_file: str = ""


class Profiles(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of them; ``default`` is the one that is meant when none is named."""

    default: str = ""
    profiles: dict[str, Profile] = msgspec.field(default_factory=dict)
