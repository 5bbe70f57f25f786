"""Nothing that Cloud Map refuses is sent: each rule by itself, and whatever may be drawn against a strict registry."""

import asyncio
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.attributes import ALIAS, CNAME, INIT_HEALTH, IPV4, IPV6, PORT
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, ServiceRef
from kube_registrar.model.specs import (
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
from kube_registrar.registries import embedded
from kube_registrar.registries.cloudmap import shapes
from kube_registrar.registries.cloudmap.differences import conflict
from kube_registrar.registries.cloudmap.instances import EC2, check_in_service, check_instance
from kube_registrar.registries.cloudmap.rules import check_namespace, check_service
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import SystemClock

HTTP, PRIVATE, PUBLIC = NamespaceType.HTTP, NamespaceType.DNS_PRIVATE, NamespaceType.DNS_PUBLIC
NAMES = {HTTP: "web/shop", PRIVATE: "shop.local", PUBLIC: "shop.example.com"}


def namespace(kind: NamespaceType = HTTP, name: str = "", **overrides: Any) -> NamespaceSpec:
    given = {"vpc_id": "vpc-1" if kind is PRIVATE else "", **overrides}
    return NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, name or NAMES[kind]), kind, **given)


def dns(*types: RecordType, routing: RoutingPolicy = RoutingPolicy.MULTIVALUE, ttl: int = 60) -> DnsSettings:
    return DnsSettings(tuple(DnsRecord(each, ttl) for each in types), routing)


def service(parent: NamespaceSpec, name: str = "web", **overrides: Any) -> ServiceSpec:
    return ServiceSpec(ServiceRef(parent.ref, name), **overrides)


A, AAAA, SRV, CNAMES = RecordType.A, RecordType.AAAA, RecordType.SRV, RecordType.CNAME
ROUTE53, CUSTOM = HealthCheckType.ROUTE53, HealthCheckType.CUSTOM
WEIGHTED = RoutingPolicy.WEIGHTED
PROBE = Route53Check("HTTP", "/", 3)


# Each rule.


@pytest.mark.parametrize(
    ("spec", "field", "rule"),
    [
        (namespace(name="arn:aws:x"), "name", "not beginning with arn:"),
        (namespace(name="a" * 1025), "name", "1 to 1,024"),
        (namespace(name="a b"), "name", "visible ASCII"),
        (namespace(PRIVATE, "a" * 63 + ("." + "b" * 63) * 3), "name", "253 in all"),
        (namespace(PRIVATE, "a..b"), "name", "labels of 1 to 63"),
        (namespace(PRIVATE, "arn:a"), "name", "not beginning with arn:"),
        (namespace(PUBLIC, "local"), "name", "two labels or more"),
        (namespace(PUBLIC, "a_b.example.com"), "name", "letters, digits and hyphens"),
        (namespace(PUBLIC, vpc_id="vpc-1"), "vpcID", "none with type DNSPublic"),
        (namespace(PRIVATE, vpc_id="v" * 65), "vpcID", "at most 64"),
        (namespace(soa_ttl_seconds=60), "soaTTLSeconds", "none with type HTTP"),
        (namespace(PUBLIC, soa_ttl_seconds=-1), "soaTTLSeconds", "0 to 2,147,483,647 seconds"),
        (namespace(description="d" * 1025), "description", "at most 1,024"),
        (namespace(tags={f"k{n}": "" for n in range(51)}), "tags", "at most 50"),
        (namespace(tags={"k" * 129: ""}), "tags", "1 to 128"),
        (namespace(tags={"": ""}), "tags", "1 to 128"),
        (namespace(tags={"AWS:x": ""}), "tags", "do not begin with aws:"),
        (namespace(tags={"k": "v" * 257}), "tags.k", "at most 256"),
    ],
)
def test_a_namespace_that_is_never_taken_is_told_which_field_and_rule(
    spec: NamespaceSpec, field: str, rule: str
) -> None:
    with pytest.raises(Refused) as caught:
        check_namespace(spec)
    assert caught.value.field == field
    assert rule in caught.value.rule
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("parent", "overrides", "field", "rule"),
    [
        (HTTP, {"name": "a" * 128}, "name", "at most 127"),
        (HTTP, {"name": "-a"}, "name", "labels of 1 to 63"),
        (HTTP, {"name": ""}, "name", "labels of 1 to 63"),
        (HTTP, {"dns": dns(A)}, "dns", "type HTTP"),
        (PRIVATE, {"dns": dns()}, "dns.records", "A, AAAA, A with AAAA, SRV or CNAME"),
        (PRIVATE, {"dns": dns(A, A)}, "dns.records", "A with AAAA"),
        (PRIVATE, {"dns": dns(A, SRV)}, "dns.records", "A with AAAA"),
        (PRIVATE, {"dns": dns(CNAMES)}, "dns.routingPolicy", "Weighted with CNAME"),
        (PRIVATE, {"dns": dns(A, ttl=-1)}, "dns.records.ttlSeconds", "0 to 2,147,483,647"),
        (PRIVATE, {"dns": dns(A, ttl=2**31)}, "dns.records.ttlSeconds", "0 to 2,147,483,647"),
        (PRIVATE, {"health_check": ROUTE53, "route53": PROBE}, "healthCheck.type", "which it cannot reach"),
        (
            PUBLIC,
            {"health_check": ROUTE53, "route53": PROBE, "dns": dns(CNAMES, routing=WEIGHTED)},
            "healthCheck.type",
            "with a CNAME record",
        ),
        (PUBLIC, {"health_check": ROUTE53}, "healthCheck.route53", "with type Route53"),
        (PUBLIC, {"health_check": CUSTOM, "route53": PROBE}, "healthCheck.route53", "with type Route53"),
        (
            PUBLIC,
            {"health_check": ROUTE53, "route53": Route53Check("UDP")},
            "healthCheck.route53.type",
            "HTTP, HTTPS, TCP",
        ),
        (
            HTTP,
            {"health_check": ROUTE53, "route53": Route53Check("TCP", "/")},
            "healthCheck.route53.resourcePath",
            "none with type TCP",
        ),
        (
            HTTP,
            {"health_check": ROUTE53, "route53": Route53Check("HTTP", "/" * 256)},
            "healthCheck.route53.resourcePath",
            "at most 255",
        ),
        (
            HTTP,
            {"health_check": ROUTE53, "route53": Route53Check("HTTP", "/", 11)},
            "healthCheck.route53.failureThreshold",
            "1 to 10",
        ),
        (HTTP, {"description": "d" * 1025}, "description", "at most 1,024"),
        (HTTP, {"tags": {"aws:x": ""}}, "tags", "do not begin with aws:"),
    ],
)
def test_a_service_that_is_never_taken_is_told_which_field_and_rule(
    parent: NamespaceType, overrides: dict[str, Any], field: str, rule: str
) -> None:
    above = namespace(parent)
    spec = replace(service(above), **{key: value for key, value in overrides.items() if key != "name"})
    if "name" in overrides:
        spec = replace(spec, ref=ServiceRef(above.ref, overrides["name"]))
    with pytest.raises(Refused) as caught:
        check_service(spec, above)
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_a_name_and_its_namespace_make_one_domain_name_together() -> None:
    above = namespace(PRIVATE, ".".join(["a" * 60] * 4))
    check_service(service(above, "b" * 9, dns=dns(A)), above)
    with pytest.raises(Refused, match="at most 253 characters together"):
        check_service(service(above, "b" * 10, dns=dns(A)), above)
    check_service(service(above, "b" * 10), above)  # found by API only


def test_a_name_that_differs_in_case_only_is_another_ones() -> None:
    above = namespace(PRIVATE)
    assert "the same name in DNS" in conflict(service(above, "Web"), service(above, "web"), own=False)
    assert conflict(service(above, "web"), service(above, "web"), own=True) == ""


IP = {IPV4: "10.0.0.1"}


@pytest.mark.parametrize(
    ("name", "attributes", "field", "rule"),
    [
        ("a b", IP, "id", "1 to 64 of A-Z"),
        ("a" * 65, IP, "id", "1 to 64"),
        ("a", {**IP, "a b": ""}, "attributes", "without blanks"),
        ("a", {**IP, "k" * 256: ""}, "attributes", "1 to 255"),
        ("a", {**IP, "k": "v" * 1025}, "attributes.k", "at most 1,024"),
        ("a", {**IP, "k": " v"}, "attributes.k", "not beginning with a blank"),
        ("a", {**IP, **{f"k{n}": "" for n in range(31)}}, "attributes", "at most 30 attributes"),
        ("a", {**IP, **{f"k{n}": "v" * 1000 for n in range(5)}}, "attributes", "at most 5,000 characters"),
        ("a", {IPV4: "::1"}, f"attributes.{IPV4}", "an IPv4 address"),
        ("a", {IPV4: "10.0.0.256"}, f"attributes.{IPV4}", "an IPv4 address"),
        ("a", {IPV6: "10.0.0.1"}, f"attributes.{IPV6}", "an IPv6 address"),
        ("a", {IPV6: "fe80::1%eth0"}, f"attributes.{IPV6}", "an IPv6 address"),
        ("a", {**IP, PORT: "0"}, f"attributes.{PORT}", "1 to 65,535"),
        ("a", {**IP, PORT: "65536"}, f"attributes.{PORT}", "1 to 65,535"),
        ("a", {**IP, PORT: "http"}, f"attributes.{PORT}", "1 to 65,535"),
        ("a", {**IP, INIT_HEALTH: "UNKNOWN"}, f"attributes.{INIT_HEALTH}", "HEALTHY or UNHEALTHY"),
        ("a", {**IP, EC2: "i-0"}, f"attributes.{EC2}", f"nothing beside it but {INIT_HEALTH}"),
        ("a", {EC2: "i-0", "stage": "dev"}, f"attributes.{EC2}", "nothing beside it"),
        ("a", {**IP, ALIAS: "lb.example.com"}, f"attributes.{ALIAS}", "no AWS_INSTANCE_* beside it"),
    ],
)
def test_an_instance_that_is_never_taken_is_told_which_field_and_rule(
    name: str, attributes: Mapping[str, str], field: str, rule: str
) -> None:
    with pytest.raises(Refused) as caught:
        check_instance(Instance(InstanceId(name), attributes))
    assert caught.value.field == field
    assert rule in caught.value.rule


@pytest.mark.parametrize(
    ("kind", "spec", "name", "attributes", "told"),
    [
        (PRIVATE, {"dns": dns(A)}, "a", {IPV6: "2001:db8::1"}, (f"attributes.{IPV4}", f"{IPV4}, for the A records")),
        (PRIVATE, {"dns": dns(A, AAAA)}, "a", IP, (f"attributes.{IPV6}", f"{IPV6}, for the AAAA records")),
        (PRIVATE, {"dns": dns(SRV)}, "a", IP, (f"attributes.{PORT}", f"{PORT}, for the SRV records")),
        (PRIVATE, {"dns": dns(SRV)}, "a", {PORT: "80"}, (f"attributes.{IPV4}", f"{IPV4} or {IPV6}")),
        (PRIVATE, {"dns": dns(SRV)}, "a" * 64, {**IP, PORT: "80"}, ("id", "labels of 1 to 63")),
        (PRIVATE, {"dns": dns(CNAMES, routing=WEIGHTED)}, "a", IP, (f"attributes.{CNAME}", f"{CNAME}, for the CNAME")),
        (PRIVATE, {"dns": dns(A)}, "a", {ALIAS: "lb"}, (f"attributes.{ALIAS}", "weighted routing only")),
        (PRIVATE, {}, "a", {EC2: "i-0"}, (f"attributes.{EC2}", "in namespaces of type HTTP only")),
        (
            PUBLIC,
            {"dns": dns(A), "health_check": ROUTE53, "route53": PROBE},
            "a",
            IP,
            (f"attributes.{PORT}", f"{PORT}, for the health check"),
        ),
        (HTTP, {}, "a", {**IP, INIT_HEALTH: "HEALTHY"}, (f"attributes.{INIT_HEALTH}", "no custom health check")),
    ],
)
def test_an_instance_that_its_service_does_not_take_is_told_which_field_and_rule(
    kind: NamespaceType, spec: dict[str, Any], name: str, attributes: Mapping[str, str], told: tuple[str, str]
) -> None:
    field, rule = told
    instance = Instance(InstanceId(name), attributes)
    check_instance(instance)
    with pytest.raises(Refused) as caught:
        check_in_service(instance, service(namespace(kind), **spec), kind)
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_ec2_instances_stand_alone_in_http_namespaces() -> None:
    instance = Instance(InstanceId("a"), {EC2: "i-0123", INIT_HEALTH: "UNHEALTHY"})
    check_instance(instance)
    check_in_service(instance, service(namespace(), health_check=CUSTOM), HTTP)


def test_the_token_of_any_creator_fits() -> None:
    for creator in ("", "a", "a" * 64, "a" * 65, "ä" * 200):
        validated("CreateHttpNamespace", {"Name": "x", "CreatorRequestId": shapes.token(creator)})


# Whatever is drawn: what our checks let through, a strict registry takes.

WORDS = st.text(string.ascii_letters + string.digits + "-_.", max_size=8)
ODD = st.sampled_from(["", "arn:x", "a.b", "A", "-", "a" * 63, "a" * 64, "a" * 127, "a" * 128, "x y", "ä", "..", "a/b"])
TTLS = st.sampled_from([-1, 0, 60, 2**31 - 1, 2**31])
TEXTS = st.sampled_from(["", "text", "d" * 1024, "d" * 1025, "ä"])
TAGS = st.dictionaries(
    st.sampled_from(["a", "aws:a", "k" * 128, "k" * 129, ""]), st.sampled_from(["", "v" * 257]), max_size=2
)
KEYS = st.sampled_from([IPV4, IPV6, PORT, CNAME, ALIAS, INIT_HEALTH, "stage", "k" * 256, "a b", "AWS_x"]) | WORDS
VALUES = st.sampled_from(
    [
        "10.0.0.1",
        "::1",
        "fe80::1%1",
        "80",
        "0",
        "65536",
        "080",
        "HEALTHY",
        "UNKNOWN",
        " x",
        "v" * 1024,
        "v" * 1025,
        "é",
        "",
    ]
)


@st.composite
def namespaces(draw: st.DrawFn) -> NamespaceSpec:
    kind = draw(st.sampled_from(NamespaceType))
    name = draw(WORDS | ODD | st.just(NAMES[kind]) | st.just("a" * 60 + ("." + "b" * 60) * 3))
    soa = draw(st.none() | TTLS)
    vpc = draw(st.sampled_from(["vpc-1", "v" * 65])) if kind is PRIVATE else draw(st.sampled_from(["", "vpc-1"]))
    spec = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, name), kind, draw(TEXTS), vpc, soa, draw(TAGS))
    return spec if draw(st.booleans()) else namespace(kind)


@st.composite
def services(draw: st.DrawFn, parent: NamespaceSpec) -> ServiceSpec:
    types = draw(st.lists(st.sampled_from(RecordType), max_size=3))
    records = tuple(DnsRecord(each, draw(st.just(60) | TTLS)) for each in types)
    settings_ = draw(st.none() | st.just(DnsSettings(records, draw(st.sampled_from(RoutingPolicy)))))
    check = draw(st.sampled_from(HealthCheckType))
    probe = Route53Check(draw(st.sampled_from(["HTTP", "TCP"])), draw(st.sampled_from(["", "/"])), 3)
    if draw(st.booleans()):
        return service(
            parent, "web", health_check=draw(st.sampled_from([HealthCheckType.NONE, HealthCheckType.CUSTOM]))
        )
    return service(
        parent,
        draw(st.just("web") | WORDS | ODD),
        dns=settings_,
        health_check=check,
        route53=probe if check is ROUTE53 else None,
        description=draw(TEXTS),
        tags=draw(TAGS),
    )


@st.composite
def instances(draw: st.DrawFn, spec: ServiceSpec) -> Instance:
    attributes = draw(st.dictionaries(KEYS, VALUES, max_size=3))
    for key, value in ((IPV4, "10.0.0.1"), (IPV6, "2001:db8::1"), (PORT, "80"), (CNAME, "a.example.com")):
        if draw(st.booleans()):
            attributes[key] = value
    name = draw(st.just("web-1") | WORDS | ODD)
    usual = Instance(InstanceId("web-1"), {IPV4: "10.0.0.1", IPV6: "2001:db8::1", PORT: "80"})
    return Instance(InstanceId(name), attributes) if draw(st.booleans()) else usual


class Strict:
    """An embedded registry, asked as its wire asks it, for as long as a module runs."""

    def __init__(self, folder: Path) -> None:
        self.calls = Counter[str]()
        self._runner = asyncio.Runner()
        self._opened = embedded.open_registry({"data": folder}, DEFAULT_REGISTRY, SystemClock())
        self._truth: EmbeddedRegistry = self._runner.run(self._opened.__aenter__())

    def close(self) -> None:
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()

    def execute(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        """Answer, once its operation has ended. Raises CloudMapError."""
        self.calls[operation] += 1
        return self._runner.run(self._execute(operation, request))

    async def _execute(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        answer = dict(await self._truth.execute(operation, validated(operation, request), "us-east-1"))
        while "OperationId" in answer:
            looked = await self._truth.execute("GetOperation", {"OperationId": answer["OperationId"]}, "us-east-1")
            found: dict[str, Any] = looked["Operation"]
            if found["Status"] in {"SUCCESS", "FAIL"}:
                assert found["Status"] == "SUCCESS", found
                return found
            await asyncio.sleep(0.001)
        return answer


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    strict = Strict(tmp_path_factory.mktemp("strict"))
    yield strict
    strict.close()


def test_what_our_checks_let_through_a_strict_registry_takes(strict: Strict) -> None:
    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(data=st.data())
    def try_one(data: st.DataObject) -> None:
        _try_one(strict, data)

    try_one()
    # What is drawn is neither all refused by us, nor all taken.
    assert strict.calls["CreateService"] > 20
    assert strict.calls["RegisterInstance"] > 20


def _try_one(strict: Strict, data: st.DataObject) -> None:
    above = data.draw(namespaces())
    spec = data.draw(services(above))
    members = data.draw(st.lists(instances(spec), max_size=6))
    try:
        check_namespace(above)
    except Refused:
        return
    operation, request = shapes.create_namespace(above, "creator")
    made = strict.execute(operation, request)
    namespace_id = made["Targets"]["NAMESPACE"]
    try:
        check_service(spec, above)
        request = shapes.create_service(spec, namespace_id, "creator")
        validated("CreateService", request)
        _live(strict, above, spec, members, request)
    except Refused:
        pass
    finally:
        strict.execute("DeleteNamespace", {"Id": namespace_id})


def _live(
    strict: Strict,
    above: NamespaceSpec,
    spec: ServiceSpec,
    members: Sequence[Instance],
    request: Mapping[str, object],
) -> None:
    service_id = strict.execute("CreateService", request)["Service"]["Id"]
    try:
        for instance in members:
            try:
                check_instance(instance)
                check_in_service(instance, spec, above.type)
            except Refused:
                continue
            if spec.route53 is not None and not {IPV4, IPV6} & instance.attributes.keys():
                continue  # Route 53 would resolve a name, which the strict registry never does.
            change = {"ServiceId": service_id, "InstanceId": instance.id}
            strict.execute("RegisterInstance", {**change, "Attributes": dict(instance.attributes)})
            strict.execute("DeregisterInstance", change)
    finally:
        strict.execute("DeleteService", {"Id": service_id})


def test_the_strict_registry_refuses_what_it_must(strict: Strict) -> None:
    with pytest.raises(CloudMapError):
        strict.execute("CreateHttpNamespace", {"Name": "arn:x"})
