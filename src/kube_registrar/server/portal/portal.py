"""Cloud Map's reads in front of any registry.

Discoveries go by the registry's own `discover`, one request each: what it answers is what its other clients see, an
outage is told as one, and nothing is kept that could be old. Lists of namespaces and services are kept for two seconds.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from kube_registrar.model.cloudmap import paging
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.shapes import OPERATIONS
from kube_registrar.model.errors import NotFound, RegistryError
from kube_registrar.model.instances import HealthFilter, Instance, Query
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.server.portal import answers, refusals, selecting
from kube_registrar.server.portal.directory import ACCOUNT, REGION, Directory, Known, KnownService
from kube_registrar.server.portal.revisions import Revisions

DEFAULT_RESULTS: Final = 100

Json = dict[str, Any]
_Handler = Callable[[Mapping[str, Any], str], Awaitable[Json]]


class Portal:
    """A `Catalog` (server.cloudmap) over a `Registry`. It writes nothing."""

    def __init__(self, registry: Registry, clock: Clock, dice: random.Random | None = None) -> None:
        self.operations = frozenset(OPERATIONS)
        self._registry = registry
        self._dice = dice or random.Random()
        self._directory = Directory(registry, clock)
        self._revisions = Revisions(clock)
        self._handlers: Mapping[str, tuple[_Handler, str]] = {
            "DiscoverInstances": (self._discover, "ServiceNotFound"),
            "DiscoverInstancesRevision": (self._revision, "ServiceNotFound"),
            "GetInstance": (self._get_instance, "ServiceNotFound"),
            "GetInstancesHealthStatus": (self._health, "ServiceNotFound"),
            "GetNamespace": (self._get_namespace, "NamespaceNotFound"),
            "GetService": (self._get_service, "ServiceNotFound"),
            "ListInstances": (self._list_instances, "ServiceNotFound"),
            "ListNamespaces": (self._list_namespaces, "InvalidInput"),
            "ListServices": (self._list_services, "InvalidInput"),
            "ListTagsForResource": (self._list_tags, "ResourceNotFoundException"),
        }

    async def execute(self, operation: str, request: Mapping[str, Any], region: str | None = None) -> Mapping[str, Any]:
        """Answer an operation; what is none of `refusals.READS` is InvalidInput. Raises CloudMapError."""
        if operation not in self._handlers:
            raise refusals.unserved(operation, self._registry.name)
        handler, missing = self._handlers[operation]
        try:
            return await handler(request, region or REGION)
        except RegistryError as error:
            raise refusals.translated(error, missing) from None

    async def located(self, kind: str, identifier: str) -> str | None:
        """See `server.access.places.Searching`; there are no operations. Raises CloudMapError for an outage."""
        if kind == "http-name":
            return identifier  # each namespace is discovered by its name
        try:
            return await self._directory.place_of(kind, identifier)
        except RegistryError as error:
            raise refusals.translated(error, "NamespaceNotFound") from None

    # Discovery.

    async def _discover(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        service = self._named(request)
        revision = self._revisions.known(service)
        most = request.get("MaxResults", DEFAULT_RESULTS)
        query = Query(
            service,
            request.get("QueryParameters", {}),
            request.get("OptionalParameters", {}),
            HealthFilter(request.get("HealthStatus", "HEALTHY")),
            most,
        )
        try:
            found = list(await self._registry.discover(query))
        except NotFound as error:
            raise await self._not_found(service, error) from None
        self._dice.shuffle(found)
        rows = [answers.discovered(each, service) for each in found[:most]]
        return {"Instances": rows, "InstancesRevision": revision}

    async def _revision(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        service = self._named(request)
        try:
            found = await self._registry.instances(service)
        except NotFound as error:
            raise await self._not_found(service, error) from None
        return {"InstancesRevision": self._revisions.of(service, found)}

    def _named(self, request: Mapping[str, Any]) -> ServiceRef:
        name, owner = request["NamespaceName"], request.get("OwnerAccount", ACCOUNT)
        if owner != ACCOUNT:
            raise CloudMapError("NamespaceNotFound", f"Account {owner} has no namespace named {name!r} here")
        return ServiceRef(NamespaceRef(self._registry.name, name), request["ServiceName"])

    async def _not_found(self, service: ServiceRef, error: NotFound) -> CloudMapError:
        """Return which of the two is not there: the port says NotFound for both."""
        is_there = any(each.spec.ref == service.namespace for each in await self._directory.all())
        return CloudMapError("ServiceNotFound" if is_there else "NamespaceNotFound", str(error))

    # Namespaces and services.

    async def _get_namespace(self, request: Mapping[str, Any], region: str) -> Json:
        return {"Namespace": answers.namespace(await self._directory.namespace("Id", request["Id"]), region)}

    async def _list_namespaces(self, request: Mapping[str, Any], region: str) -> Json:
        """Cloud Map takes a page first and filters it then (ListNamespaces in the API reference): so does this."""
        filters = [selecting.namespaces(each) for each in request.get("Filters", ())]
        found, token = paging.page(sorted(await self._directory.all(), key=_veiled), request, "namespaces", _veiled)
        kept = [answers.namespace_summary(each, region) for each in found if all(keep(each) for keep in filters)]
        return {"Namespaces": kept} | _next(token)

    async def _get_service(self, request: Mapping[str, Any], region: str) -> Json:
        return {"Service": answers.service(await self._directory.service("Id", request["Id"]), region)}

    async def _list_services(self, request: Mapping[str, Any], region: str) -> Json:
        filters = [selecting.services(each) for each in request.get("Filters", ())]
        known = [each for namespace in await self._directory.all() for each in namespace.services]
        items = sorted((each for each in known if all(keep(each) for keep in filters)), key=_veiled)
        found, token = paging.page(items, request, "services", _veiled)
        return {"Services": [answers.service_summary(each, region) for each in found]} | _next(token)

    async def _list_tags(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        can = self._registry.capabilities
        if can.tags and not can.lists_tags:
            raise refusals.untold_tags(self._registry.name)
        found = await self._directory.resource("ResourceARN", request["ResourceARN"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(found.spec.tags.items())]}

    # Instances.

    async def _get_instance(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        known, instances = await self._held(request)
        found = _one(known, instances, request["InstanceId"])
        return {"ResourceOwner": ACCOUNT, "Instance": answers.instance(found)}

    async def _list_instances(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        known, instances = await self._held(request)
        found, token = paging.page(sorted(instances), request, f"instances {known.found.id}", str)
        rows = [answers.instance(instances[each]) for each in found]
        return {"ResourceOwner": ACCOUNT, "Instances": rows} | _next(token)

    async def _health(self, request: Mapping[str, Any], region: str) -> Json:  # noqa: ARG002 - a handler's
        known, instances = await self._held(request)
        wanted = sorted(set(request.get("Instances", instances)))
        status = {each: _one(known, instances, each).health.value for each in wanted}
        found, token = paging.page(wanted, request, f"health {known.found.id}", str)
        return {"Status": {each: status[each] for each in found}} | _next(token)

    async def _held(self, request: Mapping[str, Any]) -> tuple[KnownService, Mapping[str, Instance]]:
        known = await self._directory.service("ServiceId", request["ServiceId"])
        found: Sequence[Instance] = await self._registry.instances(known.spec.ref)
        return known, {each.id: each for each in found}


def _one(known: KnownService, instances: Mapping[str, Instance], wanted: str) -> Instance:
    if wanted not in instances:
        raise CloudMapError("InstanceNotFound", f"Service {known.spec.ref.name!r} has no instance {wanted!r}")
    return instances[wanted]


def _veiled(known: Known | KnownService) -> str:
    return paging.veiled(known.found.id)


def _next(token: str | None) -> Json:
    return {"NextToken": token} if token else {}
