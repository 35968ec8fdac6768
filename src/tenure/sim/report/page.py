"""One page from the numbers: the template, the style and the scripts that ship beside this file, and the data as JSON inside.

The page asks nothing of any network: it forbids itself to (a content security policy that names its one script by its hash). Names in
the data come from logs that nobody here wrote; JSON is written so that no text can end the element it stands in, and the scripts
only ever set text. Invariant: the same data gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

SCRIPTS = ("base", "axes", "summary", "curves", "spread", "scatter", "people", "gantt", "main")
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page_of(data: dict[str, Any]) -> str:
    """The whole page as text."""
    script = "".join(["(() => {\n", *(_part(f"{name}.js") for name in SCRIPTS), "})();\n"])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    title = "Simulation of " + ", ".join(each["name"] for each in data["workloads"])
    values = {
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        "title": html.escape(title[:200]),
        "style": _part("style.css"),
        "script": script,
        "data": json_inside(data),
    }
    parts = _part("page.html").split("@@")
    return "".join(values[part] if place % 2 else part for place, part in enumerate(parts))


def json_inside(data: Any) -> str:
    """JSON that cannot end the element it stands in, whatever its texts are. Raises ValueError for what JSON has no word for."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return text


def _part(name: str) -> str:
    return files("tenure.sim.report").joinpath("page", name).read_text(encoding="utf-8")
