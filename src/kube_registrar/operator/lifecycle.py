"""Looks after one object of our kinds: makes or adopts what it declares, and keeps it as declared."""

import logging
from dataclasses import replace

from kube_registrar.declared import specs
from kube_registrar.declared.tenancy import allows
from kube_registrar.model.errors import RegistryError
from kube_registrar.model.reasons import NAMESPACE_NOT_ALLOWED, NOT_READY, UNKNOWN_REGISTRY, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef, registry_of
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.operator.context import Context
from kube_registrar.operator.finding import look_for
from kube_registrar.operator.honouring import refusal, unhonoured
from kube_registrar.operator.verdicts import LATER_SECONDS, Verdict, failed, settled

_log = logging.getLogger(__name__)
_FIRST_WAIT_SECONDS = 0.25


async def ensure_namespace(context: Context, thing: CustomObject, attempt: int) -> Verdict:
    """Make or adopt the registry namespace that a RegistryNamespace declares."""
    try:
        spec = specs.registry_namespace(thing)
    except specs.InvalidSpec as error:
        return Verdict(ready=False, problem=error.problem)
    ref = specs.namespace_ref(spec, thing.name, context.default_registry)
    return await _ensure(context, thing, specs.namespace_settings(ref, spec), spec.creation_policy, attempt)


async def ensure_service(context: Context, thing: CustomObject, attempt: int) -> Verdict:
    """Make or adopt the registry service that a RegistryService declares, if its namespace lets it."""
    try:
        spec = specs.registry_service(thing)
        specs.check_selection(spec)
        specs.service_port(spec)
        specs.service_attributes(spec)
    except specs.InvalidSpec as error:
        return Verdict(ready=False, problem=error.problem)
    what = f"RegistryService {thing.namespace}/{thing.name}"
    namespace = context.catalog.namespace_of(spec.namespace_ref.name)
    if namespace is None:
        error_text = (
            f"there is no RegistryNamespace {spec.namespace_ref.name!r}. Create it, or correct spec.namespaceRef"
        )
        return _waiting(what, error_text, attempt)
    labels = context.catalog.world.kube_namespaces.get(thing.namespace)
    if labels is None:
        return _waiting(what, f"Kubernetes namespace {thing.namespace!r} has not been read yet", attempt)
    if not allows(namespace.allowed, labels):
        problem = Problem.of(
            NAMESPACE_NOT_ALLOWED,
            field="spec.namespaceRef",
            found=repr(spec.namespace_ref.name),
            namespace=namespace.object_name,
            kube_namespace=thing.namespace,
        )
        return Verdict(ready=False, problem=problem, retry_after=LATER_SECONDS)
    settings = specs.service_settings(namespace.ref, spec, thing.name)
    misfit = specs.misfit(settings, namespace.type)
    if misfit:
        return Verdict(ready=False, problem=misfit)
    if context.catalog.world.namespaces.get(namespace.ref) is None:
        return _waiting(what, f"registry namespace {namespace.ref} does not exist yet", attempt)
    return await _ensure(context, thing, settings, spec.creation_policy, attempt)


def _waiting(what: str, error: str, attempt: int) -> Verdict:
    """Something else has to come first: soon, as a rule, when objects are applied together."""
    after = min(LATER_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(attempt, 10))
    return Verdict(ready=False, problem=Problem.of(NOT_READY, what=what, error=error), retry_after=after)


async def _ensure(
    context: Context, thing: CustomObject, spec: NamespaceSpec | ServiceSpec, policy: CreationPolicy, attempt: int
) -> Verdict:
    name = registry_of(spec.ref)
    registry = context.registries.get(name)
    if registry is None:
        known = ", ".join(sorted(context.registries))
        problem = Problem.of(UNKNOWN_REGISTRY, field="spec.registry", found=repr(name), registry=name, known=known)
        return Verdict(ready=False, problem=problem)
    key = (thing.kind, thing.namespace, thing.name)
    creator, spec = context.creator(*key), replace(spec, tags={**spec.tags, **context.owner_tags(*key)})
    what = described(spec.ref)
    if refused := refusal(spec, registry.capabilities):
        return replace(failed(what, name, refused, attempt), retry_after=None)  # only a change of the object can help
    allowed = context.withholding.policy(name)
    try:
        if not allowed.makes and attempt and not _is_known(context, spec):
            return _missing(context, thing, name, what)
        there = None if allowed.updates else await look_for(registry, thing, spec, creator, policy)
        if there is None and not allowed.makes:
            return _missing(context, thing, name, what)
        found = there or await registry.ensure(spec, creator, policy)
    except RegistryError as error:
        return failed(what, name, error, attempt)
    context.catalog.learn(found)
    left_out = unhonoured(spec, registry.capabilities)
    verdict = settled(what, name, found, creator, spec, is_final=allowed.updates, left_out=left_out)
    if verdict.created and verdict.synced and not allowed.updates:
        context.withholding.withhold(thing, name, "update", what)
    return verdict


def _missing(context: Context, thing: CustomObject, registry: RegistryName, what: str) -> Verdict:
    """Nothing is made here; somebody else may make it, so it is looked for again."""
    problem = context.withholding.withhold(thing, registry, "create", what)
    return Verdict(ready=False, problem=problem, retry_after=LATER_SECONDS)


def _is_known(context: Context, spec: NamespaceSpec | ServiceSpec) -> bool:
    """Whether the catalog, which follows the registry, has it: what is missing for long is not listed every time."""
    world = context.catalog.world
    return spec.ref in (world.namespaces if isinstance(spec, NamespaceSpec) else world.services)


def described(ref: NamespaceRef | ServiceRef) -> str:
    """Name a registry namespace or service for people."""
    if isinstance(ref, ServiceRef):
        return f"Registry service {ref.namespace.name}/{ref.name}"
    return f"Registry namespace {ref.name}"
