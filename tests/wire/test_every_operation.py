"""Every operation of the service model is done here, and every member of its answer seen, or it is said why not.

`test_errors.py` does the same for every error. What the model's answers may hold is read from botocore's copy.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tests.wire.harness import Server, running

MODEL = ServiceModel(Loader().load_service_model("servicediscovery", "service-2"), "servicediscovery")
A = {"DnsRecords": [{"Type": "A", "TTL": 60}], "RoutingPolicy": "WEIGHTED"}
TAGS = [{"Key": "team", "Value": "web"}]
INSTANCE = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80", "stage": "dev"}
SOA = {"Properties": {"DnsProperties": {"SOA": {"TTL": 60}}}}


class Place:
    """A registry in which there is one of everything."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.http = self.made("CreateHttpNamespace", Name="http", Description="d", CreatorRequestId="c", Tags=TAGS)
        self.private = self.made("CreatePrivateDnsNamespace", Name="private.example", Vpc="vpc-1", **SOA)
        self.public = self.made("CreatePublicDnsNamespace", Name="example.org", **SOA)
        check = {"Type": "HTTP", "ResourcePath": "/up", "FailureThreshold": 2}
        self.checked = self.service(
            "checked", self.public, Description="d", DnsConfig=A, HealthCheckConfig=check, CreatorRequestId="c"
        )
        self.said = self.service("said", self.private, DnsConfig=A, HealthCheckCustomConfig={"FailureThreshold": 1})
        for identifier in (self.checked, self.said):
            register = {"ServiceId": identifier, "InstanceId": "i-1", "CreatorRequestId": "c"}
            self.operation = self.done("RegisterInstance", **register, Attributes=INSTANCE)["OperationId"]
        self.done("RegisterInstance", ServiceId=self.said, InstanceId="i-2", Attributes=INSTANCE)
        below = self.done("CreatePrivateDnsNamespace", Name="below.private.example", Vpc="vpc-1")
        self.failed: str = below["OperationId"]
        self.done("UpdateServiceAttributes", ServiceId=self.checked, Attributes={"weight": "1"})

    def done(self, operation: str, **members: Any) -> dict[str, Any]:
        answer = self._server.call(operation, **members)
        assert answer.status == 200, answer
        return answer.body

    def made(self, operation: str, **members: Any) -> str:
        found = self.done("GetOperation", OperationId=self.done(operation, **members)["OperationId"])["Operation"]
        identifier: str = found["Targets"]["NAMESPACE"]
        return identifier

    def service(self, name: str, namespace: str, **members: Any) -> str:
        made = self.done("CreateService", Name=name, NamespaceId=namespace, **members)
        identifier: str = made["Service"]["Id"]
        return identifier

    def arn(self) -> str:
        found: str = self.done("GetNamespace", Id=self.http)["Namespace"]["Arn"]
        return found

    def instance(self) -> dict[str, str]:
        return {"ServiceId": self.said, "InstanceId": "i-1"}


def given(**members: Any) -> Callable[[Place], list[dict[str, Any]]]:
    return lambda _: [members]


FIRST = {"MaxResults": 1}
NAMES = {"NamespaceName": "example.org", "ServiceName": "checked"}
REQUESTS: dict[str, Callable[[Place], list[dict[str, Any]]]] = {
    "CreateHttpNamespace": given(Name="new"),
    "CreatePrivateDnsNamespace": given(Name="new.example", Vpc="vpc-1"),
    "CreatePublicDnsNamespace": given(Name="new.example"),
    "CreateService": lambda place: [
        {"Name": "a", "NamespaceId": place.http, "Description": "d", "HealthCheckCustomConfig": {}},
        {"Name": "b", "NamespaceId": place.public, "DnsConfig": A, "CreatorRequestId": "c", "Tags": TAGS},
        {"Name": "c", "NamespaceId": place.http, "HealthCheckConfig": {"Type": "HTTPS"}},
    ],
    "DeleteNamespace": lambda place: [{"Id": place.http}],
    "DeleteService": lambda place: [{"Id": place.service("empty", place.http)}],
    "DeleteServiceAttributes": lambda place: [{"ServiceId": place.checked, "Attributes": ["weight"]}],
    "DeregisterInstance": lambda place: [place.instance()],
    "DiscoverInstances": given(**NAMES),
    "DiscoverInstancesRevision": given(**NAMES),
    "GetInstance": lambda place: [place.instance()],
    "GetInstancesHealthStatus": lambda place: [{"ServiceId": place.said}, {"ServiceId": place.said, **FIRST}],
    "GetNamespace": lambda place: [{"Id": place.http}, {"Id": place.public}],
    "GetOperation": lambda place: [{"OperationId": place.operation}, {"OperationId": place.failed}],
    "GetService": lambda place: [{"Id": place.checked}, {"Id": place.said}],
    "GetServiceAttributes": lambda place: [{"ServiceId": place.checked}],
    "ListInstances": lambda place: [{"ServiceId": place.said, **FIRST}],
    "ListNamespaces": given(**FIRST),
    "ListOperations": given(**FIRST),
    "ListServices": given(**FIRST),
    "ListTagsForResource": lambda place: [{"ResourceARN": place.arn()}],
    "RegisterInstance": lambda place: [{**place.instance(), "Attributes": INSTANCE}],
    "TagResource": lambda place: [{"ResourceARN": place.arn(), "Tags": TAGS}],
    "UntagResource": lambda place: [{"ResourceARN": place.arn(), "TagKeys": ["team"]}],
    "UpdateHttpNamespace": lambda place: [{"Id": place.http, "Namespace": {"Description": "e"}}],
    "UpdateInstanceCustomHealthStatus": lambda place: [{**place.instance(), "Status": "UNHEALTHY"}],
    "UpdatePrivateDnsNamespace": lambda place: [{"Id": place.private, "Namespace": SOA}],
    "UpdatePublicDnsNamespace": lambda place: [{"Id": place.public, "Namespace": {"Description": "e"}}],
    "UpdateService": lambda place: [{"Id": place.said, "Service": {"DnsConfig": {"DnsRecords": A["DnsRecords"]}}}],
    "UpdateServiceAttributes": lambda place: [{"ServiceId": place.checked, "Attributes": {"weight": "2"}}],
}
UNMODELLED = {"ListServices.Services": {"NamespaceId"}}
"""What AWS answers by its own examples, and the model does not know."""
PAGED = {"GetInstancesHealthStatus", "ListInstances", "ListNamespaces", "ListOperations", "ListServices"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running(tmp_path, customHealthDelaySeconds=0) as server:
        yield Place(server)


def seen(shape: Shape, value: object, at: str) -> Iterator[str]:
    """Yield where the members of an answer are. What the model does not know, or knows otherwise, is an error."""
    match shape:
        case StructureShape():
            assert isinstance(value, dict), at
            assert set(value) - UNMODELLED.get(at, set()) <= set(shape.members), (
                f"{at} has what the model does not know"
            )
            for name in set(value) & set(shape.members):
                yield f"{at}.{name}"
                yield from seen(shape.members[name], value[name], f"{at}.{name}")
        case ListShape():
            assert isinstance(value, list), at
            for item in value:
                yield from seen(shape.member, item, at)
        case MapShape():
            assert isinstance(value, dict), at
            assert all(isinstance(each, str) for pair in value.items() for each in pair)
        case _:
            kinds: dict[str, Any] = {"string": str, "timestamp": int | float}
            assert isinstance(value, kinds.get(shape.type_name, int)), at
            enum = getattr(shape, "enum", ())
            assert not enum or value in enum, at


def members(shape: Shape, at: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            for name, member in shape.members.items():
                yield f"{at}.{name}"
                yield from members(member, f"{at}.{name}")
        case ListShape():
            yield from members(shape.member, at)


def test_no_operation_of_the_model_is_left_out() -> None:
    assert set(REQUESTS) == set(MODEL.operation_names)


@pytest.mark.parametrize("operation", sorted(REQUESTS))
def test_an_operation_is_answered_as_the_model_says(place: Place, operation: str) -> None:
    requests = REQUESTS[operation](place)
    shape = MODEL.operation_model(operation).output_shape
    if operation in PAGED and "MaxResults" in requests[-1]:
        requests += more(place, operation, requests[-1])
    found = set()
    for request in requests:
        answer = place.done(operation, **request)
        if shape is None:
            assert answer == {}
        else:
            found |= set(seen(shape, answer, operation))
    if shape is not None:
        assert set(members(shape, operation)) - found == set()


def more(place: Place, operation: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the requests for the pages behind the first one."""
    found = []
    token = place.done(operation, **request).get("NextToken")
    while token:
        found.append({**request, "NextToken": token})
        token = place.done(operation, **found[-1]).get("NextToken")
    return found
