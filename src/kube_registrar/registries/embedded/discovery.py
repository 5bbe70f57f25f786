"""Discovery: instances by attributes and health, in random order, and the revision to poll for changes.

Parameters match any attribute, Cloud Map's own ones included, by equality of the whole value.

Source: DiscoverInstances in the API reference. It leaves open whether optional parameters or health are looked at
first; here health is, so that an optional parameter never leaves a client with nothing.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kube_registrar.model.cloudmap.discovered import Discovered
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import rendering
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import Instance, Service

DEFAULT_RESULTS: Final = 100


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a discovery asks for; `health` in Cloud Map's words."""

    parameters: Mapping[str, str]
    optional: Mapping[str, str]
    health: str = "HEALTHY"
    most: int = DEFAULT_RESULTS


async def discover(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DiscoverInstances."""
    service = _service(core, request)
    found = chosen(service, _criteria(request), core.dice)
    instances = [rendering.discovered(service, instance) for instance in found]
    return {"Instances": instances, "InstancesRevision": service.revision}


async def revision(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DiscoverInstancesRevision."""
    return {"InstancesRevision": _service(core, request).revision}


def discovered(core: Core, operation: str, request: Mapping[str, Any]) -> Discovered:
    """Return what either operation would answer, to be kept until it changes."""
    service = _service(core, request)
    if operation == "DiscoverInstancesRevision":
        return Discovered(None, 0, service.revision, service, service.changes)
    criteria = _criteria(request)
    rows = [msgspec.json.encode(rendering.discovered(service, each)) for each in matching(service, criteria)]
    return Discovered(rows, criteria.most, service.revision, service, service.changes)


def _criteria(request: Mapping[str, Any]) -> Criteria:
    return Criteria(
        request.get("QueryParameters", {}),
        request.get("OptionalParameters", {}),
        request.get("HealthStatus", "HEALTHY"),
        request.get("MaxResults", DEFAULT_RESULTS),
    )


def _service(core: Core, request: Mapping[str, Any]) -> Service:
    name = request["NamespaceName"]
    if request.get("OwnerAccount", core.options.account) != core.options.account:
        raise CloudMapError(
            "NamespaceNotFound", f"Account {request['OwnerAccount']} has no namespace named {name!r} here"
        )
    return core.state.service_named(name, request["ServiceName"])


def chosen(service: Service, criteria: Criteria, dice: random.Random) -> list[Instance]:
    """Return the instances that match, in random order, as many as are wanted at most."""
    found = matching(service, criteria)
    return dice.sample(found, min(criteria.most, len(found)))


def matching(service: Service, criteria: Criteria) -> list[Instance]:
    """Return all instances that match, however many are wanted."""
    found = _matching(service.instances.values(), criteria.parameters)
    if service.record.has_health:
        found = _by_health(found, criteria.health)
    if criteria.optional:
        found = _matching(found, criteria.optional) or found
    return found


def _matching(instances: Iterable[Instance], parameters: Mapping[str, str]) -> list[Instance]:
    wanted = parameters.items()
    return [instance for instance in instances if wanted <= instance.attributes.items()]


def _by_health(instances: list[Instance], wanted: str) -> list[Instance]:
    """Apply the filter; a service without a health check has none."""
    if wanted == "ALL":
        return instances
    if wanted == "UNHEALTHY":
        return [instance for instance in instances if instance.health == wanted]
    healthy = [instance for instance in instances if instance.health == "HEALTHY"]
    return healthy or instances if wanted == "HEALTHY_OR_ELSE_ALL" else healthy
