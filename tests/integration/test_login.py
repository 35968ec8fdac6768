"""Over TCP with a token, and a browser's way in: a link that works once, a session that changes nothing for pages of others."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from tenure.client import connect
from tenure.client.errors import TenureError
from tenure.client.place import place_of
from tenure.client.session import new_key
from tests.support.living import Installation, installation


@pytest.fixture(scope="module")
def listening() -> Iterator[Installation]:
    with installation('[listen]\naddress = "127.0.0.1:0"\n') as home:
        home.up()
        yield home


def url_of(home: Installation) -> str:
    with home.client() as client:
        return client.admin.status().url


def token_of(home: Installation, **wish: object) -> str:
    """The secret of a new token."""
    with home.client() as client:
        return str(client._link.call("POST", "/api/v1/tokens", dict, {"key": new_key(), **wish})["secret"])


class Browser:
    """Keeps a cookie, and says where its pages come from."""

    def __init__(self, url: str) -> None:
        self.netloc = urlsplit(url).netloc
        self.cookie = ""

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, origin: str | None = "own"
    ) -> tuple[int, dict[str, str], str]:
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if origin is not None:
            headers["Origin"] = f"http://{self.netloc}" if origin == "own" else origin
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        connection.request(method, path, urlencode(form) if form is not None else None, headers)
        answer = connection.getresponse()
        text, found = answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].partition(";")[0]
        return answer.status, found, text

    def log_in(self, link: str) -> int:
        """Open a link as its page does; the status of the answer."""
        return self.ask("POST", "/login", {"code": urlsplit(link).fragment})[0]


def link_of(home: Installation) -> str:
    with home.client() as client:
        return client.admin.login_link().url


def test_a_link_begins_one_session(listening: Installation) -> None:
    link = link_of(listening)
    assert link.startswith(url_of(listening) + "/login#tenure_")
    browser = Browser(link)
    assert browser.ask("GET", "/")[1]["location"] == "/login"
    status, headers, page = browser.ask("GET", "/login")
    assert (status, "script-src 'sha256-" in headers["content-security-policy"], "history.replaceState" in page) == (200, True, True)
    status, headers, _ = browser.ask("POST", "/login", {"code": urlsplit(link).fragment})
    assert (status, headers["location"]) == (303, "/")
    words = {word.strip().lower() for word in headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= words
    assert "You are logged in" in browser.ask("GET", "/")[2]
    assert browser.ask("GET", "/api/v1/whoami")[0] == 200
    assert Browser(link).log_in(link) == 401
    assert "via" in browser.ask("GET", "/api/v1/whoami")[2]


def test_pages_of_others_cannot_use_a_session_or_begin_one(listening: Installation) -> None:
    link = link_of(listening)
    browser = Browser(link)
    for origin in ("http://evil.example", "null", None):
        assert browser.ask("POST", "/login", {"code": urlsplit(link).fragment}, origin)[0] == 403
    assert browser.log_in(link) == 303
    for origin in ("http://evil.example", "null", None):
        assert browser.ask("POST", "/api/v1/jobs", {}, origin)[0] == 403
        assert browser.ask("POST", "/logout", {}, origin)[0] == 403
    assert browser.ask("POST", "/api/v1/jobs", {})[0] in (400, 415, 422)
    assert browser.ask("GET", "/api/v1/whoami", origin=None)[0] == 200


def test_a_session_ends_where_one_says_so(listening: Installation) -> None:
    leaving, revoked = Browser(url_of(listening)), Browser(url_of(listening))
    assert (leaving.log_in(link_of(listening)), revoked.log_in(link_of(listening))) == (303, 303)
    cookie = leaving.cookie
    assert leaving.ask("POST", "/logout", {})[0] == 303
    leaving.cookie = cookie
    assert leaving.ask("GET", "/api/v1/whoami")[0] == 401
    with listening.client() as client:
        rows = client._link.call("GET", "/api/v1/tokens", dict)["tokens"]
        mine = [row for row in rows if row.get("kind") == "session" and row.get("valid", True) and revoked.cookie.count(row["id"])]
        assert len(mine) == 1
        client._link.call("POST", "/api/v1/tokens/revoke", dict, {"key": new_key(), "token": mine[0]["id"]})
    assert revoked.ask("GET", "/api/v1/whoami")[0] == 401


def test_what_is_no_code_is_refused(listening: Installation) -> None:
    browser = Browser(url_of(listening))
    for code in ("", "x", "tenure_aaaaaaaa_" + "x" * 43, token_of(listening, label="no login")):
        assert browser.ask("POST", "/login", {"code": code})[0] == 401
    assert browser.ask("POST", "/login", {"code": "x" * 5000})[0] == 400
    secret = urlsplit(link_of(listening)).fragment
    with connect(place=place_of(url_of(listening), token_of(listening, label="t"))) as client:
        assert client.admin.queues().queues
    with pytest.raises(TenureError) as refused:
        connect(place=place_of(url_of(listening), secret))
    assert refused.value.code == "bad_token"


def test_everything_works_with_a_token(listening: Installation) -> None:
    env = {"TENURE_URL": url_of(listening), "TENURE_TOKEN": token_of(listening, role="user", label="cli")}
    job = listening.cli("submit", "--parsable", "--", "sh", "-c", "echo from $PWD", env=env).stdout.strip()
    listening.cli("wait", job, env=env)
    assert listening.cli("logs", job, env=env).stdout == f"from {listening.work}\n"
    assert job in listening.cli("ps", "-a", env=env).stdout
    assert "is well" in listening.cli("status", env=env).stdout
    script = listening.work / "script.sh"
    script.write_text('#!/bin/bash\n#SBATCH --job-name=sent\necho "$0 $1"\n')
    job = listening.cli("submit", "--parsable", str(script), "word", env=env).stdout.strip()
    listening.cli("wait", job, env=env)
    assert listening.cli("logs", job, env=env).stdout == "sent word\n"
    snapshot = ("submit", "--json", "--snapshot", "--", "true")
    for words, code in ((("up", "--json"), "not_remote"), (snapshot, "usage"), (("down", "--json"), "forbidden")):
        assert f'"code":"{code}"' in listening.cli(*words, ok=False, env=env).stderr
    wrong = listening.cli("ps", "--json", ok=False, env=env | {"TENURE_TOKEN": "tenure_x"})
    assert '"code":"bad_token"' in wrong.stderr
    log = (listening.home / "log" / "access.log").read_text()
    assert "tenure_" not in log
    assert "POST /api/v1/jobs 201" in log or "POST /api/v1/jobs 200" in log


def test_a_link_of_a_narrow_token_gives_no_more(listening: Installation) -> None:
    place = place_of(url_of(listening), token_of(listening, role="viewer", read_only=False, ttl_ms=3_600_000, label="narrow"))
    with connect(place=place) as client:
        link = client.admin.login_link().url
    browser = Browser(link)
    status, headers, _ = browser.ask("POST", "/login", {"code": urlsplit(link).fragment})
    assert status == 303
    assert int(headers["set-cookie"].partition("Max-Age=")[2].partition(";")[0]) <= 3600
    assert '"role":"viewer"' in browser.ask("GET", "/api/v1/whoami")[2].replace(" ", "")
    assert browser.ask("POST", "/api/v1/down", {})[0] == 403


def test_without_a_listener_there_is_no_link() -> None:
    with installation() as home:
        assert '"code":"no_listener"' in home.cli("login", "--json", ok=False).stderr
