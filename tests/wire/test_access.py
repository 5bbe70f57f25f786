"""Who may ask: boto3 with keys that are right, wrong, unknown or late, and what is changed on its way."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.session import Session

from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.access.roles import needed
from kube_registrar.server.cloudmap.bodies import Bodies
from kube_registrar.server.cloudmap.traffic import Traffic
from kube_registrar.testing.waiting import wait_until
from tests.warm.command_line import CommandLine
from tests.wire.harness import TARGET, Answer, Server, error_of, running
from tests.wire.keys import ADMIN, READ, WRITE, Shifted, client, keyed

OPERATIONS = Session().get_service_model("servicediscovery").operation_names


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with keyed(tmp_path_factory.mktemp("keyed")) as server:
        yield server


def signed(server: Server, operation: str, body: bytes, key: AccessKey = ADMIN) -> dict[str, str]:
    """Return the headers of a request that botocore signed."""
    request = AWSRequest("POST", server.url + "/", data=body)
    request.headers["X-Amz-Target"] = f"{TARGET}.{operation}"
    SigV4Auth(Credentials(key.id, key.secret), "servicediscovery", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def send(server: Server, operation: str, key: AccessKey, **members: object) -> Answer:
    """Sign and send an operation, right or wrong, without an SDK that would look at it."""
    body = json.dumps(members).encode()
    return server.post(body, signed(server, operation, body, key))


def test_a_right_key_is_served_and_a_wrong_or_unknown_one_is_not(server: Server) -> None:
    assert client(server, ADMIN).list_namespaces()["Namespaces"] == []
    wrong = client(server, AccessKey(ADMIN.id, "w" * 40, Role.ADMIN))
    code, message = error_of(wrong.list_namespaces)
    assert code == "InvalidSignatureException"
    assert message.startswith("The request signature we calculated does not match the signature you provided.")
    unknown = client(server, AccessKey("AKIDNOBODY", "w" * 40, Role.ADMIN))
    assert error_of(unknown.list_namespaces) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_without_a_signature_there_is_no_answer(server: Server) -> None:
    answer = server.call("ListNamespaces")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "MissingAuthenticationTokenException")
    assert answer.body == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Request is missing Authentication Token",
    }


@pytest.mark.parametrize(("apart", "text"), [(301, "Signature expired: "), (-302, "Signature not yet current: ")])
def test_a_clock_that_is_wrong_is_told(tmp_path: Path, apart: float, text: str) -> None:
    with keyed(tmp_path / "data", clock=Shifted(apart)) as server:
        code, message = error_of(client(server, ADMIN).list_namespaces)
        assert (code, message[: len(text)]) == ("InvalidSignatureException", text)


def test_a_body_that_was_changed_is_refused(server: Server) -> None:
    headers = signed(server, "ListNamespaces", b'{"MaxResults":5}')
    assert server.post(b'{"MaxResults":5}', headers).status == 200
    answer = server.post(b'{"MaxResults":6}', headers)
    assert (answer.status, answer.body["__type"]) == (400, "InvalidSignatureException")


def test_a_body_that_was_not_signed_is_refused(server: Server) -> None:
    request = AWSRequest("POST", server.url + "/", data=b"{}")
    request.headers["X-Amz-Target"] = f"{TARGET}.ListNamespaces"
    request.context["payload_signing_enabled"] = False
    SigV4Auth(Credentials(ADMIN.id, ADMIN.secret), "servicediscovery", "us-east-1").add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    answer = server.post(b"{}", dict(request.headers.items()))
    assert (answer.status, answer.body["__type"]) == (400, "InvalidSignatureException")


def test_what_was_signed_for_one_host_is_nothing_for_another(server: Server) -> None:
    headers = signed(server, "ListNamespaces", b"{}")
    for host in ("127.0.0.1", "registry.example", f"localhost:{server.port}"):
        answer = server.post(b"{}", {**headers, "Host": host})
        assert (answer.status, answer.body["__type"]) == (400, "InvalidSignatureException")


def test_with_keys_any_name_may_be_asked_for(server: Server) -> None:
    request = AWSRequest("POST", "http://registry.example:1234/", data=b"{}")
    request.headers["X-Amz-Target"] = f"{TARGET}.ListNamespaces"
    SigV4Auth(Credentials(READ.id, READ.secret), "servicediscovery", "us-east-1").add_auth(request)
    answer = server.post(b"{}", {**dict(request.headers.items()), "Host": "registry.example:1234"})
    assert answer.status == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_role_may_do_what_it_is_for(server: Server, operation: str) -> None:
    """Of all operations of the service model: a request that is empty comes to be looked at, or it does not."""
    reads = operation.startswith(("Discover", "Get", "List"))
    writes = operation in {"RegisterInstance", "DeregisterInstance", "UpdateInstanceCustomHealthStatus"}
    allowed = {ADMIN.id} | ({READ.id, WRITE.id} if reads else {WRITE.id} if writes else set())
    for key in (READ, WRITE, ADMIN):
        answer = send(server, operation, key)
        is_denied = answer.body.get("__type") == "AccessDeniedException"
        assert is_denied == (key.id not in allowed) or answer.body["__type"] == "UnknownOperationException"
        if is_denied:
            assert answer.status == 403
            assert answer.body["message"] == (
                f"User: {key.id} is not authorized to perform: servicediscovery:{operation} because its role is "
                f"{key.role}, and this needs {needed(operation)}"
            )


def test_a_denied_change_changes_nothing(server: Server) -> None:
    with pytest.raises(ClientError, match="AccessDeniedException"):
        client(server, WRITE).create_http_namespace(Name="not-mine")
    assert client(server, READ).list_namespaces()["Namespaces"] == []


def test_a_key_that_asks_too_much_is_throttled_and_others_are_not(tmp_path: Path) -> None:
    with keyed(tmp_path / "data", rate="0.001/2") as server:
        greedy, other = client(server, READ), client(server, WRITE)
        for _ in range(2):
            greedy.list_namespaces()
        assert error_of(greedy.list_namespaces) == ("ThrottlingException", "Rate exceeded")
        asked = {"NamespaceName": "a", "ServiceName": "b"}
        assert error_of(greedy.discover_instances, **asked)[0] == "RequestLimitExceeded"
        assert other.list_namespaces()["Namespaces"] == []
        # Who is nobody cannot use up what is another's.
        assert error_of(client(server, AccessKey(WRITE.id, "w" * 40, Role.WRITE)).list_namespaces)[0] != (
            "ThrottlingException"
        )


def test_too_many_requests_at_once_are_throttled(tmp_path: Path) -> None:
    traffic = Traffic(most=0)
    with running(tmp_path / "data", traffic=traffic) as server:
        answer = server.call("ListNamespaces")
        assert (answer.status, answer.body["__type"]) == (400, "ThrottlingException")
        assert traffic.under_way == 0


@pytest.mark.parametrize("part", [b"", b"{"], ids=["nothing", "a part"])
@pytest.mark.parametrize("operation", ["ListNamespaces", "DiscoverInstances", "RegisterInstance"])
def test_a_stranger_is_refused_before_his_body_is_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, operation: str, part: bytes
) -> None:
    """Whichever way such a request goes: nothing is closed or handed over for its slowness within the time of this."""
    with socket.create_connection(("127.0.0.1", server.port), 8) as connection:
        head = f"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: {TARGET}.{operation}\r\nContent-Length: 9999\r\n\r\n"
        connection.sendall(head.encode() + part)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_the_name_of_another_machine_is_refused_before_the_body_where_there_are_no_keys(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        for operation in ("ListNamespaces", "DiscoverInstances", "RegisterInstance"):
            with socket.create_connection(("127.0.0.1", server.port), 8) as connection:
                target = f"X-Amz-Target: {TARGET}.{operation}"
                head = f"POST / HTTP/1.1\r\nHost: a.example\r\n{target}\r\nContent-Length: 99\r\n\r\n"
                connection.sendall(head.encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("operation", ["CreateService", "DiscoverInstances", "RegisterInstance"])
def test_bodies_that_nobody_has_verified_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """The id of a key is no secret, and no body is verified before it is whole."""
    counts = list[Bodies]()

    def few(self: Bodies) -> None:
        self._most, self.held = 200_000, 0
        counts.append(self)

    monkeypatch.setattr(Bodies, "__init__", few)
    body = b"x" * 60_000
    with keyed(tmp_path / "data") as server:
        headers = {"Host": f"127.0.0.1:{server.port}", **signed(server, operation, body, READ)}
        headers["Content-Length"] = "60001"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST / HTTP/1.1\r\n{lines}\r\n".encode()
        code = "RequestLimitExceeded" if operation == "DiscoverInstances" else "ThrottlingException"
        with ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 8)) for _ in range(3)]
            for each in held:
                each.sendall(head + body)
            wait_until(lambda: counts[0].held >= 180_000, "three bodies to be there")
            one_more = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 8))
            one_more.sendall(head + body)
            assert code.encode() in one_more.recv(4096)
            whole = server.post(b"{}", signed(server, "ListNamespaces", b"{}", READ))
            assert whole.status == 200, "what comes whole waits for nothing"
            held[0].sendall(b"x")
            assert b"InvalidSignatureException" in held[0].recv(4096)
        wait_until(lambda: counts[0].held == 0, "those that have gone to be forgotten")


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.server.cloudmap.application._BODY_SECONDS", 0.05)
    with running(tmp_path / "data") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.putrequest("POST", "/")
        connection.putheader("X-Amz-Target", f"{TARGET}.ListNamespaces")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (408, "RequestTimeoutException")
        connection.close()


def test_a_body_that_does_not_come_is_given_up_in_the_lane_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.server.cloudmap.application._BODY_SECONDS", 0.05)
    monkeypatch.setattr("kube_registrar.server.listening.IDLE_SECONDS", 1.0)
    with running(tmp_path / "data") as server, socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + f"X-Amz-Target: {TARGET}.DiscoverInstances\r\n"
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert connection.recv(20).startswith(b"HTTP/1.1 408 ")


def test_headers_that_do_not_come_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.server.listening.IDLE_SECONDS", 0.05)
    with running(tmp_path / "data") as server, socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert connection.recv(100) == b""


def test_requests_are_counted_by_operation_and_code(tmp_path: Path) -> None:
    counted = list[tuple[str, str]]()
    with running(
        tmp_path / "data", traffic=Traffic(count=lambda name, code, _: counted.append((name, code)))
    ) as server:
        server.call("ListNamespaces")
        server.call("GetNamespace", Id="ns-none")
        server.call("MakeCoffee")
    assert counted == [
        ("ListNamespaces", "ok"),
        ("GetNamespace", "NamespaceNotFound"),
        ("unknown", "UnknownOperationException"),
    ]


def test_the_aws_command_line_is_served_with_its_key(server: Server, tmp_path: Path) -> None:
    aws = CommandLine(server.url, tmp_path, key=WRITE.id, secret=WRITE.secret)
    assert aws.run("list-namespaces") == {"Namespaces": []}
    said = aws.error("create-http-namespace --name a")
    assert said.startswith("An error occurred (AccessDeniedException) when calling the CreateHttpNamespace operation: ")
    assert "not authorized to perform: servicediscovery:CreateHttpNamespace" in said
    unknown = CommandLine(server.url, tmp_path, key="AKIDNOBODY", secret=WRITE.secret)
    assert "(UnrecognizedClientException)" in unknown.error("list-namespaces")
