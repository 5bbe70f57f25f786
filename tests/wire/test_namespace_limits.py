"""Keys for some registry namespaces only: held on every path to another, by name, id, ARN and operation."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from kube_registrar.server.access import places
from kube_registrar.server.access.keys import Role
from tests.wire.harness import Server, error_of, namespace, register, service
from tests.wire.keys import ADMIN, client, key_of, keyed
from tests.wire.test_access import send

OPERATIONS = Session().get_service_model("servicediscovery").operation_names
MINE, OTHER = "mine.example", "others.example"
LIMITED, READER = key_of(Role.ADMIN, MINE), key_of(Role.READ, MINE, "elsewhere")


@dataclass(frozen=True)
class Held:
    """A registry namespace with a service and an instance, and the operation that registered it."""

    name: str
    id: str
    arn: str
    service: str
    service_arn: str
    operation: str


def held(api: Any, name: str) -> Held:
    identifier = namespace(api, name, Vpc="vpc-1")
    service_id = service(api, identifier, HealthCheckCustomConfig={})
    operation = register(api, service_id, AWS_INSTANCE_IPV4="10.0.0.1")
    return Held(
        name,
        identifier,
        api.get_namespace(Id=identifier)["Namespace"]["Arn"],
        service_id,
        api.get_service(Id=service_id)["Service"]["Arn"],
        operation,
    )


@dataclass(frozen=True)
class Ground:
    """A server with two registry namespaces."""

    server: Server
    mine: Held
    other: Held


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with keyed(tmp_path_factory.mktemp("limited"), ADMIN, LIMITED, READER) as server:
        api = client(server, ADMIN)
        yield Ground(server, held(api, MINE), held(api, OTHER))


def requests(there: Held) -> list[tuple[str, Mapping[str, object]]]:
    """Return a request for each operation and each way to name what it is about, none of which breaks anything."""
    found: list[tuple[str, Mapping[str, object]]] = [
        ("DiscoverInstances", {"NamespaceName": there.name, "ServiceName": "flask-app"}),
        ("DiscoverInstancesRevision", {"NamespaceName": there.name, "ServiceName": "flask-app"}),
        ("GetOperation", {"OperationId": there.operation}),
        ("CreateHttpNamespace", {"Name": there.name}),
        ("CreatePrivateDnsNamespace", {"Name": there.name, "Vpc": "vpc-1"}),
        ("CreatePublicDnsNamespace", {"Name": there.name}),
        ("CreateService", {"Name": "x", "DnsConfig": {"NamespaceId": there.id, "DnsRecords": []}}),
    ]
    for identifier in (there.id, there.arn):
        found += [
            ("GetNamespace", {"Id": identifier}),
            ("DeleteNamespace", {"Id": identifier}),
            ("UpdateHttpNamespace", {"Id": identifier, "Namespace": {"Description": "x"}}),
            ("UpdatePrivateDnsNamespace", {"Id": identifier, "Namespace": {"Description": "x"}}),
            ("UpdatePublicDnsNamespace", {"Id": identifier, "Namespace": {"Description": "x"}}),
            ("CreateService", {"Name": "flask-app", "NamespaceId": identifier}),
        ]
    for identifier in (there.service, there.service_arn):
        one = {"ServiceId": identifier, "InstanceId": "i-1"}
        found += [
            ("GetService", {"Id": identifier}),
            ("DeleteService", {"Id": identifier}),
            ("UpdateService", {"Id": identifier, "Service": {"Description": "x"}}),
            ("ListInstances", {"ServiceId": identifier}),
            ("GetInstance", one),
            ("RegisterInstance", {**one, "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1"}}),
            ("UpdateInstanceCustomHealthStatus", {**one, "Status": "HEALTHY"}),
            ("GetInstancesHealthStatus", {"ServiceId": identifier}),
            ("DeregisterInstance", {"ServiceId": identifier, "InstanceId": "i-none"}),
            ("GetServiceAttributes", {"ServiceId": identifier}),
            ("UpdateServiceAttributes", {"ServiceId": identifier, "Attributes": {"a": "b"}}),
            ("DeleteServiceAttributes", {"ServiceId": identifier, "Attributes": ["none"]}),
        ]
    for arn in (there.arn, there.service_arn):
        found += [
            ("ListTagsForResource", {"ResourceARN": arn}),
            ("TagResource", {"ResourceARN": arn, "Tags": [{"Key": "a", "Value": "b"}]}),
            ("UntagResource", {"ResourceARN": arn, "TagKeys": ["a"]}),
        ]
    return found


def test_every_operation_of_the_service_model_is_thought_of() -> None:
    asked = {operation for operation, _ in requests(Held(*[""] * 6))}
    assert set(OPERATIONS) == asked | {"ListNamespaces", "ListOperations", "ListServices"}
    assert set(OPERATIONS) <= places.KNOWN


def test_every_way_to_another_namespace_is_denied(ground: Ground) -> None:
    for operation, members in requests(ground.other):
        answer = send(ground.server, operation, LIMITED, **members)
        code = answer.body.get("__type")
        if code == "UnknownOperationException":
            continue
        assert code == "AccessDeniedException", (operation, members, answer.body)
        assert "because it is limited to other registry namespaces" in answer.body["message"]
        # Whoever gave an id is not told the name of what has it.
        assert OTHER in str(members) or OTHER not in answer.body["message"]


def test_no_way_within_its_own_is_denied(ground: Ground) -> None:
    for operation, members in requests(ground.mine):
        if operation in {"DeleteNamespace", "DeleteService"}:
            continue
        answer = send(ground.server, operation, LIMITED, **members)
        assert answer.body.get("__type") != "AccessDeniedException", (operation, members, answer.body)


def test_nothing_of_another_namespace_was_changed(ground: Ground) -> None:
    api = client(ground.server, ADMIN)
    assert "Description" not in api.get_namespace(Id=ground.other.id)["Namespace"]
    assert api.list_tags_for_resource(ResourceARN=ground.other.arn)["Tags"] == []
    assert [one["Name"] for one in api.list_namespaces()["Namespaces"]].count(OTHER) == 1


def test_lists_show_its_own_only(ground: Ground) -> None:
    for key in (LIMITED, READER):
        api = client(ground.server, key)
        assert {one["Name"] for one in api.list_namespaces()["Namespaces"]} == {MINE}
        assert [one["Id"] for one in api.list_services()["Services"]] == [ground.mine.service]
        by_other = [{"Name": "NAMESPACE_ID", "Values": [ground.other.id]}]
        assert api.list_services(Filters=by_other)["Services"] == []
        operations = {one["Id"] for one in api.list_operations()["Operations"]}
        assert ground.mine.operation in operations
        assert ground.other.operation not in operations


@pytest.mark.parametrize("call", ["list_namespaces", "list_services", "list_operations"])
def test_no_page_tells_the_id_of_what_is_anothers(ground: Ground, call: str) -> None:
    """Nor of its own: which of the two comes last in a page is chance."""
    api = client(ground.server, LIMITED)
    pages = [getattr(api, call)(MaxResults=1)]
    while token := pages[-1].get("NextToken"):
        pages.append(getattr(api, call)(MaxResults=1, NextToken=token))
    told = "".join(base64.b64decode(page.get("NextToken", ""), altchars="-_").decode() for page in pages)
    assert len(pages) > 1
    ids = [each for held in (ground.mine, ground.other) for each in (held.id, held.service, held.operation)]
    assert not [each for each in ids if each in told]


def test_what_is_nowhere_is_not_found_and_not_denied(ground: Ground) -> None:
    api = client(ground.server, LIMITED)
    assert error_of(api.get_service, Id="srv-none")[0] == "ServiceNotFound"
    assert error_of(api.get_namespace, Id="ns-none")[0] == "NamespaceNotFound"
    assert error_of(api.get_operation, OperationId="none")[0] == "OperationNotFound"
    assert error_of(api.get_service, Id="arn:aws:servicediscovery:x:111111111111:service/a")[0] == "ServiceNotFound"
    assert error_of(api.get_service, Id="arn:nonsense")[0] == "InvalidInput"


def test_a_name_that_is_not_its_own_is_denied_whether_it_is_there_or_not(ground: Ground) -> None:
    api = client(ground.server, READER)
    for name in (OTHER, "not-there"):
        code, _ = error_of(api.discover_instances, NamespaceName=name, ServiceName="flask-app")
        assert code == "AccessDeniedException"
    assert error_of(api.discover_instances, NamespaceName="elsewhere", ServiceName="a")[0] == "NamespaceNotFound"


def test_who_may_make_a_namespace_follows_it_to_its_end(tmp_path: Path) -> None:
    key = key_of(Role.ADMIN, "short-lived")
    with keyed(tmp_path / "data", key, ADMIN) as server:
        api = client(server, key)
        identifier = namespace(api, "short-lived")
        operation = api.delete_namespace(Id=identifier)["OperationId"]
        assert api.get_operation(OperationId=operation)["Operation"]["Status"] == "SUCCESS"
        assert error_of(api.create_http_namespace, Name="another")[0] == "AccessDeniedException"
