"""The client against a daemon that misbehaves: cut connections, nonsense, silence, other protocols."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from tenure.client import errors, http
from tenure.client.session import Client
from tenure.wire import dto
from tests.unit.client.fake import FakeDaemon, chunked, daemon, drop, raw, reply

OK = {"id": "7", "number": 7}
ERROR = {"type": "error", "code": "not_found", "message": "there is no job 9", "remedy": "tenure ps -a"}


def client_of(fake: FakeDaemon, **options: Any) -> Client:
    return Client(fake.path, timeout_s=options.pop("timeout_s", 5.0), **options)


def request(key: str = "k") -> dto.SubmitRequest:
    return dto.SubmitRequest(argv=["true"], cwd="/", key=key)


def test_one_connection_serves_many_calls() -> None:
    with daemon(reply(OK)) as fake, client_of(fake) as client:
        assert [client.submit(["true"]).id for _ in range(3)] == ["7"] * 3
        assert fake.connections == 1
        assert len({asked.json["key"] for asked in fake.asked}) == 3
        assert {asked.headers["tenure-protocol"] for asked in fake.asked} == {"2"}


def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    with daemon(drop, drop, reply({**OK, "replayed": True})) as fake, client_of(fake) as client:
        assert client.submit(["true"]).replayed
        assert len(fake.asked) == 3
        assert len({asked.body for asked in fake.asked}) == 1


def test_an_answer_that_does_not_come_is_asked_for_again_with_the_same_key() -> None:
    silence = threading.Event()

    def wait(_peer: socket.socket) -> bool:
        return not silence.wait(20)

    with daemon(wait, reply(OK)) as fake, client_of(fake, timeout_s=0.1) as client:
        assert client.submit(request("same")).id == "7"
        assert [asked.json["key"] for asked in fake.asked] == ["same", "same"]
        silence.set()


def test_a_daemon_that_never_answers_is_a_timeout() -> None:
    silence = threading.Event()
    with daemon(lambda _peer: not silence.wait(20)) as fake, client_of(fake, timeout_s=0.02) as client:
        with pytest.raises(errors.TimedOut, match="did not answer"):
            client.submit(request())
        silence.set()


def test_what_may_not_be_repeated_is_not() -> None:
    with daemon(drop) as fake, client_of(fake) as client:
        with pytest.raises(errors.DaemonUnreachable):
            client.admin.backup("/x")
        assert len(fake.asked) == 1


def test_nobody_listens() -> None:
    with pytest.raises(errors.DaemonUnreachable, match="no daemon answers") as found:
        Client("/nonexistent/s").jobs()
    assert found.value.exit_code == 1
    assert "tenure up" in found.value.remedy


def test_revive_is_called_when_nobody_listens() -> None:
    started: list[FakeDaemon] = []
    with daemon(reply(OK)) as other:
        path = other.path + "2"

        def revive() -> None:
            started.append(FakeDaemon(path, reply(OK)))

        with Client(path, timeout_s=5, revive=revive) as client:
            assert client.submit(request()).id == "7"
        started[0].stop()


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"])
def test_something_else_answers(answer: bytes) -> None:
    with (
        daemon(raw(answer, keep=False)) as fake,
        client_of(fake) as client,
        pytest.raises(errors.DaemonUnreachable, match="not a Tenure"),
    ):
        client.jobs()


def test_an_answer_that_is_no_json() -> None:
    with daemon(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{{{")) as fake, client_of(fake) as client:
        with pytest.raises(errors.TenureError, match="makes no sense") as found:
            client.jobs()
        assert found.value.code == "bad_answer"


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        ("not_found", errors.NotFound, 3),
        ("never_fits", errors.NeverFits, 4),
        ("bad_request", errors.BadRequest, 2),
        ("unknown_field", errors.BadRequest, 2),
        ("timeout", errors.TimedOut, 5),
        ("protocol_mismatch", errors.ProtocolMismatch, 1),
        ("something_new", errors.TenureError, 1),
    ],
)
def test_errors_keep_code_sentence_and_remedy(code: str, kind: type[errors.TenureError], exit_code: int) -> None:
    with daemon(reply({**ERROR, "code": code}, 400)) as fake, client_of(fake) as client:
        with pytest.raises(kind) as found:
            client.show("9")
        assert (found.value.code, found.value.message, found.value.remedy) == (code, ERROR["message"], ERROR["remedy"])
        assert found.value.exit_code == exit_code
        assert len(fake.asked) == 1


def test_426_without_a_reason_is_still_a_mismatch() -> None:
    answer = raw(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n")
    with daemon(answer) as fake, client_of(fake) as client, pytest.raises(errors.ProtocolMismatch):
        client.jobs()


def test_many_submissions_tell_replies_from_errors() -> None:
    answer = {"results": [OK, {**ERROR, "code": "never_fits"}, {"type": "job", **OK}]}
    with daemon(reply(answer)) as fake, client_of(fake) as client:
        first, second, third = client.submit_many([request("a"), request("b"), request("c")])
    assert isinstance(first, dto.SubmitReply)
    assert isinstance(second, errors.NeverFits)
    assert isinstance(third, dto.SubmitReply)


def test_a_chunked_answer_in_odd_pieces() -> None:
    pieces = [b'{"id":"7"', b',"num', b'ber":7}']
    with daemon(chunked(*pieces)) as fake, client_of(fake) as client:
        assert client.submit(request()).number == 7
        assert client.submit(request()).number == 7
        assert fake.connections == 1


def test_a_connection_the_daemon_closes_is_not_used_again() -> None:
    with daemon(reply(OK, headers="Connection: close\r\n")) as fake, client_of(fake) as client:
        client.submit(request())
        client.submit(request())
        assert fake.connections == 2


def test_logs_go_on_where_they_were_cut() -> None:
    cut = chunked(b"first ", headers="Tenure-Log-Offset: 10\r\n", whole=False)
    rest = chunked(b"second", headers="Tenure-Log-Offset: 16\r\n")
    with daemon(cut, rest) as fake, client_of(fake) as client:
        assert b"".join(client.logs("12_3", tail=5, follow=True)) == b"first second"
        assert [asked.path for asked in fake.asked] == [
            "/api/v1/jobs/12_3/log?attempt=0&task=0&stream=out&follow=1&tail=5",
            "/api/v1/jobs/12_3/log?attempt=0&task=0&stream=out&follow=1&offset=16",
        ]


def test_logs_that_are_cut_again_and_again_give_up() -> None:
    cut = chunked(headers="Tenure-Log-Offset: 0\r\n", whole=False)
    with daemon(cut) as fake, client_of(fake) as client, pytest.raises(errors.DaemonUnreachable):
        list(client.logs("1"))


def test_the_log_of_a_job_that_does_not_exist() -> None:
    with daemon(reply(ERROR, 404)) as fake, client_of(fake) as client, pytest.raises(errors.NotFound):
        list(client.logs("9"))


def test_events_go_on_after_the_last_cursor() -> None:
    cut = chunked(b'{"cursor":4,"kind":"a","at_ms":1}\n{"cursor":5,"ki', b'nd":"b","at_ms":1}\n\n', whole=False)
    rest = chunked(b'{"cursor":6,"kind":"c","at_ms":1}')
    with daemon(cut, rest) as fake, client_of(fake) as client:
        lines, stream = "/api/v1/events/lines", client.events(after=3, follow=True)
        assert [next(stream).kind for _ in range(3)] == ["a", "b", "c"]
        assert [asked.path for asked in fake.asked] == [f"{lines}?after=3&follow=1", f"{lines}?after=5&follow=1"]


def test_who_follows_from_now_on_loses_nothing_when_the_connection_breaks_before_anything_has_happened() -> None:
    cut = chunked(headers="Tenure-Cursor: 17\r\n", whole=False)
    rest = chunked(b'{"cursor":18,"kind":"a","at_ms":1}')
    with daemon(cut, rest) as fake, client_of(fake) as client:
        lines, stream = "/api/v1/events/lines", client.events(after=-1, follow=True)
        assert next(stream).cursor == 18
        assert [asked.path for asked in fake.asked] == [f"{lines}?after=-1&follow=1", f"{lines}?after=17&follow=1"]


def test_wait_asks_again_until_it_is_done_and_pins_last() -> None:
    job = {"id": "12", "number": 12, "name": "x", "state": "running"}
    with daemon(reply({"done": False, "jobs": [job]}), reply({"done": True, "jobs": [job]})) as fake, client_of(fake) as client:
        assert client.wait("last").done
        assert [asked.json["select"]["ids"] for asked in fake.asked] == [["last"], ["12"]]


def test_wait_ends_when_its_time_is_over() -> None:
    with daemon(reply({"done": False, "jobs": []})) as fake, client_of(fake) as client:
        assert not client.wait("12", timeout_s=0).done
        assert fake.asked[0].json["timeout_ms"] == 0


def test_every_endpoint_is_asked_as_the_protocol_says() -> None:
    node, queue = {"name": "a", "status": "up"}, {"name": "q"}
    cases: list[tuple[Any, Any, str]] = [
        (lambda c: c.jobs("12-15"), {"jobs": []}, "POST /api/v1/jobs/query"),
        (lambda c: c.why("last~2"), {"id": "1", "state": "pending", "summary": "s"}, "GET /api/v1/jobs/last~2/why"),
        (lambda c: c.show("12_[0-2]"), {"job": {"id": "1", "number": 1, "name": "", "state": "held"}}, "GET /api/v1/jobs/12_%5B0-2%5D"),
        (lambda c: c.plan(["true"]), {"verdict": "waits"}, "POST /api/v1/plan"),
        (lambda c: c.act("cancel", ["1", 2]), {"results": []}, "POST /api/v1/jobs/act"),
        (lambda c: c.update("1", priority=9), {"results": []}, "POST /api/v1/jobs/update"),
        (lambda c: c.admin.nodes(), {"nodes": []}, "GET /api/v1/nodes?limit=1000"),
        (lambda c: c.admin.set_node("a", "up"), node, "POST /api/v1/nodes"),
        (lambda c: c.admin.queues(), {"queues": []}, "GET /api/v1/queues?limit=1000"),
        (lambda c: c.admin.set_queue("q", paused=True), queue, "POST /api/v1/queues"),
        (lambda c: c.admin.doctor(), {"checks": []}, "GET /api/v1/doctor"),
        (lambda c: c.admin.doctor(check_store=True), {"checks": []}, "GET /api/v1/doctor?check_store=1"),
        (lambda c: c.admin.backup("/b"), {"path": "/b", "bytes": 1, "jobs": 1}, "POST /api/v1/backup"),
        (lambda c: c.admin.down(), {}, "POST /v1/down"),
    ]
    for call, answer, line in cases:
        with daemon(reply(answer)) as fake, client_of(fake) as client:
            call(client)
            assert f"{fake.asked[0].method} {fake.asked[0].path}" == line


def test_a_selection_that_is_no_id_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(errors.BadRequest, match="does not name a job"):
        Client("/nonexistent/s").act("cancel", "everything")


def test_a_head_without_end_is_refused() -> None:
    with daemon(raw(b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000)) as fake, pytest.raises(http.Broken, match="not a Tenure"):
        http.Connection(fake.path, 5).exchange(http.request("GET", "/"), 5)


def test_headers_are_found_whatever_their_case() -> None:
    head = http.Head(b"HTTP/1.1 200 OK\r\nContent-LENGTH:  5\r\nX: y")
    assert (head.status, head.get("content-length"), head.get("x"), head.get("z")) == (200, "5", "y", "")


def test_the_pages_of_a_list_are_followed_to_the_end() -> None:
    pages = reply({"queues": [{"name": "a"}], "next": "after-a"}), reply({"queues": [{"name": "b"}]})
    with daemon(*pages) as fake, client_of(fake) as client:
        found = client.admin.queues()
        assert ([queue.name for queue in found.queues], found.next) == (["a", "b"], "")
        assert [asked.path for asked in fake.asked] == ["/api/v1/queues?limit=1000", "/api/v1/queues?limit=1000&cursor=after-a"]
