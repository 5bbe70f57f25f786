"""How requests and answers look on the wire."""

import re
import socket

import pytest

from tests.wire.harness import TARGET, Server


def target(operation: str) -> dict[str, str]:
    return {"X-Amz-Target": f"{TARGET}.{operation}"}


def test_an_answer_is_aws_json_with_a_request_id(server: Server) -> None:
    answer = server.call("ListNamespaces")
    assert (answer.status, answer.body) == (200, {"Namespaces": []})
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert re.fullmatch("[0-9a-f-]{36}", answer.headers["x-amzn-requestid"])


def test_an_empty_body_is_an_empty_request(server: Server) -> None:
    assert server.post(b"", target("ListServices")).body == {"Services": []}


def test_a_modelled_error_is_named_in_body_and_header(server: Server) -> None:
    answer = server.call("GetNamespace", Id="ns-none")
    assert answer.status == 404
    assert answer.headers["x-amzn-errortype"] == "NamespaceNotFound"
    assert answer.body == {"__type": "NamespaceNotFound", "Message": "There is no namespace 'ns-none'"}


def test_an_operation_that_there_is_not_is_named(server: Server) -> None:
    answer = server.post(b"{}", target("MakeCoffee"))
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "UnknownOperationException")
    assert answer.body == {"__type": "UnknownOperationException", "message": "Cloud Map has no operation 'MakeCoffee'"}


@pytest.mark.parametrize("header", [{}, {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, {"X-Amz-Target": TARGET}])
def test_a_target_of_another_service_says_what_is_needed(server: Server, header: dict[str, str]) -> None:
    answer = server.post(b"{}", header)
    assert (answer.status, answer.body["__type"]) == (400, "UnknownOperationException")
    assert answer.body["message"].endswith(f"use a POST with {TARGET}.OPERATION")


def test_only_a_post_is_a_request(server: Server) -> None:
    answer = server.post(b"", target("ListNamespaces"), method="GET")
    assert (answer.status, answer.body["__type"]) == (400, "UnknownOperationException")
    assert answer.body["message"].startswith("This is a GET")


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}, "/"),
        ({"Content-Type": "application/cbor"}, "/service/Route53AutoNaming_v20170314/operation/ListNamespaces"),
    ],
)
def test_another_protocol_gets_a_clear_error(server: Server, headers: dict[str, str], path: str) -> None:
    answer = server.post(b"\xa0", headers, path=path)
    assert (answer.status, answer.body["__type"]) == (400, "UnsupportedProtocolException")
    assert "use AWS JSON 1.1" in answer.body["message"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"MaxResults": 1e999}', b'{"NextToken": "\\ud800"}'])
def test_what_is_not_json_is_refused(server: Server, body: bytes) -> None:
    answer = server.post(body, target("ListNamespaces"))
    assert (answer.status, answer.body["__type"]) == (400, "SerializationException")


def test_what_is_too_large_is_refused(server: Server) -> None:
    answer = server.post(b'{"NextToken": "' + b"x" * 1_100_000 + b'"}', target("ListNamespaces"))
    assert answer.body == {"__type": "SerializationException", "message": "The request is larger than 1 MiB"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8081",
        "[::1]:8081",
        "localhost",
        "LOCALHOST:1",
        "data-localhost:8081",
        "data-127.0.0.1",
        "a.localhost",
    ],
)
def test_addresses_and_localhost_may_be_asked_for(server: Server, host: str) -> None:
    assert server.post(b"{}", {**target("ListNamespaces"), "Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "data-evil.example", "", "[evil]:1", "1.2.3"]
)
def test_any_other_name_is_refused(server: Server, host: str) -> None:
    answer = server.post(b"{}", {**target("ListNamespaces"), "Host": host})
    assert (answer.status, answer.body["__type"]) == (403, "AccessDeniedException")


def test_a_request_without_a_host_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"POST / HTTP/1.0\r\nX-Amz-Target: {TARGET}.ListNamespaces\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.0 403 ")


def test_arns_carry_the_region_that_the_caller_signed_for(server: Server) -> None:
    for region in ("eu-west-1", "ap-southeast-2"):
        client = server.client(region)
        name = f"in-{region}"
        made = client.get_operation(OperationId=client.create_http_namespace(Name=name)["OperationId"])["Operation"]
        namespace_id = made["Targets"]["NAMESPACE"]
        found = client.get_namespace(Id=namespace_id)["Namespace"]
        assert found["Arn"] == f"arn:aws:servicediscovery:{region}:000000000000:namespace/{namespace_id}"


def test_without_a_signature_the_configured_region_stands_in_arns(server: Server) -> None:
    server.call("CreateHttpNamespace", Name="plain")
    [found] = server.call("ListNamespaces").body["Namespaces"]
    assert found["Arn"] == f"arn:aws:servicediscovery:us-east-1:000000000000:namespace/{found['Id']}"


def test_members_that_are_null_or_unknown_count_as_absent(server: Server) -> None:
    answer = server.call("CreateHttpNamespace", Name="a", Description=None, Colour="red")
    assert answer.status == 200
