"""Each rule of RegistryNamespace refuses with its words; what is right is admitted."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

ALL: Mapping[str, Any] = {"allowedNamespaces": {"from": "All"}}
HTTP = {"type": "HTTP", **ALL}
PRIVATE = {"type": "DNSPrivate", "vpcID": "vpc-123", **ALL}
PUBLIC = {"type": "DNSPublic", "name": "example.com", **ALL}


def _allowed(**fields: object) -> dict[str, object]:
    return {"type": "HTTP", "allowedNamespaces": fields}


def _selector(**fields: object) -> dict[str, object]:
    return _allowed(**{"from": "Selector", "selector": fields})


DEFAULTS = {"creationPolicy": "CreateOrAdopt", "deletionPolicy": "Retain", "deletionTimeoutSeconds": 600}

ARN = "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-0123456789abcdef"

GOOD = {
    "the least": HTTP,
    "private": {**PRIVATE, "name": "test-namespace", "soaTTLSeconds": 15},
    "public": {**PUBLIC, "soaTTLSeconds": 0},
    "an HTTP name with slashes and colons": {**HTTP, "name": "a:b/c"},
    "a registry, tags and policies": {
        **HTTP,
        "registry": "edge-2",
        "tags": {"team": "web"},
        "description": "for tests",
        "creationPolicy": "Adopt",
        "deletionPolicy": "Delete",
    },
    "an ARN": {**HTTP, "arn": ARN, "creationPolicy": "Adopt", "deletionTimeoutSeconds": 0},
    "an ARN of a private one, whose VPC nobody here knows": {"type": "DNSPrivate", **ALL, "arn": ARN},
    "machines and external names": {**HTTP, "allowEndpointsWithoutPods": True},
    "no machines": {**HTTP, "allowEndpointsWithoutPods": False},
    "nobody": _allowed(**{"from": "None"}),
    "labels": _selector(matchLabels={"kubernetes.io/metadata.name": "default"}),
    "64 labels": _selector(matchLabels={f"k{n}": "" for n in range(64)}),
    "expressions": _selector(
        matchExpressions=[
            {"key": "stage", "operator": "In", "values": ["dev", "test"]},
            {"key": "team", "operator": "Exists"},
        ]
    ),
}

BAD = {
    "no allowedNamespaces": ({"type": "HTTP"}, "spec.allowedNamespaces: Required value"),
    "no type": (ALL, "spec.type: Required value"),
    "an unknown type": ({**ALL, "type": "Http"}, 'supported values: "HTTP", "DNSPrivate", "DNSPublic"'),
    "private without a VPC": (
        {"type": "DNSPrivate", **ALL},
        "vpcID is required with type DNSPrivate and not allowed with HTTP and DNSPublic",
    ),
    "a VPC for HTTP": (
        {**HTTP, "vpcID": "vpc-1"},
        "vpcID is required with type DNSPrivate and not allowed with HTTP and DNSPublic",
    ),
    "a blank VPC": ({**PRIVATE, "vpcID": ""}, "vpcID must be the id of a VPC, such as vpc-0123456789abcdef0"),
    "an SOA TTL for HTTP": (
        {**HTTP, "soaTTLSeconds": 15},
        "soaTTLSeconds is allowed with the types DNSPrivate and DNSPublic only",
    ),
    "a negative TTL": ({**PRIVATE, "soaTTLSeconds": -1}, "should be greater than or equal to 0"),
    "an ARN for a name": (
        {**HTTP, "name": "arn:aws:servicediscovery:eu-west-1:000000000000:namespace/ns-1"},
        "name must not begin with arn:, which begins the ARN of a resource; write its name",
    ),
    "a blank in a name": ({**HTTP, "name": "a b"}, "name must be 1 to 1024 visible ASCII characters"),
    "an empty name": ({**HTTP, "name": ""}, "name must be 1 to 1024 visible ASCII characters"),
    "a name of 1,025": ({**HTTP, "name": "a" * 1025}, "may not be more than 1024 bytes"),
    "a private name of 254": (
        {**PRIVATE, "name": "a" * 254},
        "the name of a DNSPrivate namespace must have at most 253 characters",
    ),
    "a public name of one label": (
        {**PUBLIC, "name": "example"},
        "must be a domain name of two labels or more, such as example.com",
    ),
    "a registry in capitals": (
        {**HTTP, "registry": "Edge"},
        "registry must be lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
    ),
    "All with a selector": (
        _allowed(**{"from": "All", "selector": {"matchLabels": {"a": "b"}}}),
        "selector is required with from: Selector and not allowed with All and None",
    ),
    "Selector without one": (
        _allowed(**{"from": "Selector"}),
        "selector is required with from: Selector and not allowed with All and None",
    ),
    "an empty selector": (
        _selector(),
        "an empty selector would match every Kubernetes namespace; write from: All if that is meant",
    ),
    "In without values": (
        _selector(matchExpressions=[{"key": "a", "operator": "In"}]),
        "values are required with In and NotIn, and not allowed with Exists and DoesNotExist",
    ),
    "Exists with values": (
        _selector(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["b"]}]),
        "values are required with In and NotIn, and not allowed with Exists and DoesNotExist",
    ),
    "a label's value with a blank": (
        _selector(matchLabels={"team": "not a label!"}),
        "spec.allowedNamespaces.selector.matchLabels.team in body should match",
    ),
    "a label's key with a blank": (_selector(matchLabels={"a b": "web"}), "the key of a label is a name of at most 63"),
    "a requirement's value of two": (
        _selector(matchExpressions=[{"key": "a", "operator": "In", "values": ["b,c"]}]),
        "spec.allowedNamespaces.selector.matchExpressions[0].values[0] in body should match",
    ),
    "65 labels": (
        _selector(matchLabels={f"k{n}": "" for n in range(65)}),
        "spec.allowedNamespaces.selector.matchLabels: Too many: 65: must have at most 64 items",
    ),
    "no ARN": ({**HTTP, "arn": "ns-1"}, "arn must be the ARN of a namespace, such as arn:aws:servicediscovery:"),
    "the ARN of a service": (
        {**HTTP, "arn": ARN.replace("namespace", "service")},
        "arn must be the ARN of a namespace",
    ),
    "an ARN that has to be made": (
        {**HTTP, "arn": ARN, "creationPolicy": "Create"},
        "what arn names exists, so creationPolicy Create is not allowed with it",
    ),
    "a deletion that waits for ever": ({**HTTP, "deletionTimeoutSeconds": 100_000}, "less than or equal to 86400"),
    "a reserved tag": (
        {**HTTP, "tags": {"aws:x": "y"}},
        "the key of a tag must not begin with aws: or kube-registrar, which are reserved",
    ),
    "a tag without a key": ({**HTTP, "tags": {"": "y"}}, "the key of a tag must have 1 to 128 characters"),
    "too many tags": ({**HTTP, "tags": {f"k{n}": "" for n in range(46)}}, "must have at most 45 items"),
    "a text for yes": ({**HTTP, "allowEndpointsWithoutPods": "yes"}, "allowEndpointsWithoutPods"),
    "an unknown policy": ({**HTTP, "creationPolicy": "Make"}, 'supported values: "CreateOrAdopt", "Create", "Adopt"'),
}

IMMUTABLE = {
    "type": (HTTP, {"type": "DNSPublic"}, "type is immutable; for another type, create another RegistryNamespace"),
    "VPC": (
        PRIVATE,
        {"vpcID": "vpc-456"},
        "vpcID is immutable; for another VPC, create another RegistryNamespace",
    ),
    "name": ({**HTTP, "name": "a"}, {"name": "b"}, "name is immutable; for another name"),
    "ARN": ({**HTTP, "arn": ARN}, {"arn": f"{ARN}0"}, "arn is immutable; for another one"),
    "no ARN": (HTTP, {"arn": ARN}, "arn is immutable; for another one, create another RegistryNamespace"),
    "no name": (HTTP, {"name": "b"}, "name is immutable; for another name, create another RegistryNamespace"),
    "registry": (HTTP, {"registry": "b"}, "registry is immutable; to move, create another RegistryNamespace"),
}


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_admitted(namespaces: Any, spec: Mapping[str, Any]) -> None:
    stored = namespaces.admitted(spec)["spec"]
    assert stored == {**DEFAULTS, **spec}


@pytest.mark.parametrize(("spec", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_refused_in_plain_words(namespaces: Any, spec: Mapping[str, Any], words: str) -> None:
    assert words in namespaces.refusal(spec)


def test_a_public_namespace_without_a_name_takes_the_objects_which_must_be_a_domain(namespaces: Any) -> None:
    spec = {"type": "DNSPublic", **ALL}
    assert namespaces.admitted(spec, "example.com")["metadata"]["name"] == "example.com"
    assert "must be a domain name of two labels or more" in namespaces.refusal(spec, "example")


@pytest.mark.parametrize(("before", "patch", "words"), IMMUTABLE.values(), ids=IMMUTABLE.keys())
def test_what_the_registry_cannot_change_is_immutable(
    namespaces: Any, before: Mapping[str, Any], patch: Mapping[str, Any], words: str
) -> None:
    assert words in namespaces.refused_change(before, patch)


def test_what_can_change_may_change(namespaces: Any) -> None:
    patch = {
        "soaTTLSeconds": 30,
        "description": "new",
        "tags": {"a": "b"},
        "allowedNamespaces": {"from": "None"},
        "deletionPolicy": "Delete",
        "deletionTimeoutSeconds": 60,
    }
    assert namespaces.changed(PRIVATE, patch)["spec"] == {**DEFAULTS, **PRIVATE, **patch}


def test_fields_that_nobody_knows_are_pruned(namespaces: Any) -> None:
    assert "vpcId" not in namespaces.admitted({**HTTP, "vpcId": "vpc-1"})["spec"]


def test_kubectl_shows_the_state_and_knows_the_short_name(namespaces: Any, cleaner: Callable[[str], None]) -> None:
    plane = namespaces.plane
    name = plane.api.post(namespaces.collection, namespaces.thing(HTTP))["metadata"]["name"]
    cleaner(f"{namespaces.collection}/{name}")
    condition = {"lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Created", "message": "Created it"}
    status = {
        "id": "ns-1",
        "arn": None,
        "registry": "edge",
        "created": True,
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 1, **condition},
            {"type": "Synced", "status": "False", **condition},
        ],
        "instances": {"wanted": 4, "registered": 3, "held": 1},
    }
    stored = plane.api.patch(f"{namespaces.collection}/{name}/status", {"status": status})["status"]
    assert stored == {key: value for key, value in status.items() if value is not None}
    header, row = plane.kubectl("get", "regns", name, "--output=wide").splitlines()
    assert header.split() == ["NAME", "READY", "SYNCED", "REGISTRY", "ID", "INSTANCES", "AGE", "TYPE", "MESSAGE"]
    columns = row.split(maxsplit=8)
    assert columns[:6] + columns[7:] == [name, "True", "False", "edge", "ns-1", "3", "HTTP", "Created it"]
    assert name in plane.kubectl("get", "registrar", "--output=name")


def test_kubectl_explains_every_field(namespaces: Any) -> None:
    told = namespaces.plane.kubectl("explain", "registrynamespace.spec.allowedNamespaces")
    assert "Which Kubernetes namespaces may use this registry namespace" in told
