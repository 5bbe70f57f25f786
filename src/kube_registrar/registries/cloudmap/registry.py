"""The port, spoken to Cloud Map."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from kube_registrar.model.changes import Change, Outcome, Urgency
from kube_registrar.model.errors import NotFound, RegistryError, Unreachable
from kube_registrar.model.instances import Health, Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, ServiceSpec
from kube_registrar.registries.cloudmap.changes import Changes
from kube_registrar.registries.cloudmap.client import Client, open_client
from kube_registrar.registries.cloudmap.doubts import Doubts, Pair
from kube_registrar.registries.cloudmap.names import Names
from kube_registrar.registries.cloudmap.operations import Operations
from kube_registrar.registries.cloudmap.options import Options
from kube_registrar.registries.cloudmap.passage import Passage
from kube_registrar.registries.cloudmap.resources import Resources
from kube_registrar.registries.cloudmap.rules import CAPABILITIES, check_namespace
from kube_registrar.registries.cloudmap.sweep import Sweep
from kube_registrar.registries.limits import Limiter
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.concurrency import Place, Window, in_turn
from kube_registrar.runtime.fence import Fence

_BEGUN_AT_ONCE = 128
"""So many changes of an urgency wait for a token or a thread: more than a burst has, and all that a second takes."""
_MOST_DISCOVERED = 1_000  # DiscoverInstances has no pages, and answers 100 unless asked for more

_log = logging.getLogger(__name__)


@asynccontextmanager
async def connect(
    options: Options, name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator["CloudMapRegistry"]:
    """Give an open registry. Raises UserError if the AWS SDK cannot be set up."""
    async with open_client(options, name, clock, fence) as client:
        sweep = Sweep(client, clock)
        try:
            yield CloudMapRegistry(client, name, clock, sweep, options.poll_seconds)
        finally:
            await sweep.aclose()


class CloudMapRegistry:
    """A `kube_registrar.registries.port.Registry`: the Cloud Map of one account and Region."""

    def __init__(self, client: Client, name: RegistryName, clock: Clock, sweep: Sweep, poll_seconds: float) -> None:
        self._name = name
        self._client = client
        self._names = Names(client, name)
        operations = Operations(client, clock, sweep, poll_seconds)
        self._resources = Resources(client, self._names, operations, name)
        self._changes = Changes(client, self._names, operations, Doubts(clock.monotonic))
        self._passages: dict[Pair, Passage] = {}
        self._windows = {urgency: Window(_BEGUN_AT_ONCE) for urgency in Urgency}

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What Cloud Map can do."""
        return CAPABILITIES

    @property
    def limiter(self) -> Limiter:
        """The rates that its calls keep to."""
        return self._client.limiter

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one; lists tell neither tags nor creators."""
        return await (self._names.namespaces() if parent is None else self._names.services(parent))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, use it or update it. A service's settings cannot be updated in an HTTP namespace."""
        if isinstance(spec, NamespaceSpec):
            check_namespace(spec)
            return await self._resources.ensure_namespace(spec, creator, policy)
        return await self._resources.ensure_service(spec, creator, policy)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it and return once confirmed."""
        if isinstance(ref, NamespaceRef):
            await self._resources.remove_namespace(ref)
        else:
            await self._resources.remove_service(ref)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances, and their statuses where the service has a health check."""
        about = f"listing the instances of {service}"
        try:
            return await self._instances(await self._names.service(service), about)
        except NotFound:
            self._names.forget(service)
        return await self._instances(await self._names.service(service), about)

    async def _instances(self, known: Found, about: str) -> Sequence[Instance]:
        listed = await self._client.pages("ListInstances", {"ServiceId": known.id}, "Instances", about)
        checked = isinstance(known.spec, ServiceSpec) and known.spec.health_check is not HealthCheckType.NONE
        statuses = await self._statuses(known, about) if checked and listed else {}
        return tuple(
            Instance(InstanceId(json["Id"]), json.get("Attributes", {}), statuses.get(json["Id"], Health.UNKNOWN))
            for json in listed
        )

    async def _statuses(self, known: Found, about: str) -> Mapping[str, Health]:
        """Return the status of each instance. The SDK has no paginator for it: `Status` is a map, not a list."""
        statuses, token = dict[str, Health](), None
        while True:
            request = {"ServiceId": known.id, "MaxResults": 100, **({"NextToken": token} if token else {})}
            page = await self._client.call("GetInstancesHealthStatus", request, about)
            statuses |= {instance_id: Health(status) for instance_id, status in page.get("Status", {}).items()}
            token = page.get("NextToken")
            if not token:
                return statuses

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Send all changes, as fast as the rates allow, and yield their outcomes as they are confirmed."""
        passages = {
            (service, change.instance_id): Passage(f"changing {change.instance_id} in {service}") for change in changes
        }
        self._passages |= passages
        line = [
            (self._windows[each.urgency], partial(self._apply, service, each, passages[service, each.instance_id]))
            for each in changes
        ]
        try:
            async with aclosing(in_turn(line)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            for pair, each in passages.items():
                if self._passages.get(pair) is each:
                    del self._passages[pair]

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """Drop the changes of these that wait; one that stands in line says so when its turn comes.

        One that was sent goes on, unless it is turned away: what was throttled, or waits for somebody else's
        operation, was not made.
        """
        for instance_id in instances:
            passage = self._passages.get((service, instance_id))
            if passage is not None:
                passage.withdraw()

    async def _apply(self, service: ServiceRef, change: Change, passage: Passage, place: Place) -> Outcome:
        try:
            passage.begin()
            await self._changes.make(service, change, passage, place.leave)
        except asyncio.CancelledError:
            withdrawn = passage.withdrawn()
            if withdrawn is None:
                raise
            return Outcome(change, withdrawn)
        except RegistryError as error:
            return Outcome(change, error)
        except Exception as error:  # noqa: BLE001 - a surprise in one change must not lose the others' outcomes
            _log.exception("changing %s in %s failed unexpectedly", change.instance_id, service)
            text = f"changing {change.instance_id} in {service} failed unexpectedly: {type(error).__name__}"
            return Outcome(change, Unreachable(text, doubtful=True))
        return Outcome(change)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer as DiscoverInstances does, up to 1,000 instances unless `max_results` says fewer."""
        namespace = query.service.namespace
        tried = self._names.http_name(namespace)
        try:
            return await self._discover(query, tried)
        except NotFound:
            known = await self._names.namespace(namespace, fresh=True)
            if known.http_name == tried:
                raise
        return await self._discover(query, known.http_name)

    async def _discover(self, query: Query, http_name: str) -> Sequence[Instance]:
        request = {
            "NamespaceName": http_name,
            "ServiceName": query.service.name,
            "MaxResults": query.max_results or _MOST_DISCOVERED,
            "QueryParameters": dict(query.parameters),
            "OptionalParameters": dict(query.optional_parameters),
            "HealthStatus": query.health.value,
            "OwnerAccount": self._names.owner_account(query.service.namespace),
        }
        given = {key: value for key, value in request.items() if value}
        answer = await self._client.call("DiscoverInstances", given, f"discovering {query.service}")
        return tuple(
            Instance(InstanceId(json["InstanceId"]), json.get("Attributes", {}), Health(json["HealthStatus"]))
            for json in answer["Instances"]
        )
