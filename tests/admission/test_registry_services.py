"""Each rule of RegistryService refuses with its words; what is right is admitted."""

from collections.abc import Mapping
from typing import Any

import pytest

REF: Mapping[str, Any] = {"namespaceRef": {"name": "test-namespace"}}
POLICIES = {
    "creationPolicy": "CreateOrAdopt",
    "deletionPolicy": "Retain",
    "deletionTimeoutSeconds": 600,
    "notReadyPolicy": "Deregister",
}
SETS = "records may be A, AAAA, A with AAAA, SRV alone, or CNAME alone"


def _dns(*types: str, **fields: object) -> dict[str, object]:
    records = [{"type": one, "ttlSeconds": 10} for one in types]
    return {**REF, "dns": {"records": records, "routingPolicy": "Multivalue", **fields}}


def _check(kind: str, **route53: object) -> dict[str, object]:
    return {**REF, "healthCheck": {"type": kind, **({"route53": route53} if route53 else {})}}


def _selector(**fields: object) -> dict[str, object]:
    return {**REF, "selector": fields}


def _requires(operator: str, *values: str) -> dict[str, object]:
    one = {"key": "stage", "operator": operator, **({"values": list(values)} if values else {})}
    return _selector(matchExpressions=[one])


LONG_PREFIX = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
"""A DNS name of 253 characters."""
LABEL_VALUE = "should match '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$'"
LABEL_KEY = (
    "the key of a label is a name of at most 63 letters, digits, hyphens, underscores and dots, alone or after a DNS "
    "name of at most 253 characters and a slash"
)

WEB: Mapping[str, Any] = _selector(matchLabels={"app": "web"})

GOOD = {
    "the least": REF,
    "a name with dots and an underscore": {**REF, "name": "_http._tcp.Flask-App", "description": "for tests"},
    "policies": {**REF, "creationPolicy": "Create", "deletionPolicy": "Delete", "deletionTimeoutSeconds": 60},
    "tags": {**REF, "tags": {"team": "web", "kubernetes.io/x": ""}},
    "A": _dns("A"),
    "AAAA": _dns("AAAA", routingPolicy="Weighted"),
    "A and AAAA": _dns("A", "AAAA"),
    "SRV": _dns("SRV"),
    "CNAME": _dns("CNAME", routingPolicy="Weighted"),
    "CNAME with a custom check": {**_dns("CNAME", routingPolicy="Weighted"), **_check("Custom")},
    "no check": _check("None"),
    "a Route 53 check": _check("Route53", type="HTTP", resourcePath="/healthz", failureThreshold=10),
    "a Route 53 check of TCP": _check("Route53", type="TCP", failureThreshold=1),
    "a selector by labels": WEB,
    "a selector by In": _requires("In", "dev", "test"),
    "a selector by 100 values": _requires("In", *(f"v{n}" for n in range(100))),
    "a selector by NotIn": _requires("NotIn", "dev"),
    "a selector by Exists": _requires("Exists"),
    "a selector by DoesNotExist": _requires("DoesNotExist"),
    "labels as Kubernetes has them": _selector(
        matchLabels={"app.kubernetes.io/name": "Web_1.0-x", LONG_PREFIX + "/" + "n" * 63: "v" * 63, "x": ""},
        matchExpressions=[
            {"key": LONG_PREFIX + "/" + "n" * 63, "operator": "NotIn", "values": ["", "9", "A.b_c-d"]},
            {"key": "7", "operator": "Exists"},
        ],
    ),
    "a selector with a port by name": {**WEB, "port": "web:http"},
    "a selector with a port by number": {**WEB, "port": 8080},
    "a Service": {**REF, "serviceRef": {"name": "web"}},
    "a Service with a port": {**REF, "serviceRef": {"name": "web"}, "port": "http"},
    "attributes, and more from labels": {
        **REF,
        "attributes": {"stage": "dev", "node": "$(spec.nodeName)"},
        "attributesFromLabels": {"version": "app.kubernetes.io/version"},
    },
    "as many attributes as there may be": {**REF, "attributes": {f"k{n}": "v" for n in range(30)}},
    "pods that are not ready are marked": {**WEB, **_check("Custom"), "notReadyPolicy": "MarkUnhealthy"},
    "pods that are not ready go": {**WEB, "notReadyPolicy": "Deregister"},
}

NAME = "must be letters, digits, hyphens and underscores, in labels of at most 63 characters joined by dots"
UNION = "route53 is required with type Route53 and not allowed with None and Custom"

MARKED = "notReadyPolicy MarkUnhealthy needs healthCheck type Custom; elsewhere nobody can be told"
EVERY_POD = "an empty selector would match every pod of the Kubernetes namespace; select by a label"
PORT = "port must be a port's name, its number from 1 to 65535, or container:port"
RESERVED = "keys that begin with AWS_, ECS_ or KUBE_, and AVAILABILITY_ZONE and REGION, are set by kube-registrar"
KEY = "the key of an attribute must have 1 to 255 characters, and no comma"
VALUES = "values are required with In and NotIn, and not allowed with Exists and DoesNotExist"

BAD = {
    "a tag of ours": ({**REF, "tags": {"kube-registrar/owner": "me"}}, "must not begin with aws: or kube-registrar"),
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
    "a selector and a Service": (
        {**WEB, "serviceRef": {"name": "web"}},
        "selector and serviceRef exclude each other; for both, create two RegistryServices",
    ),
    "a port alone": (
        {**REF, "port": "http"},
        "port belongs to selector or serviceRef; without them the pods' own annotations say which port",
    ),
    "a port that is no text or number": ({**WEB, "port": {}}, "spec.port: Invalid value"),
    "port 0": ({**WEB, "port": 0}, PORT),
    "a port beyond 16 bits": ({**WEB, "port": 65_536}, PORT),
    "a port's name in capitals": ({**WEB, "port": "HTTP"}, PORT),
    "a port of no container": ({**WEB, "port": ":80"}, PORT),
    "a port's name of 80": ({**WEB, "port": "a" * 80}, "may not be more than 79"),
    "a reserved attribute": (
        {**REF, "attributes": {"stage": "dev", "KUBE_POD": "me"}},
        f"spec.attributes of this object sets 'KUBE_POD': {RESERVED}. Choose another key",
    ),
    "a reserved attribute from a label": (
        {**REF, "attributesFromLabels": {"REGION": "region"}},
        f"spec.attributesFromLabels of this object sets 'REGION': {RESERVED}. Choose another key",
    ),
    "a reserved attribute that cannot be shown": ({**REF, "attributes": {"KUBE_\u00fc": "me"}}, RESERVED),
    "an attribute without a key": ({**REF, "attributes": {"": "x"}}, KEY),
    "an attribute's key of 256": ({**REF, "attributes": {"k" * 256: "x"}}, KEY),
    "a comma in an attribute's key": ({**REF, "attributes": {"a,b": "x"}}, KEY),
    "marked without a check": ({**WEB, "notReadyPolicy": "MarkUnhealthy"}, MARKED),
    "marked with nobody's check": ({**WEB, **_check("None"), "notReadyPolicy": "MarkUnhealthy"}, MARKED),
    "marked where Route 53 checks": (
        {**WEB, **_check("Route53", type="TCP"), "notReadyPolicy": "MarkUnhealthy"},
        MARKED,
    ),
    "another policy": ({**WEB, "notReadyPolicy": "Ignore"}, 'supported values: "Deregister", "MarkUnhealthy"'),
    "an empty selector": (_selector(), EVERY_POD),
    "a selector of empty parts": (_selector(matchLabels={}, matchExpressions=[]), EVERY_POD),
    "In without values": (_requires("In"), VALUES),
    "NotIn without values": (_requires("NotIn"), VALUES),
    "Exists with values": (_requires("Exists", "dev"), VALUES),
    "DoesNotExist with values": (_requires("DoesNotExist", "dev"), VALUES),
    "an unknown operator": (_requires("Gt", "1"), 'supported values: "In", "NotIn", "Exists", "DoesNotExist"'),
    "a requirement without a key": (_selector(matchExpressions=[{"operator": "Exists"}]), "key: Required value"),
    "a label's value of 64": (_selector(matchLabels={"app": "a" * 64}), "may not be more than 63 bytes"),
    "a label's value with a blank": (_selector(matchLabels={"app": "not a label!"}), LABEL_VALUE),
    "a label's value of two": (_selector(matchLabels={"app": "a,b"}), LABEL_VALUE),
    "a label's value that ends with a dot": (_selector(matchLabels={"app": "web."}), LABEL_VALUE),
    "a label's key with a blank": (_selector(matchLabels={"a b": "web"}), LABEL_KEY),
    "a label's key that ends": (_selector(matchLabels={"app-": "web"}), LABEL_KEY),
    "a label's key of two slashes": (_selector(matchLabels={"a/b/c": "web"}), LABEL_KEY),
    "a label's key with a prefix in capitals": (_selector(matchLabels={"Example.com/app": "web"}), LABEL_KEY),
    "a label's name of 64": (_selector(matchLabels={"example.com/" + "a" * 64: "web"}), LABEL_KEY),
    "a label's prefix of 254": (_selector(matchLabels={LONG_PREFIX + "a/b": "web"}), LABEL_KEY),
    "an empty key": (_selector(matchLabels={"": "web"}), LABEL_KEY),
    "a requirement's value with a blank": (_requires("In", "dev", "not a label!"), LABEL_VALUE),
    "a requirement's key with a blank": (_selector(matchExpressions=[{"key": "a b", "operator": "Exists"}]), LABEL_KEY),
    "a requirement's prefix of 254": (
        _selector(matchExpressions=[{"key": LONG_PREFIX + "a/b", "operator": "Exists"}]),
        LABEL_KEY,
    ),
    "a Service of two names": (
        {**REF, "serviceRef": {"name": "a,b"}},
        "spec.serviceRef.name in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'",
    ),
    "too many labels": (
        _selector(matchLabels={f"k{n}": "" for n in range(65)}),
        "spec.selector.matchLabels: Too many: 65: must have at most 64 items",
    ),
    "too many values": (_requires("In", *(f"v{n}" for n in range(101))), "must have at most 100 items"),
    "a Service without a name": ({**REF, "serviceRef": {}}, "spec.serviceRef.name: Required value"),
    "a Service's name of 64": ({**REF, "serviceRef": {"name": "a" * 64}}, "may not be more than 63 bytes"),
    "a key in both": (
        {**REF, "attributes": {"stage": "dev"}, "attributesFromLabels": {"stage": "stage"}},
        "a key stands in attributes or in attributesFromLabels, not in both",
    ),
    "31 attributes": (
        {**REF, "attributes": {f"k{n}": "v" for n in range(31)}},
        "spec.attributes: Too many: 31: must have at most 30 items",
    ),
    "a value of 1,025": ({**REF, "attributes": {"note": "a" * 1025}}, "may not be more than 1024 bytes"),
    "31 attributes from labels": (
        {**REF, "attributesFromLabels": {f"k{n}": "v" for n in range(31)}},
        "spec.attributesFromLabels: Too many: 31: must have at most 30 items",
    ),
    "no label": ({**REF, "attributesFromLabels": {"stage": ""}}, "should be at least 1 chars long"),
    "a label's key of 318": ({**REF, "attributesFromLabels": {"stage": "a" * 318}}, "may not be more than 317 bytes"),
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


def test_who_asks_and_for_what_may_change(services: Any) -> None:
    before = {
        **WEB,
        **_check("Custom"),
        "port": 8080,
        "attributes": {"stage": "dev"},
        "notReadyPolicy": "MarkUnhealthy",
    }
    patch = {
        "selector": None,
        "serviceRef": {"name": "web"},
        "port": "http",
        "attributes": None,
        "attributesFromLabels": {"stage": "stage"},
        "notReadyPolicy": "Deregister",
    }
    spec = services.changed(before, patch)["spec"]
    kept = {key: value for key, value in patch.items() if value is not None}
    assert spec == {**REF, **POLICIES, **_check("Custom"), **kept}


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
