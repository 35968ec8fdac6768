"""What others write and we read: files of jobs, settings, answers of engines, drivers, daemons and kernels, messages of clients.

Whatever the bytes are, they are read, or refused in the one way that the reader says, and what was read can be told to others. JSON is
drawn as values and then spoilt: brackets within brackets, numbers that no integer holds, halves of characters.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tenure import bootstrap, config
from tenure.api.context import ApiError, decoded
from tenure.api.login import _form
from tenure.api.websocket import Ping, Subscribe, Unsubscribe, _understood
from tenure.client import http
from tenure.config.telling import told
from tenure.executors.local.supervisor import proc, protocol, records
from tenure.monitors import containers, gpus, unix_http
from tenure.monitors.containers import ContainerSampler
from tenure.monitors.reports import Reports, Writer
from tenure.monitors.unix_http import Unanswered
from tenure.wire.base import Request
from tenure.wire.monitoring import ContainerSample
from tests.support.fuzzing import Test, fuzzed, longer

DEEP = "[" * 20_000
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, -1, 2**53, 2**63, 10**30])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)


def values(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Values of JSON in which these names are common."""
    keys = st.sampled_from(names) | st.text(max_size=4)
    return st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8)


def texts(names: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """The same as text, sometimes spoilt."""
    written = values(names).map(lambda value: json.dumps(value).encode())
    spoilt = st.tuples(written, st.integers(0, 60), st.binary(max_size=3)).map(lambda one: one[0][: one[1]] + one[2] + one[0][one[1] :])
    deep = st.sampled_from(names).map(lambda name: f'{{"{name}":{DEEP}'.encode())
    return written | spoilt | deep | st.binary(max_size=30) | st.just(DEEP.encode())


def tried(read: Callable[..., Any], *given: Any) -> Any:
    """What is read, or the status of the refusal."""
    try:
        return read(*given)
    except ApiError as error:
        return error.status


def requests() -> list[type[Request]]:
    """Every kind of body, by name."""

    def below(kind: type[Request]) -> list[type[Request]]:
        return [one for sub in kind.__subclasses__() for one in (sub, *below(sub))]

    return sorted({kind for kind in below(Request) if kind.__module__.startswith("tenure.")}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", requests(), ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_body_is_what_it_must_be_or_refused(kind: type[Request], data: st.DataObject) -> None:
    body = data.draw(texts(kind.__struct_encode_fields__))
    found = tried(decoded, body, kind)
    assert found in (400, 422) or msgspec.json.decode(msgspec.json.encode(found), type=kind) == found


@fuzzed(150, texts(("type", "topics", "project", "after")), st.booleans())
@example(b'{"x":' + DEEP.encode(), True)
def test_a_message_of_a_follower_is_understood_or_refused(text: bytes, is_text: bool) -> None:
    message = {"text": text.decode("utf-8", "replace")} if is_text else {"bytes": text}
    found = tried(_understood, message)
    assert found == 400 or isinstance(found, Subscribe | Unsubscribe | Ping)


@fuzzed(150, lines=st.lists(texts(("loss", "step", "at_ms", "a/b")), max_size=4))
@example(lines=[DEEP.encode(), b'{"loss": 1}'])
def test_a_line_of_a_job_costs_itself_alone(lines: list[bytes]) -> None:
    good = b'{"good": 7}'
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "7.0").write_bytes(b"\n".join((*lines, b"", good, b"")))
        found = Reports(folder).read((7, 0), Writer(3, lives=False), 1_700_000_000_000)
    assert found is not None
    assert ("good", 7.0) in [(point.name, point.value) for point in found.points]
    msgspec.json.encode([point._asdict() for point in found.points])


def one_of(words: str) -> st.SearchStrategy[str]:
    """One of these words."""
    return st.sampled_from(words.split())


SECTIONS = one_of("[node] [retention] [listen] [[notify]] [plan] [monitor] [projects.a] [pools.b] [shared]")
KEYS = one_of(
    "cpus memory runs audit address hosts url secret every prometheus weight quota nodes for policy step patience default_memory "
    "max_pending price_per_hour gpus labels reads session"
)
SET = one_of('"1h" "2G" 3 -1 "" [] ["x"] {} "http://h/" "http://[" "127.0.0.1:80" nan 1e400 99999999999999999999')
SETTINGS = st.lists(
    SECTIONS | st.tuples(KEYS, SET | st.text(max_size=5).map(json.dumps)).map(" = ".join) | st.text(max_size=12), max_size=6
).map("\n".join)


@fuzzed(200, text=SETTINGS)
@example(text="a = " + DEEP)
@example(text='[[notify]]\nurl = "http://[x/"')
@example(text='[[notify]]\nurl = "http://h:99999999/"')
@example(text='[retention]\nruns = ""')
def test_settings_that_are_taken_can_be_used_and_told(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            found = config.load(path)
        except config.ConfigError:
            return
        bootstrap.store_settings(folder, found)
    msgspec.json.encode(told(found))


ANSWERS = (
    "Id",
    "Names",
    "Image",
    "State",
    "memory_stats",
    "usage",
    "stats",
    "cpu_stats",
    "cpu_usage",
    "total_usage",
    "networks",
    "read",
)


@fuzzed(200, values(ANSWERS), st.lists(values(ANSWERS), min_size=3, max_size=3))
@example([{"Id": "a"}, {"Id": "b"}], [{"memory_stats": {"usage": 10**30}}, {"memory_stats": {"usage": 5, "stats": {"x": 1}}}, None])
@example([{"Id": "../x"}], [{}, {}, {}])
def test_an_engine_is_understood_or_unanswered(listed: Any, stats: list[Any]) -> None:
    def each(_path: str, targets: list[str], _patience_s: float) -> list[Any]:
        assert all(target.startswith("/containers/") and ".." not in target for target in targets)
        return [stats[number % 3] for number in range(len(targets))]

    with mock.patch.object(containers, "get_json", return_value=listed), mock.patch.object(containers, "get_each", each):
        sampler = ContainerSampler("/engine")
        for _ in range(2):
            try:
                found = sampler.sample(1_700_000_000_000)
            except Unanswered:
                return
            assert (
                tuple(msgspec.json.decode(msgspec.json.encode(list(found.containers)), type=list[ContainerSample])) == found.containers
            )


def test_what_one_container_tells_costs_no_other_its_figures() -> None:
    listed = [{"Id": "a", "State": "running"}, {"Id": "b", "State": "running"}]
    stats = [{"memory_stats": "none"}, {"memory_stats": {"usage": 7, "stats": {"inactive_file": 2}}}]
    with mock.patch.object(containers, "get_json", return_value=listed), mock.patch.object(containers, "get_each", return_value=stats):
        found = ContainerSampler("/engine").sample(0).containers
    assert [one.memory_bytes for one in found] == [None, 5]


@fuzzed(150, st.sampled_from((b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 404 no\r\n\r\n", b"HTTP/ \xb2\r\n\r\n", b"")), texts(("Id",)))
def test_an_answer_over_a_socket_is_json_or_unanswered(head: bytes, body: bytes) -> None:
    found = unix_http._read("/x", head + body)
    assert isinstance(found, Unanswered) or head.startswith(b"HTTP/1.1 200")


WORDS = ("GPU-1", "0", "Tesla T4", "1024", "99 %", "[N/A]", "nan", "inf", "-1", "1e400", "[GPU is lost]", "")


@fuzzed(150, st.lists(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=11).map(", ".join), max_size=3).map("\n".join))
def test_what_nvidia_smi_prints_is_read_or_it_failed(printed: str) -> None:
    done = subprocess.CompletedProcess([], 0, printed, "")
    with mock.patch.object(subprocess, "run", return_value=done):
        try:
            found = gpus.read_smi("nvidia-smi")
        except RuntimeError:
            return
    msgspec.json.encode(found)


class Wire:
    """A socket from which some bytes come, and then the end."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._pieces = [data[at : at + piece] for at in range(0, len(data), piece)][::-1]

    def recv(self, _most: int) -> bytes:
        return self._pieces.pop() if self._pieces else b""

    def settimeout(self, _seconds: float | None) -> None: ...
    def sendall(self, _data: bytes) -> None: ...
    def close(self) -> None: ...


HEADS = st.lists(
    st.sampled_from(
        ("Content-Length: 5", "content-length: -5", "Content-Length: x", "Content-Length: ٣", "Transfer-Encoding: chunked", "X")
    )
    | st.text(max_size=6),
    max_size=3,
)
BODIES = st.binary(max_size=20) | st.sampled_from(
    (b"5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello", b"1_0\r\n", b"fffffffffffff\r\n", b"0x5\r\nhello")
)


@fuzzed(
    200,
    st.sampled_from(("HTTP/1.1 200 OK", "HTTP/1.1 \xb2\xb3\xb9 no", "HTTP/2 200", "")) | st.text(max_size=6),
    HEADS,
    BODIES,
    st.integers(1, 50),
)
@example("HTTP/1.1 200 OK", ["Content-Length: -5"], b"hello", 50)
def test_an_answer_is_whole_or_the_connection_is_broken(status: str, heads: list[str], body: bytes, piece: int) -> None:
    data = "\r\n".join((status, *heads, "", "")).encode("utf-8", "replace") + body
    with mock.patch.object(http, "unix", return_value=Wire(data, piece)):
        try:
            head, found = http.Connection("/s").exchange(b"", 1.0)
        except http.Broken:
            return
    assert 0 <= head.status < 1000
    assert len(found) <= len(data.partition(b"\r\n\r\n")[2])


@fuzzed(150, st.binary(max_size=40) | st.lists(st.sampled_from((b"code=x", b"a=b", b"=", b"%zz", b"\xff")), max_size=9).map(b"&".join))
@example(b"&".join([b"a=b"] * 9))
def test_a_form_is_read_or_refused(body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"body": body}

    asked = {"headers": [(b"content-type", b"application/x-www-form-urlencoded")]}
    found = tried(lambda: asyncio.run(_form(asked, receive)))
    assert found == 400 or all(isinstance(value, str) for several in found.values() for value in several)


ASKED = ("op", "tasks", "templates", "template", "attempt", "task", "argv", "env", "stdout", "devices", "holder", "grace_ms", "t")


@fuzzed(200, texts(ASKED), values(ASKED), values(ASKED))
def test_the_supervisor_takes_a_request_or_refuses_it(line: bytes, template: Any, task: Any) -> None:
    records.parsed(line)
    asked = {"op": "launch", "templates": {"t": template}, "tasks": [task if not isinstance(task, dict) else {**task, "template": "t"}]}
    for message in (line, json.dumps(asked).encode()):
        with contextlib.suppress(protocol.Refused):
            assert isinstance(protocol.launches(protocol.parse(message), {}), list)


@fuzzed(100, st.binary(max_size=15), st.binary(max_size=60))
def test_a_process_may_be_called_anything(name: bytes, rest: bytes) -> None:
    """The name of a program stands in the middle of what the kernel tells, brackets and newlines of its own included."""
    assume(b")" not in rest)
    with mock.patch.object(proc, "read", return_value=b"7 (" + name + b") S 1 7 7 0 -1 4 0 0 0 0 3 4 5 6 20 0 1 0 99 0 0\n"):
        found = proc.stat(7)
        assert found is not None
        assert (found.parent, found.session, found.cpu_ticks, found.reaped_ticks, found.start_ticks) == (1, 7, 7, 11, 99)
    environ = b"A=1\0" + rest + b"\0" + proc.TAG + b"t\0"
    with mock.patch.object(proc, "read", return_value=environ):
        assert proc.tag(7) is not None


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("test", longer(globals()), ids=lambda test: test.__name__)
def test_for_long(test: Test) -> None:
    test()
