"""The OpenAPI document of the table of routes, made from the very structs and annotations that calls are read with.

It needs nothing but msgspec. Invariant: whatever a route takes, gives or is answered with has its schema here; a test sends calls that
the document allows, and others, and compares.
Format: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from tenure import __version__
from tenure.api.examples import EXAMPLES
from tenure.api.parameters import HEADERS
from tenure.api.problems import KINDS, MEDIA, Kind, type_of
from tenure.api.routes import JSON, KEY, WEBSOCKET, Route, parameters_of
from tenure.wire.base import Problem

_SENTENCE = re.compile(r"(?<=[\w)`])[.;] ")
"""Where the summary of a call ends: a list of calls shows it in one line, what follows is its description."""
_REF = "#/components/schemas/{name}"
_ALWAYS = ("malformed", "unidentified", "bad_token", "forbidden", "protocol_mismatch", "internal", "unavailable")
_WITH_KEY = ("key_reused",)
_WITH_BODY = ("too_large", "unsupported_media_type", "bad_request", "disk_full", "shutting_down")


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    routes = [route for route in routes if route.method != WEBSOCKET]
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    kinds = {kind.__name__: kind for route in routes for kind in (route.takes, route.gives) if kind is not None} | {"Problem": Problem}
    _, schemas = msgspec.json.schema_components(list(kinds.values()), ref_template=_REF)
    about = "A resource scheduler. Amounts are whole numbers with the unit in the name; times are milliseconds since the epoch."
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tenure", "version": __version__, "description": about},
        "paths": paths,
        "components": {"schemas": schemas, "responses": {code: _response(code, kind) for code, kind in KINDS.items()}},
    }


def _operation(route: Route) -> dict[str, Any]:
    text = " ".join((inspect.getdoc(route.endpoint) or "").split("\n\n")[0].split()).replace("``", "`")
    summary = _SENTENCE.split(text, maxsplit=1)[0]
    made: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{''.join(part.strip('{}').title() for part in route.path.replace('-', '_').split('/'))}",
        "summary": summary.rstrip(".").replace("`", ""),
        **({"description": text} if text.rstrip(".") != summary.rstrip(".") or "`" in text else {}),
        "tags": [_tag(route.path)],
        "parameters": [*_parameters(route), *map(_header, route.heeded)],
        "responses": {str(status): _answer(route, status) for status in route.statuses} | _errors(route),
    }
    if route.takes is not None:
        shown = {"schema": _reference(route.takes), "example": EXAMPLES[route.takes.__name__]}
        made["requestBody"] = {"required": not route.optional, "content": {JSON: shown}}
    return made


def _header(name: str) -> dict[str, Any]:
    schema = msgspec.json.schema(HEADERS[name])
    about, (example, *_) = schema.pop("description"), schema.pop("examples")
    return {"name": name, "in": "header", "required": False, "description": about, "schema": schema, "example": example}


def _tag(path: str) -> str:
    """The collection that a path is about."""
    parts = [part for part in path.split("/") if part not in ("", "api", "v1", "resource-scheduler")]
    return parts[0] if parts else path


def _parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name, annotation, default in parameters_of(route.endpoint):
        schema = msgspec.json.schema(annotation)
        in_path = f"{{{name}}}" in route.path
        if default is not msgspec.NODEFAULT:
            schema["default"] = default
        if in_path and schema.get("type") == "string":
            schema["minLength"] = 1
        described = {key: schema.pop(key) for key in ("description",) if key in schema}
        examples = schema.pop("examples", [])
        shown = {"example": examples[0]} if examples else {}
        required = in_path or default is msgspec.NODEFAULT
        yield {"name": name, "in": "path" if in_path else "query", "required": required, "schema": schema, **described, **shown}


def _answer(route: Route, status: int) -> dict[str, Any]:
    text = HTTPStatus(status).phrase
    if status == HTTPStatus.NOT_MODIFIED:
        return {"description": text}
    schema = {"type": "string"} if route.media != JSON else _reference(route.gives) if route.gives is not None else {"type": "object"}
    return {"description": text, "content": {route.media: {"schema": schema}}}


def _errors(route: Route) -> dict[str, Any]:
    """The errors of a route by status; several codes of one status are told apart by their examples."""
    codes = [
        *_ALWAYS,
        *(_WITH_BODY if route.takes is not None else ()),
        *(_WITH_KEY if KEY in route.heeded else ()),
        *(("not_found",) if "{" in route.path else ()),
        *(("bad_request",) if any(name == "cursor" for name, _, _ in parameters_of(route.endpoint)) else ()),
        *route.errors,
    ]
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {str(status): _errors_of(found) for status, found in sorted(by_status.items())}


def _errors_of(codes: Sequence[str]) -> dict[str, Any]:
    if len(codes) == 1:
        return {"$ref": f"#/components/responses/{codes[0]}"}
    examples = {code: {"value": _example(code, KINDS[code])} for code in codes}
    text = "; ".join(KINDS[code].title for code in codes)
    return {"description": text, "content": {MEDIA: {"schema": _reference(Problem), "examples": examples}}}


def _response(code: str, kind: Kind) -> dict[str, Any]:
    return {"description": kind.title, "content": {MEDIA: {"schema": _reference(Problem), "example": _example(code, kind)}}}


def _example(code: str, kind: Kind) -> dict[str, Any]:
    return {"type": type_of(code), "title": kind.title, "status": kind.status, "detail": f"{kind.title}.", "code": code}


def _reference(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}
