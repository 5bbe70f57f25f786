"""Whatever is sent, the answer is one of Cloud Map's: never a failure of the registry itself."""

import json
import random
import socket
import string
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.fuzz import Requests, Sender
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.cloudmap.shapes import OPERATIONS, SHAPES, Many, Shape, Structure, Table, Text, Whole
from tests.wire.harness import TARGET, Server, namespace, register, running, service

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
PRINTABLE = st.text(string.ascii_letters + string.digits + "-_./:@ ", max_size=12)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[str]]]:
    """Run a server that holds something, and give the names and ids that lead there."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with running(folder, customHealthDelaySeconds=0) as server:
        api = server.client()
        parent = namespace(api, "example.com", Vpc="vpc-1")
        config = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
        identifier = service(api, parent, "web", DnsConfig=config, HealthCheckCustomConfig={})
        operation = register(api, identifier, AWS_INSTANCE_IPV4="10.0.0.1")
        arn = api.get_service(Id=identifier)["Service"]["Arn"]
        token = api.list_operations(MaxResults=1)["NextToken"]
        yield (
            server,
            [parent, identifier, operation, arn, token, "example.com", "web", "i-1", "SELF", "SUCCESS", "HTTP"],
        )


def values(shape: Shape, known: list[str]) -> st.SearchStrategy[object]:
    """Return values that mostly fit a shape."""
    match shape:
        case Text(values=allowed) if allowed:
            return st.sampled_from(allowed)
        case Text():
            return st.sampled_from(known) | PRINTABLE | st.text(max_size=8)
        case Whole():
            return st.integers(shape.least - 1, min(shape.most + 1, 2000))
        case Many():
            return st.lists(values(SHAPES[shape.of], known), max_size=3)
        case Table():
            keys = st.sampled_from(["stage", "AWS_INSTANCE_IPV4", "AWS_INSTANCE_PORT", "AWS_INIT_HEALTH_STATUS"])
            return st.dictionaries(
                keys | PRINTABLE, st.sampled_from(["10.0.0.2", "80", "HEALTHY"]) | PRINTABLE, max_size=4
            )
        case Structure():
            return members(shape, known)


def members(shape: Structure, known: list[str]) -> st.SearchStrategy[object]:
    fitting = {name: values(SHAPES[of], known) for name, of in shape.members.items()}
    required = {name: fitting.pop(name) for name in shape.required}
    return st.fixed_dictionaries(required, optional=fitting)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_no_request_makes_the_registry_fail(filled: tuple[Server, list[str]], operation: str) -> None:
    server, known = filled
    requests = members(OPERATIONS[operation], known) | st.dictionaries(
        st.sampled_from(sorted(OPERATIONS[operation].members)), JSON
    )

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(requests)
    def run(request: object) -> None:
        body = json.dumps(request).encode()
        answer = server.post(body, {"X-Amz-Target": f"{TARGET}.{operation}"})
        assert answer.status in {200, 400, 404, 409}
        assert (answer.status == 200) == ("__type" not in answer.body)

    run()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(body=st.binary(max_size=200), target=st.sampled_from([*OPERATIONS, "", "x"]))
def test_no_bytes_make_the_registry_fail(filled: tuple[Server, list[str]], body: bytes, target: str) -> None:
    answer = filled[0].post(body, {"X-Amz-Target": f"{TARGET}.{target}"})
    assert answer.status in {200, 400}


def test_a_body_that_is_not_encoded_as_it_says_is_refused(filled: tuple[Server, list[str]]) -> None:
    headers = {"X-Amz-Target": f"{TARGET}.ListNamespaces", "Content-Encoding": "gzip"}
    answer = filled[0].post(b"no gzip at all", headers)
    assert (answer.status, answer.body["__type"]) == (400, "SerializationException")
    assert answer.body["message"] == "The body cannot be read: Can not decode content-encoding: gzip"


def test_what_is_no_http_is_not_logged(filled: tuple[Server, list[str]], caplog: pytest.LogCaptureFixture) -> None:
    """Anybody could fill a disk with it."""
    for data in (b"\x16\x03\x01\x00\x00\r\n\r\n", b"POST / HTTP/1.1\r\n\xff: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", filled[0].port), 10) as connection:
            connection.sendall(data)
            assert connection.recv(100).startswith(b"HTTP/1.0 400 ")
    assert caplog.records == []


def test_a_client_that_goes_in_the_middle_of_its_request_is_not_logged(
    filled: tuple[Server, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    target = f"X-Amz-Target: {TARGET}.ListNamespaces\r\n"
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{target}Content-Length: 70000\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", filled[0].port), 10) as connection:
        connection.sendall(head.encode())
        # The next one is answered after this one is being read.
        assert filled[0].call("ListNamespaces").status == 200
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for _ in range(5):
        assert filled[0].call("ListNamespaces").status == 200
    assert caplog.records == []


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32))
def test_no_stream_of_nearly_right_requests_makes_the_registry_fail(
    filled: tuple[Server, list[str]], seed: int
) -> None:
    server, known = filled
    dice = random.Random(seed)
    fitting = {"ServiceId": known[1], "NamespaceName": "example.com", "ServiceName": "web"}
    sender = Sender(server.port, dice, Requests(dice, fitting, known).draw)
    sender.send()
    assert sender.troubles == []
