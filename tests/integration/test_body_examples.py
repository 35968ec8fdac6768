"""The examples of the OpenAPI document, sent as they stand to a whole application."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from tenure.api.front import TABLE
from tenure.api.schema import document
from tests.support.rest import application

OF_AN_INSTALLATION = {
    "EndRequest": 404,
    "NodeRequest": 404,
    "ReservationRequest": 404,
    "RemovalRequest": 404,
    "ResolveRequest": 404,
    "RevokeRequest": 404,
}
"""The examples that name what a new installation has not, which is said."""


def test_what_the_document_shows_can_be_sent(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        client = TestClient(app)
        for path, operations in document(TABLE)["paths"].items():
            body = operations.get("post", operations.get("put", {})).get("requestBody")
            if body is None or "{" in path or path.endswith(("/backup", "/simulations")):
                continue
            shown = body["content"]["application/json"]
            kind = shown["schema"]["$ref"].rpartition("/")[2]
            sent = client.request("PUT" if "put" in operations else "POST", path, json=shown["example"])
            wanted = OF_AN_INSTALLATION.get(kind)
            assert sent.status_code == wanted if wanted else sent.is_success, f"{path}: {sent.status_code} {sent.text}"
