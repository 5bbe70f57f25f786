"""Looks for what an object declares, where the policy of its registry lets nothing be changed."""

from dataclasses import replace

from kube_registrar.model.errors import Conflict, NotFound
from kube_registrar.model.records import CustomObject
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec, obstacle
from kube_registrar.registries.port import Found, Registry


async def look_for(
    registry: Registry, thing: CustomObject, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy
) -> Found | None:
    """Return what is there, None if nothing is. Raises RegistryError; Conflict, as `ensure`, if it cannot be used."""
    parent = spec.ref.namespace if isinstance(spec, ServiceSpec) else None
    try:
        there = await registry.find(parent)
    except NotFound:
        return None
    found = next((each for each in there if each.spec.ref == spec.ref), None)
    if found is None:
        return None
    found = _with_creator(found, thing, creator)
    if difference := obstacle(found.spec, spec):
        raise Conflict(f"{spec.ref} exists and {difference}. Ask for the same, or choose another name", found=found)
    if policy is CreationPolicy.CREATE and found.created_by != creator:
        raise Conflict(f"{spec.ref} exists, made by somebody else, and the creation policy is Create", found=found)
    return found


def _with_creator(found: Found, thing: CustomObject, creator: str) -> Found:
    """Not every list tells who made a thing: then the object's status does, if it is about this very thing."""
    is_ours = thing.status.get("created") is True and thing.status.get("id") == found.id
    return replace(found, created_by=creator) if found.created_by is None and is_ours else found
