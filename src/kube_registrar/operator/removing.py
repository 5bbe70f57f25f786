"""Removes what an object of our kinds made, when the object goes: only that, and only once it is empty."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from kube_registrar.declared.specs import DELETION_TIMEOUT_SECONDS
from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Conflict, NotFound
from kube_registrar.model.identity import is_own, origin_of
from kube_registrar.model.instances import Instance
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef, registry_of
from kube_registrar.model.specs import DeletionPolicy, NamespaceSpec
from kube_registrar.operator.context import Context
from kube_registrar.operator.lifecycle import described
from kube_registrar.registries.port import Found, Registry

_MOST_NAMED = 5


class Stays(Exception):
    """What an object made stays in its registry, however long it is waited for; the text says why."""


def removes(thing: CustomObject) -> bool:
    """Whether what this object declares is removed with it: the policy says so, and the object made it."""
    return thing.spec.get("deletionPolicy") == DeletionPolicy.DELETE and thing.status.get("created") is True


def timeout_seconds(thing: CustomObject) -> float:
    """Return how long the deletion of an object may wait."""
    given = thing.spec.get("deletionTimeoutSeconds")
    return float(given) if isinstance(given, int) else float(DELETION_TIMEOUT_SECONDS)


async def target(context: Context, thing: CustomObject) -> NamespaceRef | ServiceRef | None:
    """Return what an object made; None if it is gone. Raises RegistryError, and Stays where nobody can tell.

    Its status knows it where its spec does not any more: the RegistryNamespace may have gone first.
    """
    known = declared(context, thing)
    name = registry_of(known) if known else thing.status.get("registry")
    made = thing.status.get("id")
    if known is None and not (name and made):
        raise Stays("neither spec nor status tell what it is")
    registry = context.registries.get(RegistryName(str(name)))
    if registry is None:
        raise Stays("that registry is not configured any more")
    return known or await _made(registry, thing.kind, str(made))


def declared(context: Context, thing: CustomObject) -> NamespaceRef | ServiceRef | None:
    """Return what the spec of an object names, if that can be told."""
    if thing.kind == "RegistryService":
        return context.catalog.service_of(thing.namespace, thing.name)
    namespace = context.catalog.namespace_of(thing.name)
    return namespace.ref if namespace else None


async def _made(registry: Registry, kind: str, made: str) -> NamespaceRef | ServiceRef | None:
    """Look for what has this id. Raises RegistryError."""
    namespaces = await registry.find(None)
    if kind == "RegistryNamespace":
        return next((each.spec.ref for each in namespaces if each.id == made), None)
    for namespace in namespaces:
        assert isinstance(namespace.spec, NamespaceSpec)  # noqa: S101 - namespaces are what was asked for
        with suppress(NotFound):  # it went meanwhile, and with it all that was in it
            for each in await registry.find(namespace.spec.ref):
                if each.id == made:
                    return each.spec.ref
    return None


def withheld_removal(context: Context, thing: CustomObject, ref: NamespaceRef | ServiceRef) -> str:
    """Say why what an object made stays though the object goes; empty if it may be removed."""
    registry = registry_of(ref)
    policy = context.withholding.policy(registry)
    if policy.removes:
        return ""
    context.withholding.withhold(thing, registry, "remove", described(ref))
    context.withholding.forget(thing.uid)
    return f"the policy of that registry is {policy}"


async def remove(context: Context, thing: CustomObject, ref: NamespaceRef | ServiceRef) -> None:
    """Remove what an object made; what is gone is done.

    Raises RegistryError; Conflict while it is not empty, which names what is in it; Stays where somebody else made it
    anew. Whether the policy of the registry lets it, `withheld_removal` says before.
    """
    registry = context.registries[registry_of(ref)]
    found = await _found(registry, ref)
    made = thing.status.get("id")
    if found is not None and made and found.id != made:
        raise Stays(f"it is not the one that this object made ({made}), but another one ({found.id})")
    try:
        await registry.remove(ref)
    except Conflict as error:
        raise Conflict(await _what_is_in(context, registry, ref) or str(error), found=error.found) from None
    context.catalog.forget(ref)


async def _found(registry: Registry, ref: NamespaceRef | ServiceRef) -> Found | None:
    try:
        there = await registry.find(ref.namespace if isinstance(ref, ServiceRef) else None)
    except NotFound:
        return None
    return next((each for each in there if each.spec.ref == ref), None)


async def _what_is_in(context: Context, registry: Registry, ref: NamespaceRef | ServiceRef) -> str:
    """Name what keeps it from being empty; empty where nothing is found any more."""
    if isinstance(ref, NamespaceRef):
        services = [each.spec.ref.name for each in await registry.find(ref)]
        return f"it holds the services {_few(sorted(services))}. Remove them first" if services else ""
    instances = await registry.instances(ref)
    return ". ".join(_told(context, instances))


def _told(context: Context, instances: Sequence[Instance]) -> Iterator[str]:
    own = [each for each in instances if is_own(each.attributes, context.cluster_uid)]
    foreign = [each for each in instances if not is_own(each.attributes, context.cluster_uid)]
    if own:
        origins = sorted({str(origin_of(each.attributes)) for each in own})
        yield f"it waits for {len(own)} instances of this cluster: {_few(origins)}. They go with what asks for them"
    if foreign:
        yield f"it holds {len(foreign)} instances of others: {_few(sorted(map(_name, foreign)))}. Deregister them there"


def _name(instance: Instance) -> str:
    cluster = instance.attributes.get(keys.CLUSTER) or instance.attributes.get(keys.CLUSTER_UID)
    return f"{instance.id} of cluster {cluster}" if cluster else instance.id


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
