"""Each rule of RegistryService refuses with its words; what is right is admitted."""

from collections.abc import Mapping
from typing import Any

import pytest

REF: Mapping[str, Any] = {"namespaceRef": {"name": "test-namespace"}}
POLICIES = {"creationPolicy": "CreateOrAdopt", "deletionPolicy": "Retain"}
SETS = "records may be A, AAAA, A with AAAA, SRV alone, or CNAME alone"


def _dns(*types: str, **fields: object) -> dict[str, object]:
    records = [{"type": one, "ttlSeconds": 10} for one in types]
    return {**REF, "dns": {"records": records, "routingPolicy": "Multivalue", **fields}}


def _check(kind: str, **route53: object) -> dict[str, object]:
    return {**REF, "healthCheck": {"type": kind, **({"route53": route53} if route53 else {})}}


GOOD = {
    "the least": REF,
    "a name with dots and an underscore": {**REF, "name": "_http._tcp.Flask-App", "description": "for tests"},
    "policies": {**REF, "creationPolicy": "Create", "deletionPolicy": "Delete"},
    "A": _dns("A"),
    "AAAA": _dns("AAAA", routingPolicy="Weighted"),
    "A and AAAA": _dns("A", "AAAA"),
    "SRV": _dns("SRV"),
    "CNAME": _dns("CNAME", routingPolicy="Weighted"),
    "CNAME with a custom check": {**_dns("CNAME", routingPolicy="Weighted"), **_check("Custom")},
    "no check": _check("None"),
    "a Route 53 check": _check("Route53", type="HTTP", resourcePath="/healthz", failureThreshold=10),
    "a Route 53 check of TCP": _check("Route53", type="TCP", failureThreshold=1),
}

NAME = "must be letters, digits, hyphens and underscores, in labels of at most 63 characters joined by dots"
UNION = "route53 is required with type Route53 and not allowed with None and Custom"

BAD = {
    "no namespaceRef": ({"name": "a"}, "spec.namespaceRef: Required value"),
    "an empty namespaceRef": ({"namespaceRef": {"name": ""}}, "spec.namespaceRef.name"),
    "a slash in the name": ({**REF, "name": "a/b"}, NAME),
    "a hyphen at the end": ({**REF, "name": "a-"}, NAME),
    "an ARN for a name": ({**REF, "name": "arn:aws:servicediscovery:x"}, NAME),
    "a label of 64": ({**REF, "name": "a" * 64}, NAME),
    "a name of 128": ({**REF, "name": ".".join(["a" * 63, "b" * 62, "c"]) + "d"}, "may not be more than 127 bytes"),
    "no records": (_dns(), "should have at least 1 items"),
    "SRV and A": (_dns("SRV", "A"), SETS),
    "A, AAAA and SRV": (_dns("A", "AAAA", "SRV"), SETS),
    "CNAME and A": (_dns("CNAME", "A", routingPolicy="Weighted"), SETS),
    "CNAME, multivalue": (_dns("CNAME"), "a CNAME record needs routingPolicy Weighted"),
    "A twice": (_dns("A", "A"), "Duplicate value"),
    "MX": (_dns("MX"), 'supported values: "A", "AAAA", "SRV", "CNAME"'),
    "a TTL beyond 31 bits": (
        {**REF, "dns": {"records": [{"type": "A", "ttlSeconds": 2**31}]}},
        "should be less than or equal to 2147483647",
    ),
    "Route53 without route53": (_check("Route53"), UNION),
    "Custom with route53": (_check("Custom", type="HTTP"), UNION),
    "a Route 53 check of a CNAME": (
        {**_dns("CNAME", routingPolicy="Weighted"), **_check("Route53", type="HTTP")},
        "a Route53 health check is not allowed with a CNAME record; use Custom or None",
    ),
    "a path for TCP": (
        _check("Route53", type="TCP", resourcePath="/"),
        "resourcePath is allowed with the types HTTP and HTTPS only",
    ),
    "a threshold of 11": (_check("Route53", type="TCP", failureThreshold=11), "should be less than or equal to 10"),
}

OTHER = "create another RegistryService"
IMMUTABLE = {
    "namespaceRef": (REF, {"namespaceRef": {"name": "b"}}, f"namespaceRef is immutable; to move, {OTHER}"),
    "name": (REF, {"name": "b"}, f"name is immutable; for another name, {OTHER}"),
    "dns added": (REF, {"dns": _dns("A")["dns"]}, f"dns can be neither added nor removed; {OTHER}"),
    "dns removed": (_dns("A"), {"dns": None}, f"dns can be neither added nor removed; {OTHER}"),
    "record types": (
        _dns("A"),
        {"dns": _dns("SRV")["dns"]},
        f"the types of records are immutable (ttlSeconds is not); for others, {OTHER}",
    ),
    "a record more": (
        _dns("A"),
        {"dns": _dns("A", "AAAA")["dns"]},
        f"the types of records are immutable (ttlSeconds is not); for others, {OTHER}",
    ),
    "routing": (
        _dns("A"),
        {"dns": {"routingPolicy": "Weighted"}},
        f"routingPolicy is immutable; for another, {OTHER}",
    ),
    "custom check removed": (
        _check("Custom"),
        {"healthCheck": None},
        f"a Custom health check can be neither added nor removed; {OTHER}",
    ),
    "custom check added": (
        REF,
        {"healthCheck": {"type": "Custom"}},
        f"a Custom health check can be neither added nor removed; {OTHER}",
    ),
}


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_admitted(services: Any, spec: Mapping[str, Any]) -> None:
    assert services.admitted(spec)["spec"] == {**POLICIES, **spec}


@pytest.mark.parametrize(("spec", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_refused_in_plain_words(services: Any, spec: Mapping[str, Any], words: str) -> None:
    assert words in services.refusal(spec)


def test_a_service_without_a_name_takes_the_objects_which_must_be_one_of_a_service(services: Any) -> None:
    assert NAME in services.refusal(REF, "a" * 64)
    assert services.admitted({**REF, "name": "short"}, "a" * 64)["spec"]["name"] == "short"


@pytest.mark.parametrize(("before", "patch", "words"), IMMUTABLE.values(), ids=IMMUTABLE.keys())
def test_what_the_registry_cannot_change_is_immutable(
    services: Any, before: Mapping[str, Any], patch: Mapping[str, Any], words: str
) -> None:
    assert words in services.refused_change(before, patch)


def test_what_can_change_may_change(services: Any) -> None:
    before = {**_dns("A", "AAAA"), **_check("Route53", type="HTTP", failureThreshold=1)}
    records = [{"type": "AAAA", "ttlSeconds": 5}, {"type": "A", "ttlSeconds": 7}]
    patch = {"description": "new", "healthCheck": None, "dns": {"records": records}}
    spec = services.changed(before, patch)["spec"]
    assert spec == {
        **REF,
        **POLICIES,
        "description": "new",
        "dns": {"records": records, "routingPolicy": "Multivalue"},
    }


def test_defaults_are_filled_in(services: Any) -> None:
    spec = services.admitted({**REF, "dns": {"records": [{"type": "A"}]}, **_check("Route53", type="TCP")})["spec"]
    assert spec["dns"] == {"records": [{"type": "A", "ttlSeconds": 60}], "routingPolicy": "Multivalue"}
    assert spec["healthCheck"]["route53"] == {"type": "TCP", "failureThreshold": 1}


def test_kubectl_shows_the_state_and_knows_the_short_name(services: Any, kube_namespace: str) -> None:
    plane = services.plane
    plane.api.post(services.collection, services.thing(REF, "flask-app"))
    status = {"id": "srv-1", "registry": "edge", "instances": {"wanted": 4, "registered": 3, "held": 0}}
    plane.api.patch(f"{services.collection}/flask-app/status", {"status": status})
    header, row = plane.kubectl("get", "regsvc", f"--namespace={kube_namespace}").splitlines()
    assert header.split() == ["NAME", "READY", "SYNCED", "REGISTRY", "ID", "INSTANCES", "AGE"]
    assert row.split()[:4] == ["flask-app", "edge", "srv-1", "3"]  # no conditions: two blank columns


def test_kubectl_explains_every_field(services: Any) -> None:
    told = services.plane.kubectl("explain", "registryservice.spec.dns.records")
    assert "A, AAAA, A with AAAA, SRV alone, or CNAME alone." in told
