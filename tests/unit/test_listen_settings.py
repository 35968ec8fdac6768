"""Addresses, rates and options of the listener: what is understood, and that the rest is refused by name."""

from __future__ import annotations

import argparse

import pytest

from tenure.config import Settings
from tenure.config.flags import Flags, add_options, parsed
from tenure.config.listen import ListenSettings, Rate, address_of, rate_of


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback", "is_everywhere"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True, False),
        ("127.9.9.9:1", "127.9.9.9", 1, True, False),
        ("localhost:0", "localhost", 0, True, False),
        ("[::1]:8080", "::1", 8080, True, False),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False, True),
        ("[::]:8080", "::", 8080, False, True),
        ("gpu1.example.org:443", "gpu1.example.org", 443, False, False),
        ("localhost.evil.example:443", "localhost.evil.example", 443, False, False),
        ("10.0.0.5:65535", "10.0.0.5", 65535, False, False),
    ],
)
def test_an_address_is_understood(text: str, host: str, port: int, is_loopback: bool, is_everywhere: bool) -> None:
    found = address_of(text)
    assert (found.host, found.port, found.is_loopback, found.is_everywhere) == (host, port, is_loopback, is_everywhere)
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "host", "host:", "host:-1", "host:65536", "::1:8080", "[::1]", "[x]:1", "a b:1", "h:²"]
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no address to listen on"):
        address_of(text)


def test_a_rate_is_understood() -> None:
    assert (rate_of("100/s"), rate_of("30/m"), rate_of("5/h")) == (Rate(100, 1_000), Rate(30, 60_000), Rate(5, 3_600_000))
    for text in ("", "0/s", "1/d", "-1/s", "1", "1.5/s", "99999999/s"):
        with pytest.raises(ValueError, match="is no rate"):
            rate_of(text)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"address": "x"}, "listen.address"),
        ({"reads": "many"}, "listen.reads"),
        ({"head_within": "soon"}, "listen.head_within"),
        ({"connections": 0}, "listen.connections"),
        ({"tls_cert": "a"}, "listen.tls_cert"),
        ({"tls_key": "a"}, "listen.tls_cert"),
    ],
)
def test_a_setting_that_means_nothing_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ListenSettings(**changes).check()


@pytest.mark.parametrize(
    "flags",
    [
        Flags(),
        Flags(listen="127.0.0.1:1"),
        Flags(shared=True, group="gpu"),
        Flags(listen="h:1", tls_cert="/a b", tls_key="x", insecure_i_know=True),
    ],
)
def test_options_travel_unchanged(flags: Flags) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parsed(parser.parse_args(flags.words())) == flags


def test_options_stand_before_the_settings() -> None:
    settings = Settings(listen=ListenSettings(address="127.0.0.1:1", tls_cert="/old", tls_key="/old.key", session="1h"))
    assert Flags().over(settings) == settings
    changed = Flags(listen="127.0.0.1:2", tls_cert="/new", tls_key="/new.key").over(settings).listen
    assert (changed.address, changed.tls_cert, changed.tls_key, changed.session) == ("127.0.0.1:2", "/new", "/new.key", "1h")


@pytest.mark.parametrize("flags", [Flags(tls_cert="a", tls_key="b"), Flags(insecure_i_know=True), Flags(group="gpu")])
def test_options_that_mean_nothing_alone_are_refused(flags: Flags) -> None:
    with pytest.raises(ValueError, match="means nothing"):
        flags.over(Settings())
