"""The specs of our two kinds, typed. `crds/` holds the same fields and enums with the rules of apply time.

Fields that this version does not know are pruned by the API server and ignored here. Enums and units are those of
the CRDs; conversion gives what `kube_registrar.model.specs` holds.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from kube_registrar.declared import attributes, labels, ports
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError, moved
from kube_registrar.declared.templates import PodField, Template
from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import INVALID_SPEC, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
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

DELETION_TIMEOUT_SECONDS = 600
"""A thing that cannot be removed for so long is retained, unless its object says otherwise: every deletion ends."""


class InvalidSpec(KubeRegistrarError):
    """A spec that cannot be used; `problem` says which field, what was found and what is allowed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class AllowedFrom(StrEnum):
    """Whose objects may use a registry namespace: the `type` of the union `allowedNamespaces`."""

    ALL = "All"
    SELECTOR = "Selector"
    NONE = "None"


class Operator(StrEnum):
    """How a label selector's expression compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class ProbeType(StrEnum):
    """What a Route 53 health check speaks."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TCP = "TCP"


class _Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields in camelCase, as the Kubernetes API conventions ask."""


class LabelRequirement(_Fields, frozen=True):
    """One expression of a label selector."""

    key: str
    operator: Operator
    values: Sequence[str] = ()


class LabelSelector(_Fields, frozen=True):
    """Kubernetes' label selector: all of it must hold; an empty one matches everything."""

    match_labels: Mapping[str, str] = {}
    match_expressions: Sequence[LabelRequirement] = ()


class AllowedNamespaces(_Fields, frozen=True):
    """Which Kubernetes namespaces may use a registry namespace."""

    from_: AllowedFrom = msgspec.field(name="from")
    selector: LabelSelector | None = None


class RegistryNamespaceSpec(_Fields, frozen=True):
    """The spec of a RegistryNamespace. `allowed_namespaces` is required, so that nobody has to guess."""

    type: NamespaceType
    allowed_namespaces: AllowedNamespaces
    registry: str = ""
    name: str = ""
    arn: str = ""
    vpc_id: str = msgspec.field(name="vpcID", default="")
    soa_ttl_seconds: int | None = msgspec.field(name="soaTTLSeconds", default=None)
    description: str = ""
    tags: Mapping[str, str] = {}
    allow_endpoints_without_pods: bool = False
    creation_policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    deletion_timeout_seconds: int = DELETION_TIMEOUT_SECONDS


class NamespaceReference(_Fields, frozen=True):
    """The RegistryNamespace of a RegistryService, by the object's name."""

    name: str


class KubeServiceReference(_Fields, frozen=True):
    """A Service of the RegistryService's own Kubernetes namespace."""

    name: str


class NotReadyPolicy(StrEnum):
    """What becomes of the instance of a pod that is not ready."""

    DEREGISTER = "Deregister"
    MARK_UNHEALTHY = "MarkUnhealthy"


class RecordSpec(_Fields, frozen=True):
    """One DNS record of a registry service."""

    type: RecordType
    ttl_seconds: int = 60


class DnsSpec(_Fields, frozen=True):
    """The DNS side of a registry service."""

    records: Sequence[RecordSpec]
    routing_policy: RoutingPolicy = RoutingPolicy.MULTIVALUE


class Route53Spec(_Fields, frozen=True):
    """A health check that the registry makes; `failure_threshold` is in probes, 1 to 10."""

    type: ProbeType
    resource_path: str = ""
    failure_threshold: int = 1


class HealthCheckSpec(_Fields, frozen=True):
    """Who decides whether an instance is healthy: a union by `type`."""

    type: HealthCheckType
    route53: Route53Spec | None = None


class RegistryServiceSpec(_Fields, frozen=True):
    """The spec of a RegistryService."""

    namespace_ref: NamespaceReference
    name: str = ""
    description: str = ""
    tags: Mapping[str, str] = {}
    dns: DnsSpec | None = None
    health_check: HealthCheckSpec | None = None
    selector: LabelSelector | None = None
    service_ref: KubeServiceReference | None = None
    port: int | str | None = None
    attributes: Mapping[str, str] = {}
    attributes_from_labels: Mapping[str, str] = {}
    not_ready_policy: NotReadyPolicy = NotReadyPolicy.DEREGISTER
    creation_policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    deletion_timeout_seconds: int = DELETION_TIMEOUT_SECONDS


_Spec = TypeVar("_Spec", RegistryNamespaceSpec, RegistryServiceSpec)


def registry_namespace(thing: CustomObject) -> RegistryNamespaceSpec:
    """Type the spec of a RegistryNamespace. Raises InvalidSpec."""
    spec = _typed(thing, RegistryNamespaceSpec)
    if problem := wrong_selector(spec.allowed_namespaces.selector, "spec.allowedNamespaces.selector"):
        raise InvalidSpec(problem)
    return spec


def registry_service(thing: CustomObject) -> RegistryServiceSpec:
    """Type the spec of a RegistryService. Raises InvalidSpec."""
    return _typed(thing, RegistryServiceSpec)


def _typed(thing: CustomObject, spec: type[_Spec]) -> _Spec:
    try:
        return msgspec.convert(thing.spec, spec)
    except msgspec.ValidationError as error:
        # msgspec says "Expected `str`, got `int` - at `$.dns.records[0].type`"; the path is ours to put in front.
        rule, _, path = str(error).partition(" - at `$")
        field = f"spec{path.rstrip('`')}"
        step = f"kubectl explain {thing.kind.lower()}.spec tells what is allowed"
        raise InvalidSpec(
            Problem.of(INVALID_SPEC, field=field, rule=rule[:1].lower() + rule[1:], next_step=step)
        ) from error


def wrong_selector(selector: LabelSelector | None, field: str = "spec.selector") -> Problem | None:
    """Say what the API server would not take of a selector: nobody can be asked what such a one selects."""
    if selector is None:
        return None
    found: list[tuple[str, str, Sequence[str]]] = [
        (f"{field}.matchLabels", key, (value,)) for key, value in selector.match_labels.items()
    ]
    for number, one in enumerate(selector.match_expressions):
        found.append((f"{field}.matchExpressions[{number}]", one.key, one.values))
    for where, key, values in found:
        wrongs = (labels.wrong_key(key), *(labels.wrong_value(key, value) for value in values))
        if rule := next(filter(None, wrongs), ""):
            return Problem.of(INVALID_SPEC, field=where, rule=rule, next_step="Correct it")
    return None


def check_selection(spec: RegistryServiceSpec) -> None:
    """Raise InvalidSpec where what a RegistryService selects or names is nothing that may be there."""
    if problem := wrong_selector(spec.selector):
        raise InvalidSpec(problem)
    if spec.service_ref and (rule := labels.wrong_name(spec.service_ref.name)):
        field = "spec.serviceRef.name"
        raise InvalidSpec(Problem.of(INVALID_SPEC, field=field, rule=rule, next_step="Correct it"))


def service_port(spec: RegistryServiceSpec) -> PortRequest | None:
    """Return the port that a RegistryService asks for of what it selects. Raises InvalidSpec."""
    if spec.port is None:
        return None
    try:
        return ports.read_port(str(spec.port))
    except AnnotationError as error:
        raise InvalidSpec(moved(error.problem, ports.KEY, "spec.port of this object")) from error


def service_attributes(spec: RegistryServiceSpec) -> Mapping[str, Template]:
    """Return the attributes that a RegistryService gives; a label's goes over a text. Raises InvalidSpec."""
    found, problems = attributes.read_pairs(spec.attributes.items())
    if problems:
        raise InvalidSpec(moved(problems[0], attributes.KEY, "spec.attributes of this object"))
    try:
        for key in spec.attributes_from_labels:
            attributes.check_key(key)
    except AnnotationError as error:
        raise InvalidSpec(moved(error.problem, attributes.KEY, "spec.attributesFromLabels of this object")) from error
    labels = {key: (PodField("metadata.labels", label),) for key, label in spec.attributes_from_labels.items()}
    return {**found, **labels}


def namespace_ref(spec: RegistryNamespaceSpec, object_name: str, default_registry: RegistryName) -> NamespaceRef:
    """Return the registry namespace that a RegistryNamespace of this name declares."""
    return NamespaceRef(RegistryName(spec.registry or default_registry), spec.name or object_name)


def namespace_settings(ref: NamespaceRef, spec: RegistryNamespaceSpec) -> NamespaceSpec:
    """Return the settings that a RegistryNamespace asks for."""
    return NamespaceSpec(
        ref=ref,
        type=spec.type,
        description=spec.description,
        vpc_id=spec.vpc_id,
        soa_ttl_seconds=spec.soa_ttl_seconds,
        tags=spec.tags,
        arn=spec.arn,
    )


def service_settings(namespace: NamespaceRef, spec: RegistryServiceSpec, object_name: str) -> ServiceSpec:
    """Return the settings that a RegistryService of this name asks for."""
    check = spec.health_check
    return ServiceSpec(
        ref=ServiceRef(namespace, spec.name or object_name),
        description=spec.description,
        dns=_dns(spec.dns),
        health_check=check.type if check else HealthCheckType.NONE,
        route53=_route53(check.route53 if check else None),
        tags=spec.tags,
    )


def _dns(spec: DnsSpec | None) -> DnsSettings | None:
    if spec is None:
        return None
    return DnsSettings(
        tuple(DnsRecord(record.type, record.ttl_seconds) for record in spec.records), spec.routing_policy
    )


def _route53(spec: Route53Spec | None) -> Route53Check | None:
    return Route53Check(spec.type, spec.resource_path, spec.failure_threshold) if spec else None


def misfit(service: ServiceSpec, namespace: NamespaceType) -> Problem | None:
    """Say why a registry service cannot be in a registry namespace of this type; None if it can.

    A CEL rule sees one object at a time, so this is left to us. Source: CreateService (AWS Cloud Map API reference).
    """
    if service.dns is not None and namespace is NamespaceType.HTTP:
        return Problem.of(
            INVALID_SPEC,
            field="spec.dns",
            rule="its RegistryNamespace is of type HTTP, which has no DNS",
            next_step="Remove spec.dns, or use a RegistryNamespace of type DNSPrivate or DNSPublic",
        )
    if service.health_check is HealthCheckType.ROUTE53 and namespace is NamespaceType.DNS_PRIVATE:
        return Problem.of(
            INVALID_SPEC,
            field="spec.healthCheck.type",
            rule="its RegistryNamespace is of type DNSPrivate, and Route 53 cannot reach private addresses",
            next_step="Use Custom or None",
        )
    return None
