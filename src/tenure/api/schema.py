"""The OpenAPI of routes that decode msgspec structs by hand: their JSON Schema is made from the very structs they decode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tenure.api.routes import Route

_REF = "#/components/schemas/{name}"


def documents(route: Route) -> dict[str, Any]:
    """``openapi_extra`` of a route: its body and its answer."""
    extra: dict[str, Any] = {}
    if route.takes is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(route.takes)}}}
    if route.gives is not None:
        extra["responses"] = {"200": {"description": "", "content": {"application/json": {"schema": _reference(route.gives)}}}}
    return extra


def _reference(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}


def add_components(openapi: dict[str, Any], routes: Sequence[Route]) -> dict[str, Any]:
    """Add the schemas of every struct that a route names to an OpenAPI document, which is changed and returned."""
    kinds = {kind.__name__: kind for route in routes for kind in (route.takes, route.gives) if kind is not None}
    _, schemas = msgspec.json.schema_components(list(kinds.values()), ref_template=_REF)
    openapi.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return openapi
