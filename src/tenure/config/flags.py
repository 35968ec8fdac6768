"""The options of ``tenure up`` that stand before the settings file, as words that travel from the command line to the daemon.

Invariant: `words` and `parsed` are each other's inverse; what was not given leaves the settings as they are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

import msgspec

from tenure.config import Settings


@dataclass(frozen=True, slots=True)
class Flags:
    """What was given; empty and False: not. Paths are full ones."""

    listen: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    insecure_i_know: bool = False
    shared: bool = False
    group: str = ""

    def words(self) -> list[str]:
        """As options."""
        found: list[str] = []
        for field in fields(self):
            value, option = getattr(self, field.name), "--" + field.name.replace("_", "-")
            if value:
                found += [option] if value is True else [option, value]
        return found

    def over(self, settings: Settings) -> Settings:
        """The settings with what was given in its place. Raises ValueError for a combination that means nothing."""
        if not self.listen and not settings.listen.address and (self.tls_cert or self.tls_key or self.insecure_i_know):
            raise ValueError("a certificate, or doing without, means nothing unless it listens somewhere: add --listen HOST:PORT")
        if self.group and not (self.shared or settings.shared.on):
            raise ValueError("--group means nothing without --shared")
        listen, shared = settings.listen, settings.shared
        if self.listen:
            listen = msgspec.structs.replace(listen, address=self.listen)
        if self.tls_cert or self.tls_key:
            listen = msgspec.structs.replace(listen, tls_cert=self.tls_cert, tls_key=self.tls_key)
        if self.insecure_i_know:
            listen = msgspec.structs.replace(listen, insecure=True)
        if self.shared:
            shared = msgspec.structs.replace(shared, on=True)
        if self.group:
            shared = msgspec.structs.replace(shared, group=self.group)
        return msgspec.structs.replace(settings, listen=listen, shared=shared)


NO_FLAGS = Flags()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a command line take these words."""
    for field in fields(Flags):
        option = "--" + field.name.replace("_", "-")
        if field.default is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, default="")


def parsed(chosen: argparse.Namespace) -> Flags:
    """What such a command line gave."""
    return Flags(**{field.name: getattr(chosen, field.name) for field in fields(Flags)})
