"""The table of routes: the one place that says what can be called, read by who serves it and by who describes it.

An endpoint takes the request, then path and query parameters, each ``str`` or ``int``, with bounds as `msgspec.Meta` of its annotation.
Invariant: what an endpoint is called with is within those bounds, and every parameter of the call was one of its own.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from tenure.api.parameters import HEADERS
from tenure.api.problems import failure
from tenure.model.access import Permission
from tenure.wire import ROOT

Endpoint = Callable[..., Awaitable[Response]]
E = TypeVar("E", bound=Endpoint)
Arguments = dict[str, str | int]

_INTEGER = re.compile(r"-?[0-9]{1,18}")
JSON = "application/json"
WEBSOCKET = "WEBSOCKET"
KEY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` has its parameters in braces; ``needs`` is what the caller must be allowed before the endpoint runs; ``takes`` and
    ``gives`` are the structs of body and answer, None where there is none. ``method`` is that of HTTP, or `WEBSOCKET`.

    ``statuses`` are those of an answer that is no error, ``media`` what it is written in, ``errors`` the codes that are its own beside
    those of every route, ``headers`` the request headers that mean something to it. ``optional``: the body may be left out."""

    method: str
    path: str
    endpoint: Endpoint
    needs: Permission
    takes: type[Any] | None = None
    gives: type[Any] | None = None
    statuses: tuple[int, ...] = (200,)
    media: str = JSON
    errors: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    optional: bool = False

    @property
    def heeded(self) -> tuple[str, ...]:
        """The headers that mean something to it: a body with a key may have that as a header."""
        has_key = self.takes is not None and "key" in self.takes.__struct_fields__
        return (*self.headers, KEY) if has_key else self.headers


class Routes:
    """The routes of one module, in the order in which they are written."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def get(self, path: str, gives: type[Any] | None = None, *, needs: Permission, **more: Any) -> Callable[[E], E]:
        """The function below answers GET; ``more`` as in `Route`."""
        return self._add("GET", path, needs, None, gives, more)

    def post(
        self, path: str, takes: type[Any] | None = None, gives: type[Any] | None = None, *, needs: Permission, **more: Any
    ) -> Callable[[E], E]:
        """The function below answers POST."""
        return self._add("POST", path, needs, takes, gives, more)

    def put(
        self, path: str, takes: type[Any] | None = None, gives: type[Any] | None = None, *, needs: Permission, **more: Any
    ) -> Callable[[E], E]:
        """The function below answers PUT."""
        return self._add("PUT", path, needs, takes, gives, more)

    def patch(
        self, path: str, takes: type[Any] | None = None, gives: type[Any] | None = None, *, needs: Permission, **more: Any
    ) -> Callable[[E], E]:
        """The function below answers PATCH."""
        return self._add("PATCH", path, needs, takes, gives, more)

    def delete(self, path: str, gives: type[Any] | None = None, *, needs: Permission, **more: Any) -> Callable[[E], E]:
        """The function below answers DELETE."""
        return self._add("DELETE", path, needs, None, gives, more)

    def websocket(self, path: str, *, needs: Permission) -> Callable[[E], E]:
        """The function below answers who opens a WebSocket: with the response that accepts it and speaks, or with an error as any
        call's. It takes no request but the connection."""
        return self._add(WEBSOCKET, path, needs, None, None, {})

    def _add(
        self, method: str, path: str, needs: Permission, takes: type[Any] | None, gives: type[Any] | None, more: dict[str, Any]
    ) -> Callable[[E], E]:
        def remember(endpoint: E) -> E:
            self._routes.append(Route(method, self._prefix + path, endpoint, needs, takes, gives, **more))
            return endpoint

        return remember


def parameters_of(endpoint: Endpoint) -> list[tuple[str, Any, Any]]:
    """Name, annotation and default (`msgspec.NODEFAULT`: it must be there) of each parameter after the request."""
    hints = get_type_hints(endpoint, include_extras=True)
    _request, *rest = inspect.signature(endpoint).parameters.values()
    return [(one.name, hints[one.name], msgspec.NODEFAULT if one.default is one.empty else one.default) for one in rest]


def is_whole(annotation: Any) -> bool:
    """Whether a parameter is a whole number."""
    if get_origin(annotation) is Literal:
        return all(isinstance(value, int) for value in get_args(annotation))
    return getattr(annotation, "__origin__", annotation) is int


class Target:
    """A route and what its parameters must be."""

    __slots__ = ("_headers", "_kind", "_names", "_whole", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        found = parameters_of(route.endpoint)
        self._headers = [(name.lower().encode(), name) for name in route.heeded]
        self._names = [name for name, _, _ in found]
        self._whole = frozenset(name for name, annotation, _ in found if is_whole(annotation))
        fields = [
            (name, annotation) if default is msgspec.NODEFAULT else (name, annotation, default) for name, annotation, default in found
        ]
        self._kind = msgspec.defstruct("Parameters", fields, forbid_unknown_fields=True, kw_only=True)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise ApiError for a header that means something here and is not as it must be."""
        for raw, name in self._headers:
            if raw in headers:
                check_header(name, headers[raw])

    def arguments(self, of_path: dict[str, str], query: bytes) -> Arguments:
        """The texts as the endpoint takes them. Raises ApiError for one that is missing, unknown, given twice or out of bounds."""
        given: dict[str, Any] = dict(of_path)
        if query:
            self._read(query, given)
        if not given and not self._names:
            return {}
        for name in self._whole & given.keys():
            if not _INTEGER.fullmatch(given[name]):
                raise failure("malformed", f"{name} is a whole number, not {given[name][:40]!r}")
            given[name] = int(given[name])
        try:
            read = msgspec.convert(given, self._kind)
        except msgspec.ValidationError as error:
            raise failure("malformed", _plain(str(error))) from None
        return {name: getattr(read, name) for name in self._names}

    def _read(self, query: bytes, given: dict[str, Any]) -> None:
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in given:
                raise failure("malformed", f"{name[:40]} is given twice")
            given[name] = value


def check_header(name: str, value: bytes) -> None:
    """Raise ApiError for a header that is not as it must be."""
    try:
        msgspec.convert(value.decode("latin-1"), HEADERS[name])
    except msgspec.ValidationError as error:
        raise failure("malformed", f"the header {name} is not as it must be: {str(error).lower()}") from None


def _plain(text: str) -> str:
    """What msgspec says of an object, said of parameters."""
    what, at, name = text.partition(" - at `$.")
    if at:
        return f"the parameter {name.rstrip('`')} is not as it must be: {what.lower()}"
    said = what.replace("Object contains unknown field", "there is no parameter")
    return said.replace("Object missing required field", "there must be a parameter")


class Finder:
    """Which route a call means. A path without parameters goes before one with."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Target]] = {}
        self._open: dict[int, list[tuple[re.Pattern[str], dict[str, Target]]]] = {}
        opened: dict[str, dict[str, Target]] = {}
        for route in routes:
            by_method = opened if "{" in route.path else self._fixed
            by_method.setdefault(route.path, {})[route.method] = Target(route)
        for path, methods in opened.items():
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
            self._open.setdefault(path.count("/"), []).append((pattern, methods))

    def find(self, method: str, path: str) -> tuple[Target, dict[str, str]]:
        """The target and the parameters in its path; HEAD means what GET means. Raises ApiError: there is no such path, or another
        method is meant."""
        methods, given = self._at(path)
        meant = "GET" if method == "HEAD" else method
        if meant in methods:
            return methods[meant], given
        if method == WEBSOCKET:
            raise failure("not_found", f"there is no WebSocket at {path[:200]}", f"open {ROOT}/events/ws")
        listed = self.allowed(path)
        raise failure("method_not_allowed", f"{path[:200]} takes {listed}", headers={"Allow": listed})

    def allowed(self, path: str) -> str:
        """The methods that a path takes, as the header Allow has them (RFC 9110, 10.2.1). Raises ApiError where there is none."""
        methods = set(self._at(path)[0]) - {WEBSOCKET}
        if not methods:
            raise failure("not_found", f"there is nothing at {path[:200]}", f"GET {ROOT}/openapi.json says what can be called")
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    def _at(self, path: str) -> tuple[Mapping[str, Target], dict[str, str]]:
        """What can be done at a path, and the parameters in it. Of several patterns the one that was written first counts."""
        if path in self._fixed:
            return self._fixed[path], {}
        for pattern, methods in self._open.get(path.count("/"), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, match.groupdict()
        return {}, {}
