"""A command line that talks to a client made of canned replies."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tenure.cli import options
from tenure.cli.app import run


class Done(NamedTuple):
    """What a command line printed and returned."""

    code: int
    out: str
    err: str


class FakeClient:
    """Answers each method with what was set for it, raises it when it is an exception, and remembers the calls."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.admin = self.monitor = self.policies = self.conflicts = self.reservations = self.people = self

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            self.calls.append((name, words, named))
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer(*words, **named) if callable(answer) else answer

        return call


class Shell:
    """Runs command lines in this process."""

    def __init__(self, client: FakeClient, capture: pytest.CaptureFixture[str]) -> None:
        self.client = client
        self._capture = capture

    def __call__(self, *words: str) -> Done:
        self._capture.readouterr()
        code = run(words)
        out, err = self._capture.readouterr()
        return Done(code, out, err)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """The client every command gets."""
    fake = FakeClient()
    monkeypatch.setattr(options, "client", lambda: fake)
    return fake


@pytest.fixture
def shell(client: FakeClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Shell:
    """A command line in an empty directory with a home of its own, not on a terminal."""
    monkeypatch.setenv("TENURE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TENURE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(client, capsys)


Binary = Callable[[], tuple[bytes, bytes]]


@pytest.fixture
def binary(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Binary:
    """What was written to stdout and stderr since the last call, byte for byte."""
    monkeypatch.setenv("TENURE_HOME", str(tmp_path / "home"))

    def written() -> tuple[bytes, bytes]:
        out, err = capfdbinary.readouterr()
        return out, err

    return written


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A person at a terminal who types this."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def answer(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    return answer
