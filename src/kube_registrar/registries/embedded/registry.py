"""The embedded registry with its faces: the port for the engine, Cloud Map's operations for the wire, zones for DNS.

All stand on one core, so what one writes the others read at once. None knows another: the server asks for `execute`
(`server/cloudmap/catalog.py`) and for `zones` (`server/dns/source.py`), the engine for the port's methods
(`registries/port.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.cloudmap import validation
from kube_registrar.model.cloudmap.begun import Begun
from kube_registrar.model.cloudmap.discovered import Discovered
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.errors import NotFound, Refused, RegistryError
from kube_registrar.model.instances import Health, Query
from kube_registrar.model.instances import Instance as PortInstance
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, RecordType, ServiceSpec, Setting
from kube_registrar.registries.embedded import (
    api,
    discovery,
    ensuring,
    health,
    instances,
    places,
    services,
    translation,
)
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.publishing import Publishing
from kube_registrar.registries.embedded.quotas import Quotas
from kube_registrar.registries.embedded.state import Namespace, Service
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.runtime.fence import Fence

_VALUE_CHARACTERS = 1024


def capabilities(quotas: Quotas) -> Capabilities:
    """Return what a registry with these quotas can do."""
    return Capabilities(
        namespace_types=frozenset(NamespaceType),
        record_types=frozenset(RecordType),
        custom_health=True,
        watches=False,
        max_instances=quotas.instances_of_service,
        max_attributes=quotas.custom_attributes,
        max_attribute_characters=quotas.attribute_characters,
        max_attribute_value=_VALUE_CHARACTERS,
        tags=True,
        health_checks=True,
        heeds=frozenset(Setting),
        answers_dns=True,
    )


class EmbeddedRegistry:
    """An open registry; `open_registry` makes it.

    It belongs to one event loop. Methods of the port raise the errors of `model.errors`, `execute` raises
    CloudMapError. A read is answered from memory and never waits; a write is durable when it returns. The port's
    writes ask the fence, those of the wire do not: whoever speaks it has a lease of its own, or none.
    """

    def __init__(self, core: Core, name: RegistryName, fence: Fence) -> None:
        self._core = core
        self._name = name
        self._fence = fence
        self._capabilities = capabilities(core.options.quotas)

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: what Cloud Map can."""
        return self._capabilities

    @property
    def zones(self) -> Publishing:
        """What of it is published in DNS, for whoever answers queries."""
        return Publishing(self._core.state)

    def checks_made(self) -> Mapping[str, int]:
        """Return how many health checks passed, and how many failed, since it was opened."""
        return {result: self._core.checks_made[result] for result in ("passed", "failed", "undecided")}

    # Cloud Map's operations.

    @property
    def operations(self) -> frozenset[str]:
        """The operations that `execute` knows."""
        return api.OPERATIONS

    async def execute(self, operation: str, request: Mapping[str, Any], region: str | None = None) -> Mapping[str, Any]:
        """Carry out one of Cloud Map's operations; `request` was checked by `model.cloudmap.validation`.

        `region` stands in the ARNs of the answer; None: the configured one. Raises CloudMapError.
        """
        return await api.HANDLERS[operation](self._core, request, region or self._core.options.region)

    def begin(self, operation: str, request: Mapping[str, Any]) -> Begun:
        """Begin RegisterInstance or DeregisterInstance; see `server.cloudmap.catalog.Writing`. Raises CloudMapError."""
        return api.BEGINNINGS[operation](self._core, request)

    def place_of(self, kind: str, identifier: str) -> str | None:
        """Return the name of the registry namespace in which something is; see `server.access.places.Places`."""
        return places.place_of(self._core, kind, identifier)

    def discovered(self, operation: str, request: Mapping[str, Any]) -> Discovered:
        """Look up what DiscoverInstances or DiscoverInstancesRevision would answer. Raises CloudMapError."""
        return discovery.discovered(self._core, operation, request)

    # The port.

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces (`None`), or all services of one. NotFound if it is not there."""
        if parent is None:
            found = self._core.state.namespaces.values()
            return [translation.found_namespace(self._core, item, self._name) for item in found]
        namespace = self._namespace(parent)
        return [translation.found_service(self._core, item, parent) for item in namespace.services.values()]

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, or use what is there, or update what this `creator` made; see the port."""
        self._fence.check(f"making {spec.ref}")
        try:
            if isinstance(spec, NamespaceSpec):
                return await ensuring.namespace(self._core, spec, creator, policy, self._name)
            return await ensuring.service(self._core, self._namespace(spec.ref.namespace), spec, creator, policy)
        except CloudMapError as error:
            raise translation.registry_error(error) from None

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it and return once confirmed; what is gone is done. Conflict when it is not empty."""
        self._fence.check(f"removing {ref}")
        try:
            if isinstance(ref, NamespaceRef):
                await ensuring.remove_namespace(self._core, ref)
            else:
                await ensuring.remove_service(self._core, ref)
        except CloudMapError as error:
            raise translation.registry_error(error) from None

    async def instances(self, service: ServiceRef) -> Sequence[PortInstance]:
        """Return all instances. NotFound if the service is not there."""
        found = self._service(service)
        return [translation.port_instance(found, item) for item in found.instances.values()]

    async def discover(self, query: Query) -> Sequence[PortInstance]:
        """Answer a discovery as a client sees it, through the rules of DiscoverInstances."""
        service = self._service(query.service)
        most = discovery.DEFAULT_RESULTS if query.max_results is None else query.max_results
        criteria = discovery.Criteria(query.parameters, query.optional_parameters, query.health.value, most)
        found = discovery.chosen(service, criteria, self._core.dice)
        return [translation.port_instance(service, item) for item in found]

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Carry out the changes and yield an outcome for each, as they end.

        Changes of different instances do not wait for each other; those of one instance, whoever asked for the other
        one, do. When the reader leaves early, what has begun goes on and what still waits is given up.
        """
        tasks = [asyncio.ensure_future(self._outcome(service, change)) for change in changes]
        try:
            for next_one in asyncio.as_completed(tasks):
                yield await next_one
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _outcome(self, service: ServiceRef, change: Change) -> Outcome:
        try:
            await self._apply(service, change)
        except CloudMapError as error:
            return Outcome(change, translation.registry_error(error))
        except RegistryError as error:
            return Outcome(change, error)
        return Outcome(change)

    async def _apply(self, ref: ServiceRef, change: Change) -> None:
        try:
            service = await self._idle(ref, change.instance_id)
        except NotFound:
            if isinstance(change, Deregister):
                return
            raise
        self._fence.check(f"changing {change.instance_id} in {ref}")
        match change:
            case Register(instance):
                validation.check("InstanceId", "InstanceId", instance.id)
                validation.check("Attributes", "Attributes", instance.attributes)
                await ensuring.ended(instances.begin_register(self._core, service, instance.id, instance.attributes))
            case Deregister(instance_id):
                if instance_id in service.instances:
                    await ensuring.ended(instances.begin_deregister(self._core, service, instance_id))
            case SetHealth(instance_id):
                if change.health is Health.UNKNOWN:
                    rule = "HEALTHY or UNHEALTHY is allowed"
                    raise Refused(f"health is UNKNOWN: {rule}", field="health", rule=rule)
                await health.change(self._core, service, instance_id, change.health.value)

    async def _idle(self, ref: ServiceRef, instance_id: str) -> Service:
        """Return the service once no operation of this instance is under way: where the wire refuses, the port waits.

        The service is looked up after each wait: it may have been made anew. NotFound if it is not there.
        """
        while submission := self._service(ref).busy.get(instance_id):
            await asyncio.wait([submission.finished])
        return self._service(ref)

    def _namespace(self, ref: NamespaceRef) -> Namespace:
        namespace = self._core.state.by_http_name.get(ref.name)
        if namespace is None:
            raise NotFound(f"Registry {self._name} has no namespace {ref.name!r}")
        return namespace

    def _service(self, ref: ServiceRef) -> Service:
        service = services.named(self._namespace(ref.namespace), ref.name)
        if service is None:
            raise NotFound(f"Namespace {ref.namespace.name!r} of registry {self._name} has no service {ref.name!r}")
        return service
