"""From a reference to the registry service that it means, if its Kubernetes namespace may use that one.

Who may use it is asked before whether it exists, so a tenant learns nothing of other tenants' services. What has not
been read yet is waited for without a complaint; what is certainly not there is a problem. Both hold the pod.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kube_registrar.declared.problems import field_of, shown
from kube_registrar.declared.references import KEY, ArnReference, LocalReference, NameReference, Reference
from kube_registrar.declared.specs import AllowedFrom
from kube_registrar.declared.tenancy import allows
from kube_registrar.model import reasons
from kube_registrar.model.reasons import Problem, Reason
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import NamespaceType, ServiceSpec
from kube_registrar.sources.world import DeclaredNamespace, World


@dataclass(frozen=True, slots=True)
class Target:
    """A registry service that a reference means and may use; `text` is the reference as it was written."""

    text: str
    service: ServiceSpec
    namespace_type: NamespaceType


class Unresolved(Exception):
    """A reference that cannot be used now: with a problem if somebody must change something, else only `why`."""

    def __init__(self, why: str, problem: Problem | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.problem = problem


def resolve(reference: Reference, kube_namespace: str, world: World) -> Target:
    """Return what a reference of an object in `kube_namespace` means. Raises Unresolved."""
    match reference:
        case NameReference():
            ref = ServiceRef(_namespace_of(reference, world), reference.service)
        case LocalReference():
            ref = _declared(reference, kube_namespace, world)
        case ArnReference():
            ref = _by_arn(reference, world)
    declared = world.declared_namespaces.get(ref.namespace, ())
    _check_tenancy(reference, ref.namespace, declared, kube_namespace, world)
    service = world.services.get(ref)
    if service is None:
        raise _missing(reference, ref, world)
    found = world.namespaces.get(ref.namespace)
    namespace_type = found.type if found else next((one.type for one in declared), NamespaceType.HTTP)
    return Target(reference.text, service, namespace_type)


def _problem(reason: Reason, reference: Reference, **fields: object) -> Unresolved:
    problem = Problem.of(reason, field=field_of(KEY), found=shown(reference.text), **fields)
    return Unresolved(f"{shown(reference.text)} cannot be resolved", problem)


def _namespace_of(reference: NameReference, world: World) -> NamespaceRef:
    """Choose the reading that exists.

    Both are looked for before either is taken: a pod must not be registered in one and become ambiguous, and held
    there, a moment later.
    """
    readings = [
        NamespaceRef(RegistryName(registry or world.default_registry), name) for registry, name in reference.readings
    ]
    known = [ref for ref in readings if ref.registry in world.registries]
    if not known:
        raise _unknown_registry(reference, readings[0].registry, world)
    if world.allow_undeclared and (unread := {ref.registry for ref in known} - world.listed_registries):
        raise Unresolved(f"registry {min(unread)!r} has not been read yet")
    there = [
        ref for ref in known if ref in world.declared_namespaces or (world.allow_undeclared and ref in world.namespaces)
    ]
    if len(there) > 1:
        raise _ambiguous(reference, there)
    if there:
        return there[0]
    if readings[0].registry not in world.registries:
        raise _unknown_registry(reference, readings[0].registry, world)
    raise _unknown_namespace(reference, known[0])


def _unknown_registry(reference: Reference, registry: RegistryName, world: World) -> Unresolved:
    known = ", ".join(sorted(world.registries))
    return _problem(reasons.UNKNOWN_REGISTRY, reference, registry=str(registry), known=known)


def _unknown_namespace(reference: Reference, ref: NamespaceRef) -> Unresolved:
    return _problem(reasons.UNKNOWN_NAMESPACE, reference, registry=str(ref.registry), namespace=_shortened(ref.name))


def _ambiguous(reference: NameReference, there: Sequence[NamespaceRef]) -> Unresolved:
    means = [
        f"service {reference.service!r} of namespace {_shortened(ref.name)!r} in registry {ref.registry!r}"
        for ref in there
    ]
    # With its registry before it the second reading has one meaning; the first is reached by a RegistryService.
    candidates = (
        f"{means[0]} (then write the name of a RegistryService for it), or {means[1]} "
        f"(then write {there[1].registry}:{_shortened(there[1].name)}/{reference.service})"
    )
    problem = Problem.of(
        reasons.AMBIGUOUS_SERVICE, field=field_of(KEY), found=shown(reference.text), candidates=candidates
    )
    return Unresolved(f"{shown(reference.text)} is ambiguous", problem)


def _shortened(name: str) -> str:
    return name if len(name) <= 63 else f"{name[:60]}..."  # noqa: PLR2004 - for people


def _declared(reference: LocalReference, kube_namespace: str, world: World) -> ServiceRef:
    # The pod's own Kubernetes namespace, always: a bare name must not reach into another tenant's.
    declared = world.declared_services.get((kube_namespace, reference.text))
    if declared is None:
        raise _problem(reasons.UNKNOWN_REGISTRY_SERVICE, reference, kube_namespace=kube_namespace)
    if declared.ref is None or not declared.ready:
        why = f": {declared.why}" if declared.why else ""
        raise Unresolved(f"RegistryService {reference.text!r} is not ready{why}")
    return declared.ref


def _by_arn(reference: ArnReference, world: World) -> ServiceRef:
    ref = world.arns.get(reference.text)
    if ref is not None:
        return ref
    # An ARN does not say which namespace its service is in, so it may be in any that was not read yet.
    unread = next((ref for ref in world.declared_namespaces if _is_unread(ref, world)), None)
    if unread is not None:
        raise Unresolved(f"registry namespace {unread} has not been read yet")
    if world.allow_undeclared and (registries := world.registries.keys() - world.listed_registries):
        raise Unresolved(f"registry {min(registries)!r} has not been read yet")
    raise _problem(reasons.UNKNOWN_ARN, reference)


def _check_tenancy(
    reference: Reference,
    ref: NamespaceRef,
    declared: Sequence[DeclaredNamespace],
    kube_namespace: str,
    world: World,
) -> None:
    """Raise Unresolved unless somebody who declares the registry namespace allows this Kubernetes namespace."""
    if not declared:
        if world.allow_undeclared:
            return  # a namespace that is declared keeps its rule even then
        raise _unknown_namespace(reference, ref)
    if any(one.allowed.from_ is AllowedFrom.ALL for one in declared):
        return
    labels = world.kube_namespaces.get(kube_namespace)
    if labels is None:
        raise Unresolved(f"the labels of Kubernetes namespace {kube_namespace!r} have not been read yet")
    if not any(allows(one.allowed, labels) for one in declared):
        raise _problem(
            reasons.NAMESPACE_NOT_ALLOWED,
            reference,
            namespace=declared[0].object_name,
            kube_namespace=kube_namespace,
        )


def _missing(reference: Reference, ref: ServiceRef, world: World) -> Unresolved:
    """Tell what is not there yet from what is not there: only the second is the author's to correct."""
    if _is_unread(ref.namespace, world):
        return Unresolved(f"registry namespace {ref.namespace} has not been read yet")
    if ref.namespace not in world.listed:
        return Unresolved(f"registry namespace {ref.namespace} is not in its registry yet")
    if ref in world.expected:
        return Unresolved(f"registry service {ref} is being made")
    return _problem(reasons.UNKNOWN_SERVICE, reference, namespace=_shortened(ref.namespace.name), service=ref.name)


def _is_unread(ref: NamespaceRef, world: World) -> bool:
    """Whether its services may exist without being known; a namespace that is not there has none."""
    return ref not in world.listed and (ref in world.namespaces or ref.registry not in world.listed_registries)
