"""Every error that the service model gives an operation: provoked here, or explained why it never comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from kube_registrar.model.cloudmap.shapes import OPERATIONS
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.doors import OpenDoor
from kube_registrar.server.access.rates import ClientRates, parse
from tests.wire.harness import error_of, namespace, register, running, service

MODEL = ServiceModel(Loader().load_service_model("servicediscovery", "service-2"), "servicediscovery")

ARN = "arn:aws:servicediscovery:us-east-1:000000000000:service/srv-none"
TAGS = [{"Key": f"t{number}", "Value": ""} for number in range(51)]
CHANGE = {"Description": "x"}
A = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
BAD_ARN = "arn:nonsense"

NO_CAUSE = "the API reference documents no cause for this operation; whatever it would be, nothing here has it"


def fill(api: Any) -> None:
    """Make a namespace of each kind, and a service with an instance in it."""
    namespace(api, "http", CreatorRequestId="first")
    namespace(api, "private.example", Vpc="vpc-1")
    api.create_public_dns_namespace(Name="public.example")
    [http] = [each["Id"] for each in api.list_namespaces()["Namespaces"] if each["Name"] == "http"]
    register(api, service(api, http, "web"))


class Place:
    """What `fill` made, by id."""

    def __init__(self, api: Any) -> None:
        self.api = api
        found: dict[str, str] = {each["Name"]: each["Id"] for each in api.list_namespaces()["Namespaces"]}
        self.http, self.private, self.public = found["http"], found["private.example"], found["public.example"]
        self.service: str = api.list_services()["Services"][0]["Id"]

    def instance(self, instance_id: str = "i-1") -> dict[str, str]:
        return {"ServiceId": self.service, "InstanceId": instance_id}

    def busy(self) -> dict[str, str]:
        """Return an instance that a register is under way for."""
        register(self.api, self.service, "busy")
        return self.instance("busy")


def fifty(place: Place) -> None:
    for number in range(47):
        place.api.create_http_namespace(Name=f"n{number}")


def full(place: Place) -> dict[str, Any]:
    for number in range(999):
        register(place.api, place.service, f"full-{number}")
    return {"ServiceId": place.service, "InstanceId": "one-more", "Attributes": {}}


def thirty_attributes(place: Place) -> dict[str, Any]:
    attributes = {f"k{number}": "" for number in range(30)}
    place.api.update_service_attributes(ServiceId=place.service, Attributes=attributes)
    return {"ServiceId": place.service, "Attributes": {"one-more": ""}}


def updated_twice(operation: str, kind: str) -> Callable[[Place], dict[str, Any]]:
    """Return a case of an update that another one is under way for."""

    def case(place: Place) -> dict[str, Any]:
        wanted = {"Id": getattr(place, kind), "Namespace": CHANGE}
        call(place.api, operation, **wanted)
        return wanted

    return case


def service_updated_twice(place: Place) -> dict[str, Any]:
    wanted = {"Id": service(place.api, place.private, DnsConfig=A), "Service": {"DnsConfig": A}}
    place.api.update_service(**wanted)
    return wanted


def deleted_twice(place: Place) -> dict[str, Any]:
    place.api.delete_namespace(Id=place.public)
    return {"Id": place.public}


def given(**members: Any) -> Callable[[Place], dict[str, Any]]:
    """Return a case of a request that is wrong as it stands."""
    return lambda _: members


def quota(name: str, **members: Any) -> Callable[[Place], dict[str, Any]]:
    def case(place: Place) -> dict[str, Any]:
        fifty(place)
        return {"Name": name, **members}

    return case


def twice(name: str, operation: str, **members: Any) -> Callable[[Place], dict[str, Any]]:
    """Return a case of a creation that is under way for somebody else."""

    def case(place: Place) -> dict[str, Any]:
        call(place.api, operation, Name=name, CreatorRequestId="first", **members)
        return {"Name": name, "CreatorRequestId": "second", **members}

    return case


# What provokes the error: the members of the request that ends in it. A string explains why it never comes.
Case = Callable[[Place], dict[str, Any]] | str

NAMESPACES: dict[str, tuple[str, dict[str, Any]]] = {
    "CreateHttpNamespace": ("http", {}),
    "CreatePrivateDnsNamespace": ("private.example", {"Vpc": "vpc-1"}),
    "CreatePublicDnsNamespace": ("public.example", {}),
}

CASES: dict[tuple[str, str], Case] = {
    ("CreateService", "InvalidInput"): lambda place: {"Name": "-", "NamespaceId": place.http},
    ("CreateService", "NamespaceNotFound"): given(Name="a", NamespaceId="ns-none"),
    ("CreateService", "ServiceAlreadyExists"): lambda place: {"Name": "web", "NamespaceId": place.http},
    ("CreateService", "TooManyTagsException"): lambda place: {"Name": "a", "NamespaceId": place.http, "Tags": TAGS},
    ("CreateService", "ResourceLimitExceeded"): "the quotas that AWS documents bound instances and namespaces only",
    ("DeleteNamespace", "DuplicateRequest"): deleted_twice,
    ("DeleteNamespace", "InvalidInput"): given(Id=BAD_ARN),
    ("DeleteNamespace", "NamespaceNotFound"): given(Id="ns-none"),
    ("DeleteNamespace", "ResourceInUse"): lambda place: {"Id": place.http},
    ("DeleteService", "InvalidInput"): given(Id=BAD_ARN),
    ("DeleteService", "ResourceInUse"): lambda place: {"Id": place.service},
    ("DeleteService", "ServiceNotFound"): given(Id="srv-none"),
    ("DeleteServiceAttributes", "InvalidInput"): given(ServiceId=BAD_ARN, Attributes=["a"]),
    ("DeleteServiceAttributes", "ServiceNotFound"): given(ServiceId="srv-none", Attributes=["a"]),
    ("DeregisterInstance", "DuplicateRequest"): lambda place: place.busy(),
    ("DeregisterInstance", "InstanceNotFound"): lambda place: place.instance("none"),
    ("DeregisterInstance", "InvalidInput"): lambda place: place.instance("x" * 65),
    ("DeregisterInstance", "ResourceInUse"): NO_CAUSE,
    ("DeregisterInstance", "ServiceNotFound"): given(ServiceId="srv-none", InstanceId="i-1"),
    ("GetInstance", "InstanceNotFound"): lambda place: place.instance("none"),
    ("GetInstance", "InvalidInput"): given(ServiceId=BAD_ARN, InstanceId="i-1"),
    ("GetInstance", "ServiceNotFound"): given(ServiceId="srv-none", InstanceId="i-1"),
    ("GetInstancesHealthStatus", "InstanceNotFound"): lambda place: {"ServiceId": place.service, "Instances": ["none"]},
    ("GetInstancesHealthStatus", "InvalidInput"): lambda place: {"ServiceId": place.service, "MaxResults": 101},
    ("GetInstancesHealthStatus", "ServiceNotFound"): given(ServiceId="srv-none"),
    ("GetNamespace", "InvalidInput"): given(Id=BAD_ARN),
    ("GetNamespace", "NamespaceNotFound"): given(Id="ns-none"),
    ("GetOperation", "InvalidInput"): given(OperationId="x" * 256),
    ("GetOperation", "OperationNotFound"): given(OperationId="none"),
    ("GetService", "InvalidInput"): given(Id=BAD_ARN),
    ("GetService", "ServiceNotFound"): given(Id="srv-none"),
    ("GetServiceAttributes", "InvalidInput"): given(ServiceId=BAD_ARN),
    ("GetServiceAttributes", "ServiceNotFound"): given(ServiceId="srv-none"),
    ("ListInstances", "InvalidInput"): lambda place: {"ServiceId": place.service, "NextToken": "x"},
    ("ListInstances", "ServiceNotFound"): given(ServiceId="srv-none"),
    ("ListNamespaces", "InvalidInput"): given(NextToken="x"),
    ("ListOperations", "InvalidInput"): given(NextToken="x"),
    ("ListServices", "InvalidInput"): given(NextToken="x"),
    ("ListTagsForResource", "InvalidInput"): given(ResourceARN=BAD_ARN),
    ("ListTagsForResource", "ResourceNotFoundException"): given(ResourceARN=ARN),
    ("RegisterInstance", "DuplicateRequest"): lambda place: {**place.busy(), "Attributes": {}},
    ("RegisterInstance", "InvalidInput"): lambda place: {**place.instance("a b"), "Attributes": {}},
    ("RegisterInstance", "ResourceInUse"): NO_CAUSE,
    ("RegisterInstance", "ResourceLimitExceeded"): full,
    ("RegisterInstance", "ServiceNotFound"): given(ServiceId="srv-none", InstanceId="i-1", Attributes={}),
    ("TagResource", "InvalidInput"): given(ResourceARN=BAD_ARN, Tags=[]),
    ("TagResource", "ResourceNotFoundException"): given(ResourceARN=ARN, Tags=[]),
    ("TagResource", "TooManyTagsException"): lambda place: {
        "ResourceARN": place.api.get_namespace(Id=place.http)["Namespace"]["Arn"],
        "Tags": TAGS,
    },
    ("UntagResource", "InvalidInput"): given(ResourceARN=BAD_ARN, TagKeys=[]),
    ("UntagResource", "ResourceNotFoundException"): given(ResourceARN=ARN, TagKeys=[]),
    ("UpdateInstanceCustomHealthStatus", "CustomHealthNotFound"): lambda place: {
        **place.instance(),
        "Status": "HEALTHY",
    },
    ("UpdateInstanceCustomHealthStatus", "InvalidInput"): given(ServiceId=BAD_ARN, InstanceId="i-1", Status="HEALTHY"),
    ("UpdateInstanceCustomHealthStatus", "InstanceNotFound"): lambda place: {
        "ServiceId": service(place.api, place.http, "checked", HealthCheckCustomConfig={}),
        "InstanceId": "none",
        "Status": "HEALTHY",
    },
    ("UpdateInstanceCustomHealthStatus", "ServiceNotFound"): given(
        ServiceId="srv-none", InstanceId="i-1", Status="HEALTHY"
    ),
    ("UpdateService", "DuplicateRequest"): service_updated_twice,
    ("UpdateService", "InvalidInput"): lambda place: {"Id": place.service, "Service": {}},
    ("UpdateService", "ServiceNotFound"): given(Id="srv-none", Service={}),
    ("UpdateServiceAttributes", "InvalidInput"): lambda place: {
        "ServiceId": place.service,
        "Attributes": {f"k{number}": "" for number in range(31)},
    },
    ("UpdateServiceAttributes", "ServiceAttributesLimitExceededException"): thirty_attributes,
    ("UpdateServiceAttributes", "ServiceNotFound"): given(ServiceId="srv-none", Attributes={"a": ""}),
}
for _name, (_taken, _members) in NAMESPACES.items():
    CASES |= {
        (_name, "DuplicateRequest"): twice("new.example", _name, **_members),
        (_name, "InvalidInput"): given(Name="arn:", **_members),
        (_name, "NamespaceAlreadyExists"): given(Name=_taken, **_members),
        (_name, "ResourceLimitExceeded"): quota("new.example", **_members),
        (_name, "TooManyTagsException"): given(Name="b.example", Tags=TAGS, **_members),
    }
for _name, _kind in (
    ("UpdateHttpNamespace", "http"),
    ("UpdatePrivateDnsNamespace", "private"),
    ("UpdatePublicDnsNamespace", "public"),
):
    CASES |= {
        (_name, "DuplicateRequest"): updated_twice(_name, _kind),
        (_name, "InvalidInput"): given(Id=BAD_ARN, Namespace=CHANGE),
        (_name, "NamespaceNotFound"): given(Id="ns-none", Namespace=CHANGE),
        (_name, "ResourceInUse"): NO_CAUSE,
    }
for _name in ("DiscoverInstances", "DiscoverInstancesRevision"):
    CASES |= {
        (_name, "InvalidInput"): given(NamespaceName="http", ServiceName="-"),
        (_name, "NamespaceNotFound"): given(NamespaceName="none", ServiceName="web"),
        (_name, "RequestLimitExceeded"): given(NamespaceName="http", ServiceName="web"),
        (_name, "ServiceNotFound"): given(NamespaceName="http", ServiceName="none"),
    }

MODELLED = {(name, error.name) for name in OPERATIONS for error in MODEL.operation_model(name).error_shapes}
PROVOKED = sorted(pair for pair in CASES if not isinstance(CASES[pair], str))


def call(api: Any, operation: str, **members: Any) -> Any:
    [method] = [name for name, wire in api.meta.method_to_api_mapping.items() if wire == operation]
    return getattr(api, method)(**members)


def test_no_error_of_the_model_is_left_out() -> None:
    assert set(CASES) == MODELLED


@pytest.mark.parametrize(("operation", "code"), [pytest.param(*pair, id="-".join(pair)) for pair in PROVOKED])
def test_an_error_comes_with_its_code_and_fields(tmp_path: Path, operation: str, code: str) -> None:
    """Operations take no time, but where one must be under way for the error to come.

    Where a rate must be exceeded, as many requests are allowed as `Place` needs.
    """
    case = CASES[operation, code]
    assert not isinstance(case, str)
    with running(tmp_path) as server:
        fill(server.client())
    simulate = "operation-delay=10m" if code == "DuplicateRequest" else ""
    door = OpenDoor(ClientRates(parse("0.001/2"), SystemClock())) if code == "RequestLimitExceeded" else None
    with running(tmp_path, simulate, door=door) as server:
        place = Place(server.client())
        request = case(place)
        assert error_of(lambda **members: call(place.api, operation, **members), **request)[0] == code
        answer = server.call(operation, **request)
        shape = MODEL.shape_for(code)
        assert set(answer.body) == {"__type", *shape.members}
        assert answer.body["__type"] == answer.headers["x-amzn-errortype"] == code
        assert answer.status == shape.metadata["error"]["httpStatusCode"]
