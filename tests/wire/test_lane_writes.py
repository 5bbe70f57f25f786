"""Writes in the fast lane are as they are on the long way: who may, what is answered, what is there afterwards."""

import http.client
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.registries.embedded.writer import Writer
from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.cloudmap import protocol, reading
from kube_registrar.server.cloudmap.traffic import Traffic
from kube_registrar.testing.waiting import wait_until
from tests.wire.harness import Server, namespace, running, service
from tests.wire.keys import ADMIN, READ, WRITE, client, key_of, keyed
from tests.wire.test_access import signed
from tests.wire.test_lane import Answers, request

LIMITED = key_of(Role.WRITE, "test-namespace")
ELSEWHERE = AccessKey("AKIDELSE", "e" * 40, Role.WRITE, frozenset({"other"}))
Way = Callable[[bytes], bytes]
CHANGING = {"x-amzn-RequestId", "Date", "Content-Length"}

# What is read.

TEXTS = st.sampled_from(["srv-1", "", "i 1", "a\n", "ä", "x" * 65, "x" * 1025, "10.0.0.1", None, 5, True, ["a"]])
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "ServiceId": TEXTS,
        "InstanceId": TEXTS,
        "CreatorRequestId": TEXTS,
        "Attributes": st.dictionaries(st.text(max_size=3) | st.just("AWS_INSTANCE_IPV4"), TEXTS, max_size=3) | TEXTS,
        "Unknown": TEXTS,
    },
)
PLAIN = {"ServiceId": "srv-1", "InstanceId": "i-1", "CreatorRequestId": None, "Attributes": {"stage": "dev"}}


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@example("RegisterInstance", json.dumps({**PLAIN, "InstanceId": "i-1\n"}).encode())
@example("RegisterInstance", json.dumps({**PLAIN, "Attributes": {"stage\n": "a"}}).encode())
@example("RegisterInstance", json.dumps({**PLAIN, "Attributes": {"stage": "\ud800"}}).encode())
@example("RegisterInstance", b'{"ServiceId": "a", "InstanceId": "b", "Attributes": {"a": " ", "a": "b"}}')
@example("RegisterInstance", b'{"ServiceId": "", "ServiceId": "a", "InstanceId": "b", "Attributes": {}}')
@example("RegisterInstance", b"")
@example("DeregisterInstance", b"[" * 100_000)
@given(
    st.sampled_from(sorted(reading.OPERATIONS_READ)),
    MEMBERS.map(lambda members: json.dumps({**PLAIN, **members}).encode()) | MEMBERS.map(json.dumps).map(str.encode),
)
def test_what_is_read_in_one_step_is_what_two_steps_read(operation: str, content: bytes) -> None:
    found = reading.plain(operation, content)
    try:
        expected = validated(operation, protocol.body_of(content))
    except CloudMapError:
        expected = None
    assert found in (None, expected)


def test_what_is_plain_is_read_in_one_step() -> None:
    full = {**PLAIN, "CreatorRequestId": "me", "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1", "empty": ""}, "New": 1}
    del full["New"]
    for members in (PLAIN, full, {**PLAIN, "Attributes": {}}):
        found = reading.plain("RegisterInstance", json.dumps({**members, "New": {"a": [1]}}).encode())
        assert found == {name: value for name, value in members.items() if value is not None}
    assert reading.plain("DeregisterInstance", json.dumps(PLAIN).encode()) == {
        "ServiceId": "srv-1",
        "InstanceId": "i-1",
    }


# Both ways.


class Gate:
    """Keeps commits back while it is closed."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.waiting = threading.Semaphore(0)
        self.fails = False

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def pass_(self) -> None:
        if not self._open.is_set():
            self.waiting.release()
            self._open.wait(30)

    def reached(self) -> None:
        """Wait until a commit stands before it."""
        assert self.waiting.acquire(timeout=30)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, commit = Gate(), Writer._committed

    def held(writer: Writer) -> Exception | None:
        gate.pass_()
        if gate.fails:
            return writer._rolled_back(sqlite3.OperationalError("database or disk is full"))
        return commit(writer)

    monkeypatch.setattr(Writer, "_committed", held)
    yield gate
    gate.open()


def long_way(data: bytes) -> bytes:
    """Return the same request as aiohttp alone takes it."""
    return data.replace(b"POST / ", b"POST /long ", 1)


def written(operation: str, **members: Any) -> bytes:
    return request(json.dumps(members).encode(), operation)


@contextmanager
def place(folder: Path, **options: Any) -> Iterator[tuple[Server, str]]:
    """Run a registry with one service."""
    with running(folder, customHealthDelaySeconds=0, **options) as server:
        api = server.client()
        yield server, service(api, namespace(api))


def opened_after(idle: Answers, gate: Gate) -> None:
    """Open the gate once the server has closed a connection that was idle: it is closing then, and still waits."""
    idle.socket.recv(1)
    gate.open()


def steps(identifier: str) -> list[bytes]:
    """Return what is sent: what is done, what is refused, and for each reason."""
    target = {"ServiceId": identifier, "InstanceId": "i-1"}
    here = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080"}
    arn = f"arn:aws:servicediscovery:eu-west-1:000000000000:service/{identifier}"
    return [
        written("RegisterInstance", **target, Attributes=here, CreatorRequestId="one"),
        written("RegisterInstance", **target, Attributes=here, CreatorRequestId="one"),
        written("RegisterInstance", **target, Attributes={"stage": "dev"}, New=1),
        written("RegisterInstance", **{**target, "ServiceId": arn}, Attributes={"stage": "prod"}),
        written("RegisterInstance", **{**target, "ServiceId": "srv-none"}, Attributes=here),
        written("RegisterInstance", **{**target, "InstanceId": "no id"}, Attributes=here),
        written("RegisterInstance", **target, Attributes={"AWS_INSTANCE_IPV4": "10.0.0.256"}),
        written("RegisterInstance", **target, Attributes={"AWS_INSTANCE_PORT": "0"}),
        written("RegisterInstance", **target, Attributes={f"k{number}": "v" for number in range(31)}),
        written("RegisterInstance", **target),
        written("DeregisterInstance", **{**target, "InstanceId": "i-2"}),
        written("DeregisterInstance", **target),
        written("DeregisterInstance", **target),
        request(b"{", "RegisterInstance"),
    ]


def plain(body: dict[str, Any], identifier: str) -> str:
    """Return a body with what differs between two registries taken out."""
    text = json.dumps(
        {key: value for key, value in body.items() if key != "OperationId"} | {"op": "OperationId" in body}
    )
    return text.replace(identifier, "SERVICE")


def outcomes(server: Server, identifier: str, way: Way) -> Iterator[Any]:
    """Yield what each step is answered, and what is there in the end."""
    for step in steps(identifier):
        with closing(Answers(server)) as connection:
            status, headers, body = connection.ask(way(step))
        named = {key: headers[key] for key in headers.keys() - CHANGING}
        yield status, list(headers), named, plain(body, identifier)
    yield server.call("ListInstances", ServiceId=identifier).body
    for each in server.call("ListOperations").body["Operations"]:
        operation = server.call("GetOperation", OperationId=each["Id"]).body["Operation"]
        yield operation["Type"], operation["Status"]


def test_both_ways_answer_alike_and_leave_the_same(tmp_path: Path) -> None:
    found = list[tuple[list[Any], Counter[tuple[str, str]]]]()
    for way in (bytes, long_way):
        counts = Counter[tuple[str, str]]()
        traffic = Traffic(count=lambda operation, code, _, counts=counts: counts.update([(operation, code)]))  # type: ignore[misc]
        with place(tmp_path / f"{way}", traffic=traffic) as (server, identifier):
            found.append((list(outcomes(server, identifier, way)), counts))
            assert traffic.under_way == 0
    assert found[0] == found[1]


def test_what_is_refused_is_refused_on_the_long_way(tmp_path: Path, passed_on: list[int]) -> None:
    with place(tmp_path) as (server, identifier):
        ways = list[tuple[int, bool]]()
        for step in steps(identifier):
            passed_on.clear()
            with closing(Answers(server)) as connection:
                ways.append((connection.ask(step)[0], bool(passed_on)))
    assert [status == 200 for status, _ in ways] == [not was_passed_on for _, was_passed_on in ways]
    assert sum(status == 200 for status, _ in ways) == 5


def test_what_comes_after_a_write_is_answered_after_it(tmp_path: Path) -> None:
    with place(tmp_path) as (server, identifier), closing(Answers(server)) as connection:
        target = {"ServiceId": identifier, "InstanceId": "a"}
        question = json.dumps({"NamespaceName": "test-namespace", "ServiceName": "flask-app"}).encode()
        data = (
            request(question)
            + written("RegisterInstance", **target, Attributes={"stage": "dev"})
            + request(question)
            + written("RegisterInstance", **target, Attributes={"stage": "prod"})
            + written("DeregisterInstance", **target)
            + request(question)
            + written("DeregisterInstance", **target)  # refused, on the long way
            + written("RegisterInstance", **target, Attributes={})
        )
        for position in range(0, len(data), 300):
            connection.socket.sendall(data[position : position + 300])
        answers = [connection.next() for _ in range(8)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 200, 200, 200, 404, 200]
        seen = [[each["InstanceId"] for each in answers[at][2]["Instances"]] for at in (0, 2, 5)]
        assert seen == [[], ["a"], []]


def test_a_client_that_sends_on_and_on_behind_a_write_is_kept_waiting(tmp_path: Path, gate: Gate) -> None:
    """And gets all its answers once the write is stored."""
    with place(tmp_path) as (server, identifier), closing(Answers(server)) as connection:
        gate.close()
        target = {"ServiceId": identifier, "InstanceId": "a"}
        connection.socket.sendall(written("RegisterInstance", **target, Attributes={}))
        gate.reached()
        connection.socket.settimeout(1.0)
        data, sent = memoryview(request() * 40_000), 0
        with suppress(TimeoutError):
            while sent < len(data):
                sent += connection.socket.send(data[sent : sent + 65536])
        assert 0 < sent < len(data)
        gate.open()
        connection.socket.settimeout(30)
        for _ in range(sent // len(request()) + 1):
            assert connection.next()[0] == 200


def test_a_client_that_has_gone_has_its_write_made_all_the_same(tmp_path: Path, gate: Gate) -> None:
    counts = list[tuple[str, str]]()
    traffic = Traffic(count=lambda operation, code, _: counts.append((operation, code)))
    with place(tmp_path, traffic=traffic) as (server, identifier):
        gate.close()
        counts.clear()
        with closing(Answers(server)) as connection:
            connection.ask(request())
            connection.socket.sendall(
                written("RegisterInstance", ServiceId=identifier, InstanceId="a", Attributes={}) + request()
            )
            gate.reached()
        gate.open()
        wait_until(lambda: ("RegisterInstance", "ok") in counts, "the write to be counted", seconds=30)
        assert [each["Id"] for each in server.call("ListInstances", ServiceId=identifier).body["Instances"]] == ["a"]
        assert traffic.under_way == 0


@pytest.mark.parametrize("way", [bytes, long_way])
def test_a_server_that_closes_answers_the_writes_that_are_under_way(tmp_path: Path, gate: Gate, way: Way) -> None:
    answers: list[Answers] = []
    traffic = Traffic()
    with ExitStack() as stack:
        with place(tmp_path, traffic=traffic) as (server, identifier):
            idle = stack.enter_context(closing(Answers(server)))
            idle.ask(request())
            gate.close()
            for number in range(3):
                answers.append(stack.enter_context(closing(Answers(server))))
                target = {"ServiceId": identifier, "InstanceId": f"i-{number}"}
                answers[-1].socket.sendall(way(written("RegisterInstance", **target, Attributes={})))
            wait_until(lambda: traffic.under_way == 3, "all to be under way", seconds=30)
            threading.Thread(target=opened_after, args=(idle, gate)).start()
        for each in answers:
            assert each.next()[0] == 200
            with pytest.raises(EOFError):
                each.next()
    with running(tmp_path) as server:
        found = server.call("ListInstances", ServiceId=identifier).body["Instances"]
        assert [each["Id"] for each in found] == ["i-0", "i-1", "i-2"]


@pytest.mark.parametrize("way", [bytes, long_way])
def test_a_write_that_cannot_be_stored_is_an_error_and_changes_nothing(
    tmp_path: Path, gate: Gate, way: Way, passed_on: list[int]
) -> None:
    counts = list[tuple[str, str]]()
    traffic = Traffic(count=lambda operation, code, _: counts.append((operation, code)))
    with place(tmp_path, traffic=traffic) as (server, identifier), closing(Answers(server)) as connection:
        passed_on.clear()
        counts.clear()
        gate.fails = True
        status, headers, body = connection.ask(
            way(written("RegisterInstance", ServiceId=identifier, InstanceId="a", Attributes={}))
        )
        gate.fails = False
        assert (status, headers["x-amzn-ErrorType"]) == (500, "InternalFailure")
        assert list(headers) == [
            "Content-Type", "x-amzn-RequestId", "x-amzn-ErrorType", "Content-Length", "Date", "Server"
        ]  # fmt: skip
        assert body == {
            "__type": "InternalFailure",
            "message": "The registry could not store this (database or disk is full); nothing was changed",
        }
        assert (len(passed_on), counts) == (way is long_way, [("RegisterInstance", "InternalFailure")])
        assert server.call("ListInstances", ServiceId=identifier).body["Instances"] == []
        assert (
            connection.ask(written("RegisterInstance", ServiceId=identifier, InstanceId="a", Attributes={}))[0] == 200
        )
        assert traffic.under_way == 0


@pytest.mark.parametrize("way", [bytes, long_way])
def test_no_more_writes_are_under_way_than_may_be(tmp_path: Path, gate: Gate, way: Way) -> None:
    traffic = Traffic(most=1)
    with place(tmp_path, traffic=traffic) as (server, identifier):
        gate.close()
        with closing(Answers(server)) as first, closing(Answers(server)) as second:
            target = {"ServiceId": identifier, "Attributes": {}}
            first.socket.sendall(way(written("RegisterInstance", **target, InstanceId="a")))
            gate.reached()
            assert traffic.under_way == 1
            _, _, body = second.ask(way(written("RegisterInstance", **target, InstanceId="b")))
            assert body["__type"] == "ThrottlingException"
            gate.open()
            assert first.next()[0] == 200
            assert second.ask(way(written("RegisterInstance", **target, InstanceId="b")))[0] == 200


@pytest.mark.parametrize("way", [bytes, long_way])
def test_of_two_writes_of_one_instance_the_second_is_refused(tmp_path: Path, gate: Gate, way: Way) -> None:
    with place(tmp_path) as (server, identifier):
        gate.close()
        with closing(Answers(server)) as first, closing(Answers(server)) as second:
            target = {"ServiceId": identifier, "InstanceId": "a"}
            first.socket.sendall(way(written("RegisterInstance", **target, Attributes={"stage": "dev"})))
            gate.reached()
            status, _, body = second.ask(way(written("DeregisterInstance", **target)))
            assert (status, body["__type"]) == (409, "DuplicateRequest")
            gate.open()
            assert first.next()[2]["OperationId"] == body["DuplicateOperationId"]


# Who may.


def asked(server: Server, key: AccessKey, operation: str, path: str = "/", **members: Any) -> Any:
    body = json.dumps(members).encode()
    headers = signed(server, operation, body, key)
    if path != "/":
        headers["Connection"] = "close"  # that is not for the lane either, and the path is what was signed
    return server.post(body, headers)


@pytest.mark.parametrize("path", ["/", "/long"])
def test_who_may_write_may_in_either_way(tmp_path: Path, passed_on: list[int], path: str) -> None:
    with keyed(tmp_path, ADMIN, WRITE, READ, LIMITED, ELSEWHERE) as server:
        api = client(server, ADMIN)
        identifier = service(api, namespace(api))
        target = {"ServiceId": identifier, "InstanceId": "a", "Attributes": {}}
        passed_on.clear()
        for key in (ADMIN, WRITE, LIMITED):
            assert asked(server, key, "RegisterInstance", path, **target).status == 200
        assert len(passed_on) == (3 if path == "/long" else 0)
        wrong = AccessKey(WRITE.id, "w" * 40, Role.WRITE)
        codes = [
            asked(server, key, "RegisterInstance", path, **target).body["__type"] for key in (READ, ELSEWHERE, wrong)
        ]
        assert codes == ["AccessDeniedException", "AccessDeniedException", "InvalidSignatureException"]


@pytest.mark.parametrize("path", ["/", "/long"])
def test_a_request_counts_once_against_the_rate_of_its_key(tmp_path: Path, path: str) -> None:
    """Also one that the lane lets in, and that is then refused on the long way."""
    with keyed(tmp_path, ADMIN, WRITE, READ, rate="0.001/4") as server:
        api = client(server, ADMIN)
        identifier = service(api, namespace(api))
        gone = {"ServiceId": identifier, "InstanceId": "none"}
        codes = [asked(server, WRITE, "DeregisterInstance", path, **gone).body["__type"] for _ in range(5)]
        assert codes == ["InstanceNotFound"] * 4 + ["ThrottlingException"]
        codes = [asked(server, READ, "DeregisterInstance", path, **gone).body["__type"] for _ in range(5)]
        assert codes == ["AccessDeniedException"] * 4 + ["ThrottlingException"]


def test_a_name_that_is_not_this_machines_may_not_write(tmp_path: Path) -> None:
    with place(tmp_path) as (server, identifier):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        with closing(connection):
            body = json.dumps({"ServiceId": identifier, "InstanceId": "a", "Attributes": {}}).encode()
            headers = {"Host": "evil.example", "X-Amz-Target": "Route53AutoNaming_v20170314.RegisterInstance"}
            connection.request("POST", "/", body, headers)
            assert connection.getresponse().status == 403
        assert server.call("ListInstances", ServiceId=identifier).body["Instances"] == []
