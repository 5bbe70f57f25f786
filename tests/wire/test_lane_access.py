"""The fast lane lets in whom the doors let in: signed discoveries are answered there, and nobody else's."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.doors import OpenDoor
from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.access.rates import ClientRates, parse
from kube_registrar.testing.waiting import wait_until
from tests.server.access.signing import signed as signed_at
from tests.wire.harness import Answer, Server, namespace, register, running, service
from tests.wire.keys import ADMIN, READ, client, key_of, keyed
from tests.wire.test_access import signed

LIMITED, ELSEWHERE = key_of(Role.READ, "test-namespace"), AccessKey("AKIDELSE", "e" * 40, Role.READ, frozenset({"b"}))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with keyed(tmp_path / "data", ADMIN, READ, LIMITED, ELSEWHERE) as server:
        api = client(server, ADMIN)
        register(api, service(api, namespace(api)), AWS_INSTANCE_IPV4="10.0.0.1")
        yield server


def discover(server: Server, key: AccessKey, **headers: str) -> Answer:
    body = json.dumps({"NamespaceName": "test-namespace", "ServiceName": "flask-app"}).encode()
    return server.post(body, {**signed(server, "DiscoverInstances", body, key), **headers})


@pytest.mark.parametrize("key", [READ, LIMITED], ids=lambda key: key.id)
def test_who_signed_is_answered_in_the_lane(
    server: Server, passed_on: list[int], answered: list[int], key: AccessKey
) -> None:
    passed_on.clear()
    answered.clear()
    answer = discover(server, key)
    assert (answer.status, [one["InstanceId"] for one in answer.body["Instances"]]) == (200, ["i-1"])
    assert (passed_on, answered) == ([], [1])


@pytest.mark.parametrize(
    ("key", "headers", "code"),
    [
        (AccessKey(READ.id, "w" * 40, Role.READ), {}, "InvalidSignatureException"),
        (AccessKey("AKIDNOBODY", "w" * 40, Role.READ), {}, "UnrecognizedClientException"),
        (READ, {"Host": "other.example"}, "InvalidSignatureException"),
        (READ, {"X-Amz-Date": "20200101T000000Z"}, "InvalidSignatureException"),
        (ELSEWHERE, {}, "AccessDeniedException"),
    ],
)
def test_who_may_not_is_refused_by_the_one_code_that_refuses(
    server: Server, passed_on: list[int], key: AccessKey, headers: dict[str, str], code: str
) -> None:
    passed_on.clear()
    assert discover(server, key, **headers).body["__type"] == code
    assert passed_on == [1]


def test_who_asks_on_and_on_is_verified_each_time(server: Server, passed_on: list[int], read_heads: list[int]) -> None:
    """Of the second of a client's requests only that is read in which it differs: each is signed at its own time."""
    body = json.dumps({"NamespaceName": "test-namespace", "ServiceName": "flask-app"}).encode()
    passed_on.clear()
    read_heads.clear()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:

        def asked(key: AccessKey, seconds: float) -> int:
            host = f"127.0.0.1:{server.port}"
            sent = signed_at(body, operation="DiscoverInstances", key=key, at=time.time() - seconds, host=host)
            connection.request("POST", "/", body, sent)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert [asked(READ, seconds) for seconds in range(5)] == [200] * 5
        assert (len(read_heads), passed_on) == (1, [])
        assert asked(AccessKey(READ.id, "w" * 40, Role.READ), 1) == 400
        assert (len(read_heads), passed_on) == (1, [1]), "and is refused by the one code that refuses"


def test_a_head_that_comes_before_its_body_is_read_once(
    server: Server, passed_on: list[int], read_heads: list[int]
) -> None:
    """Many clients send them one by one; however many pieces the body has."""
    body = json.dumps({"NamespaceName": "test-namespace", "ServiceName": "flask-app"}).encode()
    passed_on.clear()
    read_heads.clear()
    sent = signed(server, "DiscoverInstances", body, READ)
    lines = {"Host": f"127.0.0.1:{server.port}", **sent, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\n{head}\r\n".encode())
        wait_until(lambda: len(read_heads) == 1, "the head to be read")
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert (len(read_heads), passed_on) == (1, [])


def test_where_addresses_are_counted_nobody_takes_the_lane(tmp_path: Path) -> None:
    clock = SystemClock()
    door = OpenDoor(ClientRates(parse("0.001/3"), clock))
    with running(tmp_path / "data", door=door) as server:
        body = {"NamespaceName": "a", "ServiceName": "b"}
        codes = [server.call("DiscoverInstances", **body).body["__type"] for _ in range(4)]
        assert codes == ["NamespaceNotFound"] * 3 + ["RequestLimitExceeded"]
