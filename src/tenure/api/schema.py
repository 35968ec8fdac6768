"""The OpenAPI of routes that decode msgspec structs by hand: their JSON Schema is made from the very structs they decode."""

from __future__ import annotations

from typing import Any

import msgspec

_REF = "#/components/schemas/{name}"
_known: dict[str, Any] = {}


def documents(body: type[Any] | None, reply: type[Any] | None) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes ``body`` and answers ``reply``."""
    extra: dict[str, Any] = {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(body)}}}
    if reply is not None:
        extra["responses"] = {"200": {"description": "", "content": {"application/json": {"schema": _reference(reply)}}}}
    return extra


def _reference(kind: type[Any]) -> dict[str, Any]:
    _known[kind.__name__] = kind
    return {"$ref": _REF.format(name=kind.__name__)}


def add_components(openapi: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas of every struct that a route named to an OpenAPI document, which is changed and returned."""
    _, schemas = msgspec.json.schema_components(list(_known.values()), ref_template=_REF)
    openapi.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return openapi
