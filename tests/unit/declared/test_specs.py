"""The specs of our kinds as typed values, and as settings of a registry."""

from collections.abc import Mapping

import pytest

from kube_registrar.declared import specs
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import (
    CreationPolicy,
    DeletionPolicy,
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

ALL: Mapping[str, object] = {"allowedNamespaces": {"from": "All"}}
REF: Mapping[str, object] = {"namespaceRef": {"name": "test-namespace"}}
NAMESPACE = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")


def _object(kind: str, spec: Mapping[str, object]) -> CustomObject:
    return CustomObject(kind, "", "thing", Uid("u"), 1, spec)


def _namespace(spec: Mapping[str, object]) -> specs.RegistryNamespaceSpec:
    return specs.registry_namespace(_object("RegistryNamespace", spec))


def _service(spec: Mapping[str, object]) -> specs.RegistryServiceSpec:
    return specs.registry_service(_object("RegistryService", spec))


def test_a_namespace_takes_the_objects_name_and_the_default_registry() -> None:
    spec = _namespace({"type": "HTTP", **ALL})
    assert specs.namespace_ref(spec, "thing", RegistryName("main")) == NamespaceRef(RegistryName("main"), "thing")
    assert (spec.creation_policy, spec.deletion_policy) == (CreationPolicy.CREATE_OR_ADOPT, DeletionPolicy.RETAIN)


def test_every_setting_of_a_namespace_reaches_the_registry() -> None:
    written = {
        "registry": "edge",
        "name": "example.com",
        "type": "DNSPrivate",
        "vpcID": "vpc-1",
        "soaTTLSeconds": 15,
        "description": "text",
        "tags": {"a": "b"},
        "creationPolicy": "Adopt",
        "deletionPolicy": "Delete",
        **ALL,
    }
    spec = _namespace(written)
    ref = specs.namespace_ref(spec, "thing", DEFAULT_REGISTRY)
    assert ref == NamespaceRef(RegistryName("edge"), "example.com")
    assert specs.namespace_settings(ref, spec) == NamespaceSpec(
        ref, NamespaceType.DNS_PRIVATE, "text", "vpc-1", 15, {"a": "b"}
    )
    assert (spec.creation_policy, spec.deletion_policy) == (CreationPolicy.ADOPT, DeletionPolicy.DELETE)


def test_a_service_takes_the_objects_name() -> None:
    settings = specs.service_settings(NAMESPACE, _service(REF), "flask-app")
    assert settings == ServiceSpec(ServiceRef(NAMESPACE, "flask-app"))


def test_every_setting_of_a_service_reaches_the_registry() -> None:
    written = {
        **REF,
        "name": "web",
        "description": "text",
        "dns": {"records": [{"type": "A", "ttlSeconds": 5}, {"type": "AAAA"}], "routingPolicy": "Weighted"},
        "healthCheck": {"type": "Route53", "route53": {"type": "HTTP", "resourcePath": "/z", "failureThreshold": 3}},
    }
    assert specs.service_settings(NAMESPACE, _service(written), "thing") == ServiceSpec(
        ServiceRef(NAMESPACE, "web"),
        "text",
        DnsSettings((DnsRecord(RecordType.A, 5), DnsRecord(RecordType.AAAA, 60)), RoutingPolicy.WEIGHTED),
        HealthCheckType.ROUTE53,
        Route53Check("HTTP", "/z", 3),
    )


def test_what_this_version_does_not_know_is_ignored() -> None:
    assert _service({**REF, "colour": {"a": "b"}}) == _service(REF)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "HTTP"}, "spec is wrong: object missing required field `allowedNamespaces`."),
        ({"type": "Http", **ALL}, "spec.type is wrong: invalid enum value 'Http'."),
        (
            {"type": "HTTP", **ALL, "soaTTLSeconds": "1"},
            "spec.soaTTLSeconds is wrong: expected `int | null`, got `str`.",
        ),
        (
            {"type": "HTTP", "allowedNamespaces": {}},
            "spec.allowedNamespaces is wrong: object missing required field `from`.",
        ),
        (
            {
                "type": "HTTP",
                "allowedNamespaces": {"from": "Selector", "selector": {"matchExpressions": [{"key": "a"}]}},
            },
            "spec.allowedNamespaces.selector.matchExpressions[0] is wrong: object missing required field `operator`.",
        ),
    ],
)
def test_a_wrong_spec_is_told_with_the_path_of_its_field(spec: Mapping[str, object], message: str) -> None:
    with pytest.raises(specs.InvalidSpec) as caught:
        _namespace(spec)
    assert caught.value.problem.reason == "InvalidSpec"
    assert str(caught.value) == f"{message} kubectl explain registrynamespace.spec tells what is allowed"


IS_VALUE = (
    "is no value, for the value of a label is at most 63 letters, digits, hyphens, underscores and dots, beginning and "
    "ending with a letter or digit, or empty. Correct it"
)
IS_KEY = (
    "is no key, for the key of a label is a name of at most 63 letters, digits, hyphens, underscores and dots, alone "
    "or after a DNS name of at most 253 characters and a slash. Correct it"
)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"matchLabels": {"app": "not a label!"}}, f".matchLabels is wrong: 'not a label!' of 'app' {IS_VALUE}"),
        ({"matchLabels": {"ok": "", "app": "a,b"}}, f".matchLabels is wrong: 'a,b' of 'app' {IS_VALUE}"),
        ({"matchLabels": {"app": "web\n"}}, f".matchLabels is wrong: 'web\\n' of 'app' {IS_VALUE}"),
        ({"matchLabels": {"app": "a" * 64}}, f".matchLabels is wrong: '{'a' * 64}' of 'app' {IS_VALUE}"),
        ({"matchLabels": {"a b": "web"}}, f".matchLabels is wrong: 'a b' {IS_KEY}"),
        ({"matchLabels": {"": "web"}}, f".matchLabels is wrong: '' {IS_KEY}"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "/b", "operator": "Exists"}]},
            f".matchExpressions[1] is wrong: '/b' {IS_KEY}",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c)"]}]},
            f".matchExpressions[0] is wrong: 'c)' of 'a' {IS_VALUE}",
        ),
    ],
)
def test_a_selector_that_kubernetes_would_refuse_is_told_in_one_sentence(
    selector: Mapping[str, object], message: str
) -> None:
    with pytest.raises(specs.InvalidSpec) as caught:
        specs.check_selection(_service({**REF, "selector": selector}))
    assert (caught.value.problem.reason, str(caught.value)) == ("InvalidSpec", f"spec.selector{message}")
    with pytest.raises(specs.InvalidSpec) as caught:
        _namespace({"type": "HTTP", "allowedNamespaces": {"from": "Selector", "selector": selector}})
    assert str(caught.value) == f"spec.allowedNamespaces.selector{message}"


def test_a_key_has_at_most_253_characters_before_its_slash() -> None:
    longest = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
    specs.check_selection(_service({**REF, "selector": {"matchLabels": {f"{longest}/x": "y"}}}))
    with pytest.raises(specs.InvalidSpec, match="is no key"):
        specs.check_selection(_service({**REF, "selector": {"matchLabels": {f"{longest}d/x": "y"}}}))


def test_a_service_that_cannot_be_called_so_is_told_in_one_sentence() -> None:
    with pytest.raises(specs.InvalidSpec) as caught:
        specs.check_selection(_service({**REF, "serviceRef": {"name": "a,b"}}))
    assert str(caught.value) == (
        "spec.serviceRef.name is wrong: 'a,b' is no name, for the name of a Service is lower-case letters, digits and "
        "hyphens, ending with a letter or digit. Correct it"
    )


@pytest.mark.parametrize(
    ("service", "namespace", "field"),
    [
        ({}, NamespaceType.HTTP, None),
        ({}, NamespaceType.DNS_PRIVATE, None),
        ({"dns": {"records": [{"type": "A"}]}}, NamespaceType.DNS_PRIVATE, None),
        ({"dns": {"records": [{"type": "A"}]}}, NamespaceType.HTTP, "spec.dns"),
        ({"healthCheck": {"type": "Route53", "route53": {"type": "TCP"}}}, NamespaceType.HTTP, None),
        ({"healthCheck": {"type": "Route53", "route53": {"type": "TCP"}}}, NamespaceType.DNS_PUBLIC, None),
        (
            {"healthCheck": {"type": "Route53", "route53": {"type": "TCP"}}},
            NamespaceType.DNS_PRIVATE,
            "spec.healthCheck.type",
        ),
        ({"healthCheck": {"type": "Custom"}}, NamespaceType.DNS_PRIVATE, None),
    ],
)
def test_a_service_must_fit_the_type_of_its_namespace(
    service: Mapping[str, object], namespace: NamespaceType, field: str | None
) -> None:
    settings = specs.service_settings(NAMESPACE, _service({**REF, **service}), "thing")
    problem = specs.misfit(settings, namespace)
    if field is None:
        assert problem is None
    else:
        assert problem is not None
        assert problem.message.startswith(f"{field} is wrong: its RegistryNamespace is of type {namespace}")
