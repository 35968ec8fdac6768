"""The table of routes: the one place that says what can be called, read by the two who serve it.

`Front` answers from it without a web framework; FastAPI takes it to describe it and to answer whatever the table does not.
Invariant: an endpoint is one that FastAPI accepts as it stands: it takes the request, then path and query parameters, each ``str`` or
``int``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.responses import Response

from tenure.model.access import Permission

Endpoint = Callable[..., Awaitable[Response]]
E = TypeVar("E", bound=Endpoint)
Arguments = dict[str, str | int]

WEBSOCKET = "WEBSOCKET"
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` has its parameters in braces; ``needs`` is what the caller must be allowed before the endpoint runs; ``takes`` and
    ``gives`` are the structs of body and answer, None where there is none. ``method`` is that of HTTP, or `WEBSOCKET`."""

    method: str
    path: str
    endpoint: Endpoint
    needs: Permission
    takes: type[Any] | None = None
    gives: type[Any] | None = None


class Routes:
    """The routes of one module, in the order in which they are written."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def get(self, path: str, gives: type[Any] | None = None, *, needs: Permission) -> Callable[[E], E]:
        """The function below answers GET."""
        return self._add("GET", path, needs, None, gives)

    def post(self, path: str, takes: type[Any] | None = None, gives: type[Any] | None = None, *, needs: Permission) -> Callable[[E], E]:
        """The function below answers POST."""
        return self._add("POST", path, needs, takes, gives)

    def websocket(self, path: str, *, needs: Permission) -> Callable[[E], E]:
        """The function below answers who opens a WebSocket: with the response that accepts it and speaks, or with an error as any
        call's. It takes no request but the connection."""
        return self._add(WEBSOCKET, path, needs, None, None)

    def _add(self, method: str, path: str, needs: Permission, takes: type[Any] | None, gives: type[Any] | None) -> Callable[[E], E]:
        def remember(endpoint: E) -> E:
            self._routes.append(Route(method, self._prefix + path, endpoint, needs, takes, gives))
            return endpoint

        return remember


class _Target:
    """An endpoint, what it needs, and what its parameters must be."""

    __slots__ = ("_parameters", "endpoint", "needs")

    def __init__(self, route: Route) -> None:
        self.endpoint = route.endpoint
        self.needs = route.needs
        _request, *rest = inspect.signature(route.endpoint, eval_str=True).parameters.values()
        self._parameters = [(one.name, one.annotation is int, one.default is one.empty) for one in rest]

    def arguments(self, given: dict[str, str]) -> Arguments | None:
        """The texts as the endpoint takes them, None where one is missing or is no plain number."""
        found: Arguments = {}
        for name, is_integer, is_required in self._parameters:
            text = given.get(name)
            if text is None:
                if is_required:
                    return None
            elif not is_integer:
                found[name] = text
            elif _INTEGER.fullmatch(text):
                found[name] = int(text)
            else:
                return None
        return found


class Finder:
    """Which endpoint a call means. A path without parameters goes before one with."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[tuple[str, str], _Target] = {}
        self._open: list[tuple[str, re.Pattern[str], _Target]] = []
        for route in routes:
            if "{" in route.path:
                pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))
                self._open.append((route.method, pattern, _Target(route)))
            else:
                self._fixed[route.method, route.path] = _Target(route)

    def find(self, method: str, path: str, query: bytes) -> tuple[Endpoint, Permission, Arguments] | None:
        """The endpoint, what it needs, and its arguments; None for a call that is not in the table, or not
        quite as it has it."""
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
        target = self._fixed.get((method, path)) or self._matching(method, path, given)
        if target is None:
            return None
        arguments = target.arguments(given)
        return None if arguments is None else (target.endpoint, target.needs, arguments)

    def _matching(self, method: str, path: str, given: dict[str, str]) -> _Target | None:
        """The target whose path has parameters, which are added to ``given``."""
        for allowed, pattern, target in self._open:
            match = pattern.fullmatch(path) if allowed == method else None
            if match is not None:
                given |= match.groupdict()
                return target
        return None
