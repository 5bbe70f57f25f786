"""A small world, and a pod in it, for tests of sources."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.declared.specs import AllowedFrom, AllowedNamespaces, LabelSelector
from kube_registrar.model.limits import Limits
from kube_registrar.model.records import ContainerPort, Pod
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import (
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    RoutingPolicy,
    ServiceSpec,
)
from kube_registrar.sources.world import DeclaredNamespace, DeclaredService, World

EDGE = RegistryName("edge")
EVERYONE = AllowedNamespaces(from_=AllowedFrom.ALL)
NOBODY = AllowedNamespaces(from_=AllowedFrom.NONE)
TEAM = AllowedNamespaces(from_=AllowedFrom.SELECTOR, selector=LabelSelector(match_labels={"team": "web"}))
ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-"


def _namespace(name: str, registry: RegistryName = DEFAULT_REGISTRY) -> NamespaceRef:
    return NamespaceRef(registry, name)


def _service(
    namespace: NamespaceRef, name: str, *records: RecordType, check: HealthCheckType = HealthCheckType.NONE
) -> ServiceSpec:
    routing = RoutingPolicy.WEIGHTED if RecordType.CNAME in records else RoutingPolicy.MULTIVALUE
    dns = DnsSettings(tuple(DnsRecord(record) for record in records), routing) if records else None
    return ServiceSpec(ServiceRef(namespace, name), dns=dns, health_check=check)


def _world() -> World:
    test, odd = _namespace("test-namespace"), _namespace("odd", EDGE)
    public, secret, open_ = _namespace("example.com"), _namespace("team-namespace"), _namespace("undeclared")
    services = [
        _service(test, "flask-app"),
        _service(test, "srv", RecordType.SRV),
        _service(test, "v4", RecordType.A),
        _service(test, "v6", RecordType.AAAA),
        _service(test, "both", RecordType.A, RecordType.AAAA),
        _service(test, "alias", RecordType.CNAME),
        _service(test, "checked", check=HealthCheckType.CUSTOM),
        _service(test, "probed", check=HealthCheckType.ROUTE53),
        _service(public, "web", RecordType.SRV),
        _service(secret, "private"),
        _service(open_, "free"),
        _service(_namespace("a/b"), "c"),
        _service(_namespace("edge:odd"), "flask-app"),
        _service(odd, "flask-app"),
        _service(_namespace("new:test"), "flask-app"),
    ]
    declared = [
        DeclaredNamespace("test-namespace", test, NamespaceType.HTTP, EVERYONE),
        DeclaredNamespace("public", public, NamespaceType.DNS_PUBLIC, EVERYONE),
        DeclaredNamespace("slashed", _namespace("a/b"), NamespaceType.HTTP, EVERYONE),
        DeclaredNamespace("colon", _namespace("edge:odd"), NamespaceType.HTTP, EVERYONE),
        DeclaredNamespace("new", _namespace("new:test"), NamespaceType.HTTP, EVERYONE),
        DeclaredNamespace("odd", odd, NamespaceType.HTTP, EVERYONE),
        DeclaredNamespace("team", secret, NamespaceType.HTTP, TEAM),
        DeclaredNamespace("closed", _namespace("closed"), NamespaceType.HTTP, NOBODY),
    ]
    return World(
        cluster_uid=Uid("c0ffee00-0000-4000-8000-000000000000"),
        cluster_name="prod",
        registries={DEFAULT_REGISTRY: Limits(), EDGE: Limits()},
        declared_namespaces={one.ref: (one,) for one in declared},
        declared_services={
            ("default", "local"): DeclaredService("local", ServiceRef(test, "flask-app"), ready=True),
            ("other", "theirs"): DeclaredService("theirs", ServiceRef(test, "flask-app"), ready=True),
            ("default", "coming"): DeclaredService("coming", ServiceRef(test, "coming"), ready=False, why="it is new"),
        },
        kube_namespaces={"default": {"team": "db"}, "web": {"team": "web"}},
        namespaces={one.ref: NamespaceSpec(one.ref, one.type) for one in declared if one.object_name != "closed"}
        | {open_: NamespaceSpec(open_)},
        services={service.ref: service for service in services},
        arns={ARN + one.ref.name.replace("-", ""): one.ref for one in reversed(services)},
        listed={one.ref for one in declared} | {open_},
        listed_registries={DEFAULT_REGISTRY, EDGE},
    )


@pytest.fixture
def world() -> World:
    """Return a world with a namespace for each rule."""
    return _world()


@pytest.fixture(scope="session")
def small_world() -> World:
    """Return the same for properties, whose examples share it."""
    return _world()


@pytest.fixture
def pod() -> Callable[..., Pod]:
    """Return a maker of pods: ready, with one address and two containers, unless told otherwise."""
    base = Pod(
        namespace="default",
        name="flask-app-dev-7d4b9-x2x4z",
        uid=Uid("7f3c0000-0000-4000-8000-000000000001"),
        annotations={},
        labels={
            "app.kubernetes.io/version": "1.0.0",
            "topology.kubernetes.io/zone": "eu-west-1a",
            "topology.kubernetes.io/region": "eu-west-1",
        },
        ips=("10.0.0.7",),
        ports=(
            ContainerPort("web", "http", 8080),
            ContainerPort("web", "metrics", 9090),
            ContainerPort("admin", "http", 8081),
        ),
        node="node-1",
        workload="Deployment/flask-app-dev",
        ready=True,
        phase="Running",
    )

    def make(annotations: Mapping[str, str], **changes: Any) -> Pod:
        return replace(base, annotations=dict(annotations), **changes)

    return make
