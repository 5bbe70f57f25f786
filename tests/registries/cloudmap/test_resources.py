"""Registry namespaces and services against a scripted endpoint: requests as documented, races, and names used twice."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from kube_registrar.model.errors import Conflict, NotFound, Refused, Retryable, Unreachable
from kube_registrar.model.instances import Health, Query
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef
from kube_registrar.model.specs import (
    CreationPolicy,
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    Route53Check,
    RoutingPolicy,
    ServiceSpec,
)
from kube_registrar.registries.cloudmap.shapes import token
from kube_registrar.registries.port import Registry
from kube_registrar.testing.builders import namespace_spec, service_ref, service_spec
from tests.registries.cloudmap.scripted import Drop, Error, Script

CREATOR = "prod/default/flask-app"
DNS = {
    "Id": "ns-1",
    "Name": "test-namespace",
    "Type": "DNS_PRIVATE",
    "Properties": {"DnsProperties": {"HostedZoneId": "Z1", "SOA": {"TTL": 15}}, "HttpProperties": {"HttpName": "t-n"}},
}
NAMESPACE = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")


def service_json(creator: str = CREATOR, **more: object) -> dict[str, Any]:
    return {"Id": "srv-1", "Arn": "arn:srv-1", "Name": "flask-app", "CreatorRequestId": creator, **more}


def records(ttl: int) -> Mapping[str, Any]:
    return {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": ttl}]}


@pytest.fixture
def in_dns(script: Script) -> Script:
    script.on("ListNamespaces", {"Namespaces": [DNS]})
    script.on("GetNamespace", {"Namespace": DNS})
    script.on("ListServices", {"Services": []})
    return script


@pytest.mark.parametrize(
    ("spec", "operation", "request_"),
    [
        (namespace_spec(), "CreateHttpNamespace", {}),
        (
            namespace_spec("example.com", type=NamespaceType.DNS_PUBLIC, description="ours", tags={"team": "web"}),
            "CreatePublicDnsNamespace",
            {"Description": "ours", "Tags": [{"Key": "team", "Value": "web"}]},
        ),
        (
            namespace_spec(type=NamespaceType.DNS_PRIVATE, vpc_id="vpc-1", soa_ttl_seconds=15),
            "CreatePrivateDnsNamespace",
            {"Vpc": "vpc-1", "Properties": {"DnsProperties": {"SOA": {"TTL": 15}}}},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_namespace_is_made_and_confirmed(
    registry: Registry, script: Script, spec: NamespaceSpec, operation: str, request_: Mapping[str, object]
) -> None:
    made = {"Id": "ns-9", "Name": spec.ref.name, "Type": _type(spec), "CreatorRequestId": CREATOR}
    script.on("ListNamespaces", {"Namespaces": []})
    script.on(operation, {"OperationId": "op-create"})
    script.on("GetOperation", {"Operation": {"Status": "SUCCESS", "Targets": {"NAMESPACE": "ns-9"}}})
    script.on("GetNamespace", {"Namespace": {**made, "Description": spec.description, **_soa(spec)}})
    found = await registry.ensure(spec, CREATOR)
    assert script.asked(operation) == [{"Name": spec.ref.name, "CreatorRequestId": CREATOR, **request_}]
    assert (found.id, found.created_by) == ("ns-9", CREATOR)
    assert script.asked("GetNamespace") == [{"Id": "ns-9"}]


def _type(spec: NamespaceSpec) -> str:
    return {NamespaceType.DNS_PRIVATE: "DNS_PRIVATE", NamespaceType.DNS_PUBLIC: "DNS_PUBLIC"}.get(spec.type, "HTTP")


def _soa(spec: NamespaceSpec) -> Mapping[str, Any]:
    if spec.type is NamespaceType.HTTP:
        return {"Properties": {"DnsProperties": {"SOA": {}}, "HttpProperties": {"HttpName": spec.ref.name}}}
    return {"Properties": {"DnsProperties": {"SOA": {"TTL": spec.soa_ttl_seconds}}}}


async def test_a_private_namespace_needs_a_vpc(registry: Registry, script: Script) -> None:
    script.on("ListNamespaces", {"Namespaces": []})
    with pytest.raises(Refused) as caught:
        await registry.ensure(namespace_spec(type=NamespaceType.DNS_PRIVATE), CREATOR)
    assert caught.value.field == "vpcID"
    assert [name for name, _ in script.requests] == ["ListNamespaces"]


async def test_a_namespace_that_somebody_made_at_the_same_time_is_adopted(registry: Registry, script: Script) -> None:
    script.on("ListNamespaces", {"Namespaces": []})
    script.on("CreateHttpNamespace", Error("NamespaceAlreadyExists", fields={"NamespaceId": "ns-1"}))
    found = await registry.ensure(namespace_spec(), CREATOR)
    assert (found.id, found.created_by) == ("ns-1", None)


async def test_a_namespace_that_fails_late_says_why(registry: Registry, script: Script) -> None:
    script.on("ListNamespaces", {"Namespaces": []})
    script.on("CreatePublicDnsNamespace", {"OperationId": "op-create"})
    failed = {"Status": "FAIL", "ErrorCode": "CANNOT_CREATE_HOSTED_ZONE", "ErrorMessage": "too many zones"}
    script.on("GetOperation", {"Operation": failed})
    with pytest.raises(Refused, match=r"making registry namespace default:example.com: no hosted zone .*too many"):
        await registry.ensure(namespace_spec("example.com", type=NamespaceType.DNS_PUBLIC), CREATOR)


async def test_a_namespace_that_is_removed_meanwhile_is_tried_again(registry: Registry, script: Script) -> None:
    script.on("GetNamespace", Error("NamespaceNotFound"))
    with pytest.raises(Retryable, match="removed at the same time"):
        await registry.ensure(namespace_spec(), CREATOR)


async def test_its_creator_changes_description_and_soa(registry: Registry, in_dns: Script) -> None:
    ours = {**DNS, "CreatorRequestId": CREATOR}
    changed = {**ours, "Description": "ours", "Properties": {"DnsProperties": {"SOA": {"TTL": 60}}}}
    in_dns.on("GetNamespace", {"Namespace": ours}, {"Namespace": changed})
    in_dns.on("UpdatePrivateDnsNamespace", {"OperationId": "op-update"})
    wish = namespace_spec(type=NamespaceType.DNS_PRIVATE, vpc_id="vpc-1", description="ours", soa_ttl_seconds=60)
    found = await registry.ensure(wish, CREATOR)
    [request] = in_dns.asked("UpdatePrivateDnsNamespace")
    assert request["Id"] == "ns-1"
    assert request["Namespace"] == {"Description": "ours", "Properties": {"DnsProperties": {"SOA": {"TTL": 60}}}}
    assert isinstance(found.spec, NamespaceSpec)
    assert (found.spec.description, found.spec.soa_ttl_seconds) == ("ours", 60)


async def test_two_namespaces_of_one_name_are_told_apart_by_a_person(registry: Registry, script: Script) -> None:
    other = {"Id": "ns-2", "Name": "test-namespace", "Type": "DNS_PRIVATE"}
    script.on("ListNamespaces", {"Namespaces": [DNS, other]})
    for ask in (registry.instances(service_ref()), registry.ensure(service_spec(), CREATOR)):
        with pytest.raises(Conflict, match=r"2 registry namespaces are called default:test-namespace: ns-1, ns-2"):
            await ask
    assert sorted(found.id for found in await registry.find(None)) == ["ns-1", "ns-2"]


async def test_a_namespace_whose_name_was_used_before_is_discovered_by_its_http_name(
    registry: Registry, in_dns: Script
) -> None:
    in_dns.on("DiscoverInstances", Error("NamespaceNotFound"), {"Instances": []})
    assert list(await registry.discover(Query(service_ref()))) == []
    assert list(await registry.discover(Query(service_ref()))) == []
    assert [request["NamespaceName"] for request in in_dns.asked("DiscoverInstances")] == [
        "test-namespace",
        "t-n",
        "t-n",
    ]


async def test_a_service_is_made_as_asked(registry: Registry, in_dns: Script) -> None:
    json = service_json(DnsConfig=records(30), HealthCheckCustomConfig={"FailureThreshold": 1})
    in_dns.on("CreateService", {"Service": json})
    spec = service_spec(records="A", ttl_seconds=30, custom_health=True, tags={"team": "web"})
    found = await registry.ensure(spec, CREATOR)
    assert in_dns.asked("CreateService") == [
        {
            "Name": "flask-app",
            "NamespaceId": "ns-1",
            "CreatorRequestId": CREATOR,
            "DnsConfig": records(30),
            "HealthCheckCustomConfig": {"FailureThreshold": 1},
            "Tags": [{"Key": "team", "Value": "web"}],
        }
    ]
    assert isinstance(found.spec, ServiceSpec)
    assert (found.id, found.arn, found.created_by) == ("srv-1", "arn:srv-1", CREATOR)
    assert found.spec.health_check is HealthCheckType.CUSTOM
    assert in_dns.asked("GetOperation") == []


async def test_a_service_that_somebody_made_at_the_same_time_is_looked_at(registry: Registry, in_dns: Script) -> None:
    in_dns.on("CreateService", Error("ServiceAlreadyExists", fields={"ServiceId": "srv-1"}))
    in_dns.on("GetService", {"Service": service_json("another/creator")})
    assert (await registry.ensure(service_spec(), CREATOR)).created_by == "another/creator"
    with pytest.raises(Conflict, match="was made by another/creator"):
        await registry.ensure(service_spec(), CREATOR, CreationPolicy.CREATE)


async def test_an_update_sends_all_settings_for_what_it_omits_is_deleted(registry: Registry, in_dns: Script) -> None:
    check = {"Type": "HTTP", "ResourcePath": "/healthz", "FailureThreshold": 2}
    before = service_json(DnsConfig=records(30), HealthCheckConfig=check, Description="before")
    after = {**before, "Description": "after"}
    public = {**DNS, "Type": "DNS_PUBLIC"}
    in_dns.on("ListNamespaces", {"Namespaces": [public]})
    in_dns.on("ListServices", {"Services": [before]})
    in_dns.on("GetService", {"Service": before}, {"Service": after})
    in_dns.on("UpdateService", {"OperationId": "op-update"})
    spec = service_spec(
        records="A",
        ttl_seconds=30,
        description="after",
        health_check=HealthCheckType.ROUTE53,
        route53=Route53Check("HTTP", "/healthz", 2),
    )
    assert (await registry.ensure(spec, CREATOR)).spec == spec
    assert in_dns.asked("UpdateService") == [
        {
            "Id": "srv-1",
            "Service": {
                "Description": "after",
                "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 30}]},
                "HealthCheckConfig": check,
            },
        }
    ]
    assert in_dns.asked("GetOperation") == [{"OperationId": "op-update"}]


@pytest.fixture
def in_public_dns(in_dns: Script) -> Script:
    """Where Route 53 can reach what it checks."""
    public = {**DNS, "Type": "DNS_PUBLIC"}
    in_dns.on("ListNamespaces", {"Namespaces": [public]})
    in_dns.on("GetNamespace", {"Namespace": public})
    return in_dns


async def test_a_health_check_that_is_as_asked_is_no_difference(registry: Registry, in_public_dns: Script) -> None:
    """Cloud Map asks for / where no path is given, and says so; what nobody changed is not written again."""
    check = {"Type": "HTTP", "ResourcePath": "/", "FailureThreshold": 1}
    in_public_dns.on("ListServices", {"Services": [service_json(HealthCheckConfig=check, DnsConfig=records(60))]})
    in_public_dns.on("GetService", {"Service": service_json(HealthCheckConfig=check, DnsConfig=records(60))})
    spec = service_spec(records="A", health_check=HealthCheckType.ROUTE53, route53=Route53Check("HTTP"))
    await registry.ensure(spec, CREATOR)
    assert in_public_dns.asked("UpdateService") == []


async def test_a_health_check_is_changed_and_records_stay(registry: Registry, in_public_dns: Script) -> None:
    check = {"Type": "TCP", "FailureThreshold": 1}
    both = {"RoutingPolicy": "WEIGHTED", "DnsRecords": [{"Type": "A", "TTL": 9}, {"Type": "AAAA", "TTL": 8}]}
    in_public_dns.on(
        "ListServices", {"Services": [service_json(HealthCheckConfig=check, DnsConfig=both, Description="x")]}
    )
    in_public_dns.on("GetService", {"Service": service_json(HealthCheckConfig=check, DnsConfig=both, Description="x")})
    in_public_dns.on("UpdateService", {"OperationId": "op-update"})
    spec = service_spec(
        description="x",
        dns=DnsSettings((DnsRecord(RecordType.A, 9), DnsRecord(RecordType.AAAA, 8)), RoutingPolicy.WEIGHTED),
        health_check=HealthCheckType.ROUTE53,
        route53=Route53Check("HTTPS", "/up", 3),
    )
    await registry.ensure(spec, CREATOR)
    [request] = in_public_dns.asked("UpdateService")
    assert request["Service"] == {
        "Description": "x",
        "DnsConfig": {"DnsRecords": both["DnsRecords"]},
        "HealthCheckConfig": {"Type": "HTTPS", "ResourcePath": "/up", "FailureThreshold": 3},
    }


@pytest.mark.parametrize(
    ("records_", "routing"),
    [("A", "MULTIVALUE"), ("AAAA", "WEIGHTED"), ("A,AAAA", "MULTIVALUE"), ("SRV", "MULTIVALUE"), ("CNAME", "WEIGHTED")],
)
async def test_every_set_of_records_is_made(registry: Registry, in_dns: Script, records_: str, routing: str) -> None:
    types = records_.split(",")
    dns = {"RoutingPolicy": routing, "DnsRecords": [{"Type": type_, "TTL": 7} for type_ in types]}
    in_dns.on("CreateService", {"Service": service_json(DnsConfig=dns)})
    settings = DnsSettings(tuple(DnsRecord(RecordType(type_), 7) for type_ in types), RoutingPolicy(routing.title()))
    found = await registry.ensure(service_spec(dns=settings), CREATOR)
    assert in_dns.asked("CreateService")[0]["DnsConfig"] == dns
    assert isinstance(found.spec, ServiceSpec)
    assert found.spec.dns == settings


async def test_in_an_http_namespace_settings_stay_as_they_are(registry: Registry, script: Script) -> None:
    script.on("GetService", {"Service": service_json(Description="before")})
    found = await registry.ensure(service_spec(description="after"), CREATOR)
    assert found.spec.description == "before"
    assert script.asked("UpdateService") == []


async def test_records_in_an_http_namespace_are_refused_before_anything_is_sent(
    registry: Registry, script: Script
) -> None:
    with pytest.raises(Refused) as caught:
        await registry.ensure(service_spec(records="A"), CREATOR)
    assert caught.value.field == "dns"
    assert [name for name, _ in script.requests] == ["ListNamespaces"]


@pytest.mark.parametrize("name", ["-web", "web-", "a..b", "x" * 64, ".".join(["abc"] * 33), "größe", ""])
async def test_a_service_name_has_rules(registry: Registry, script: Script, name: str) -> None:
    with pytest.raises(Refused) as caught:
        await registry.ensure(service_spec(f"test-namespace/{name}"), CREATOR)
    assert caught.value.field == "name"


async def test_a_service_gone_from_a_namespace_that_is_gone_too_says_so(registry: Registry, script: Script) -> None:
    await registry.find(NAMESPACE)
    script.on("CreateService", Error("NamespaceNotFound"))
    script.on("ListServices", {"Services": []})
    script.on("ListNamespaces", {"Namespaces": []})
    script.on("GetNamespace", Error("NamespaceNotFound"))
    with pytest.raises(NotFound, match="registry namespace default:test-namespace is not there"):
        await registry.ensure(service_spec(), CREATOR)


async def test_removing_says_what_stands_in_the_way(registry: Registry, script: Script) -> None:
    script.on("DeleteService", Error("ResourceInUse"))
    script.on("DeleteNamespace", Error("ResourceInUse"))
    with pytest.raises(Conflict, match=r"removing registry service default:test-namespace/flask-app: .*ResourceInUse"):
        await registry.remove(service_ref())
    with pytest.raises(Conflict, match=r"removing registry namespace default:test-namespace: .*ResourceInUse"):
        await registry.remove(NAMESPACE)


async def test_removing_what_somebody_removes_at_the_same_time_is_done(registry: Registry, script: Script) -> None:
    script.on("DeleteService", Error("ServiceNotFound"))
    script.on("DeleteNamespace", Error("NamespaceNotFound"))
    await registry.remove(service_ref())
    await registry.remove(NAMESPACE)


async def test_many_who_ask_at_once_share_a_list(registry: Registry, script: Script) -> None:
    script.on("ListInstances", {"Instances": []})
    await asyncio.gather(*(registry.instances(service_ref()) for _ in range(20)))
    assert len(script.asked("ListNamespaces")) == 1
    assert len(script.asked("ListServices")) == 1
    assert len(script.asked("ListInstances")) == 20


async def test_a_page_whose_answer_is_lost_is_read_again(registry: Registry, script: Script) -> None:
    first = {"Instances": [{"Id": "a", "Attributes": {"k": "v"}}], "NextToken": "more"}
    last = {"Instances": [{"Id": "b"}]}
    script.on("ListInstances", Drop, first, Error("InternalFailure", 500), Error("ThrottlingException"), last)
    assert [each.id for each in await registry.instances(service_ref())] == ["a", "b"]
    assert [request.get("NextToken") for request in script.asked("ListInstances")] == [None, None] + ["more"] * 3


async def test_a_list_that_cannot_be_read_to_its_end_is_an_error(registry: Registry, script: Script) -> None:
    script.on("ListInstances", {"Instances": [{"Id": "a"}], "NextToken": "more"}, Error("InternalFailure", 500))
    with pytest.raises(Unreachable) as caught:
        await registry.instances(service_ref())
    assert not caught.value.doubtful


async def test_statuses_are_read_where_there_are_some_page_by_page(registry: Registry, script: Script) -> None:
    script.on("ListInstances", {"Instances": [{"Id": "a"}, {"Id": "b"}, {"Id": "c"}]})
    assert {each.health for each in await registry.instances(service_ref())} == {Health.UNKNOWN}
    assert script.asked("GetInstancesHealthStatus") == []
    script.on("ListServices", {"Services": [service_json(HealthCheckCustomConfig={"FailureThreshold": 1})]})
    script.on(
        "GetInstancesHealthStatus",
        {"Status": {"a": "HEALTHY"}, "NextToken": "more"},
        {"Status": {"b": "UNHEALTHY"}},
    )
    await registry.find(NAMESPACE)
    found = {each.id: each.health for each in await registry.instances(service_ref())}
    assert found == {"a": Health.HEALTHY, "b": Health.UNHEALTHY, "c": Health.UNKNOWN}


def test_a_creator_token_fits_and_keeps_creators_apart() -> None:
    assert token("a" * 64) == "a" * 64
    long = [token("a" * 64 + "b"), token("a" * 64 + "c"), token("a" * 65)]
    assert {len(each) for each in long} == {64}
    assert len(set(long)) == 3
    assert token("a" * 64 + "b") == long[0]
