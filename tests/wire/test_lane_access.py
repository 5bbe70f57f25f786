"""The fast lane lets in whom the doors let in: signed discoveries are answered there, and nobody else's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.doors import OpenDoor
from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.access.rates import ClientRates, parse
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


def test_where_addresses_are_counted_nobody_takes_the_lane(tmp_path: Path) -> None:
    clock = SystemClock()
    door = OpenDoor(ClientRates(parse("0.001/3"), clock))
    with running(tmp_path / "data", door=door) as server:
        body = {"NamespaceName": "a", "ServiceName": "b"}
        codes = [server.call("DiscoverInstances", **body).body["__type"] for _ in range(4)]
        assert codes == ["NamespaceNotFound"] * 3 + ["RequestLimitExceeded"]
