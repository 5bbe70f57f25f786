"""What the registry holds, in memory: reads are dictionary work. SQLite is written first and is the truth.

Records are what is stored of a namespace or service; the objects around them hold what belongs to them and what is
under way. All of it is touched by the event loop only.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.refs import InstanceId

HTTP = "HTTP"
DNS_PRIVATE = "DNS_PRIVATE"
DNS_PUBLIC = "DNS_PUBLIC"

SUBMITTED = "SUBMITTED"
PENDING = "PENDING"
SUCCESS = "SUCCESS"
FAIL = "FAIL"

CREATE_NAMESPACE = "CREATE_NAMESPACE"
UPDATE_NAMESPACE = "UPDATE_NAMESPACE"
DELETE_NAMESPACE = "DELETE_NAMESPACE"
UPDATE_SERVICE = "UPDATE_SERVICE"
REGISTER_INSTANCE = "REGISTER_INSTANCE"
DEREGISTER_INSTANCE = "DEREGISTER_INSTANCE"

_MOST_GONE = 10_000


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """The settings of a registry namespace. `http_name` is unique and is what DiscoverInstances asks for.

    `name` may recur: in another VPC, or in another type. `soa_ttl` is in seconds; None: none was given.
    """

    id: str
    name: str
    http_name: str
    type: str
    created_ms: int
    creator: str = ""
    description: str | None = None
    vpc: str = ""
    hosted_zone_id: str = ""
    soa_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A health check that the registry makes: HTTP, HTTPS or TCP. `threshold` results in a row change a status."""

    type: str
    path: str = ""
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """The settings of a registry service. `records` are (type, TTL in seconds).

    `api_only` and not the absence of records says that there is no DNS: an update may delete all records.
    """

    id: str
    namespace_id: str
    name: str
    created_ms: int
    creator: str = ""
    description: str | None = None
    routing: str = ""
    records: tuple[tuple[str, int], ...] = ()
    api_only: bool = True
    custom_health: bool = False
    check: HealthCheck | None = None

    @property
    def has_health(self) -> bool:
        """Whether its instances have a status: somebody says it, or the registry checks it."""
        return self.custom_health or self.check is not None

    @property
    def record_types(self) -> frozenset[str]:
        """The DNS record types it publishes."""
        return frozenset(type_ for type_, _ in self.records)


class Status(NamedTuple):
    """The health of an instance; where somebody says it, also what it will be from `next_ms` on."""

    health: str
    next_health: str | None = None
    next_ms: int = 0


# The collector need not look at what there are thousands of, and what refers to nothing that refers back: with them its
# full passes took 100 ms, in which nobody was answered.
class Instance(msgspec.Struct, gc=False):
    """An instance. Its mapping of attributes is never changed, only replaced."""

    id: InstanceId
    attributes: Mapping[str, str]
    creator: str = ""
    health: str = "HEALTHY"
    """What the health check of the service says; without one the status is UNKNOWN, whatever stands here."""
    next_health: str | None = None
    next_health_ms: int = 0


class Operation(msgspec.Struct, gc=False):
    """An asynchronous operation; its ids are its targets."""

    sequence: int
    id: str
    type: str
    created_ms: int
    namespace_id: str = ""
    service_id: str = ""
    instance_id: str = ""
    status: str = SUBMITTED
    updated_ms: int = 0
    error_code: str = ""
    error_message: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status in {SUCCESS, FAIL}


class End(NamedTuple):
    """How an operation stands, where it stands otherwise on the disk than yet in memory."""

    status: str
    updated_ms: int
    error_code: str = ""
    error_message: str = ""


@dataclass(slots=True, eq=False)
class Submission:
    """An operation under way. `accepted`: it is durable; `finished`: it has ended, one way or the other."""

    operation: Operation
    request: Mapping[str, Any]
    accepted: asyncio.Future[None]
    finished: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Service:
    """A registry service with its instances. `busy`: operations under way, by instance."""

    record: ServiceRecord
    namespace: "Namespace"
    tags: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes of the service itself; like those of instances, replaced and never changed."""
    instances: dict[str, Instance] = field(default_factory=dict)
    busy: dict[str, Submission] = field(default_factory=dict)
    updating: Submission | None = None
    closing: bool = False
    """Its deletion is being stored: nothing may begin here any more."""
    changes: int = 0
    """Rises with whatever may change the answer to a discovery, its removal included; `touch` counts."""

    def touch(self) -> None:
        """Say that discoveries may have other answers from now on."""
        self.changes += 1

    @property
    def path(self) -> str:
        """Its name with that of its namespace, for people and for the history."""
        return f"{self.namespace.record.http_name}/{self.record.name}"

    @property
    def expected(self) -> int:
        """How many instances it will have at most when everything under way succeeds."""
        return len(self.instances) + sum(1 for instance_id in self.busy if instance_id not in self.instances)


@dataclass(slots=True, eq=False)
class Namespace:
    """A registry namespace with its services, by `service_key`. `busy`: its update or deletion under way."""

    record: NamespaceRecord
    tags: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    busy: Submission | None = None

    def service_key(self, name: str) -> str:
        """Return what must be unique of a service's name: where there is DNS, case does not tell names apart.

        Source: CreateService's Name in the API reference.
        """
        return name if self.record.type == HTTP else name.lower()


class Follower(Protocol):
    """Who is told of each change when it is visible. It neither fails nor waits, and looks for itself what there is."""

    def namespace_changed(self, namespace_id: str) -> None:
        """A namespace was made, changed or removed."""

    def service_changed(self, service_id: str) -> None:
        """A service was made, changed or removed."""

    def instance_changed(self, service_id: str, instance_id: str) -> None:
        """An instance was registered, changed or deregistered, or its health is another one."""


@dataclass(slots=True)
class State:
    """Everything. `arriving`: namespaces whose creation is under way; they are not visible yet.

    What is visible changes by these methods only: they tell the followers.
    """

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    arriving: dict[str, tuple[NamespaceRecord, Submission]] = field(default_factory=dict)
    by_http_name: dict[str, Namespace] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    """The names of namespaces that were removed since this process began, by id: operations still tell of them."""
    services: dict[str, Service] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    log: list[Operation] = field(default_factory=list)
    """The operations in their order, oldest first."""
    sequence: int = 0
    revision: int = 0
    """The highest revision any service ever had: a service made anew must not go back."""
    followers: list[Follower] = field(default_factory=list)

    def add_namespace(self, record: NamespaceRecord, tags: dict[str, str]) -> None:
        """Make a namespace visible."""
        namespace = Namespace(record, tags)
        self.namespaces[record.id] = namespace
        self.by_http_name[record.http_name] = namespace
        for follower in self.followers:
            follower.namespace_changed(record.id)

    def change_namespace(self, namespace: Namespace, record: NamespaceRecord) -> None:
        """Give a namespace other settings."""
        namespace.record = record
        for follower in self.followers:
            follower.namespace_changed(record.id)

    def remove_namespace(self, identifier: str) -> None:
        """Forget a namespace."""
        namespace = self.namespaces.pop(identifier)
        del self.by_http_name[namespace.record.http_name]
        self.gone[identifier] = namespace.record.name
        if len(self.gone) > _MOST_GONE:
            del self.gone[next(iter(self.gone))]
        for follower in self.followers:
            follower.namespace_changed(identifier)

    def add_service(
        self, record: ServiceRecord, tags: dict[str, str], revision: int, attributes: Mapping[str, str] | None = None
    ) -> Service:
        """Make a service visible."""
        namespace = self.namespaces[record.namespace_id]
        service = Service(record, namespace, tags, revision, dict(attributes or {}))
        self.services[record.id] = namespace.services[namespace.service_key(record.name)] = service
        self.revision = max(self.revision, revision)
        for follower in self.followers:
            follower.service_changed(record.id)
        return service

    def change_service(self, service: Service, record: ServiceRecord) -> None:
        """Give a service other settings. A health check that is new or gone leaves nothing of what was known."""
        if renews_health(service.record, record):
            for instance in service.instances.values():
                instance.health, instance.next_health, instance.next_health_ms = Status("HEALTHY")
        service.record = record
        service.touch()
        for follower in self.followers:
            follower.service_changed(record.id)

    def remove_service(self, service: Service) -> None:
        """Forget a service."""
        service.touch()
        del self.services[service.record.id]
        del service.namespace.services[service.namespace.service_key(service.record.name)]
        for follower in self.followers:
            follower.service_changed(service.record.id)

    def put_instance(self, service: Service, instance: Instance, revision: int) -> None:
        """Make an instance visible, in place of what it was."""
        service.instances[instance.id] = instance
        service.revision = revision
        self.instance_changed(service, instance.id)

    def remove_instance(self, service: Service, instance_id: str, revision: int) -> None:
        """Forget an instance."""
        del service.instances[instance_id]
        service.revision = revision
        self.instance_changed(service, instance_id)

    def instance_changed(self, service: Service, instance_id: str) -> None:
        """Tell that an instance is another one, or that its health is."""
        service.touch()
        for follower in self.followers:
            follower.instance_changed(service.record.id, instance_id)

    def set_health(self, service: Service, instance_id: str, status: Status) -> None:
        """Give an instance a status, if it is still there. Every change of health but a new registration's comes here.

        It is looked up anew: between asking and storing it may have been replaced, on the disk as well.
        """
        instance = service.instances.get(instance_id)
        if instance is None:
            return
        is_other = instance.health != status.health
        instance.health, instance.next_health, instance.next_health_ms = status
        if is_other:
            self.instance_changed(service, instance_id)

    def add_operation(self, operation: Operation) -> None:
        """Remember an operation."""
        self.operations[operation.id] = operation
        self.log.append(operation)
        self.sequence = max(self.sequence, operation.sequence)

    def next_revision(self, now_ms: int) -> int:
        """Return a revision that is higher than all before, and the time in milliseconds where that is."""
        self.revision = max(self.revision + 1, now_ms)
        return self.revision

    def service_named(self, namespace_name: str, service_name: str) -> Service:
        """Return a service by its names. Raises CloudMapError NamespaceNotFound or ServiceNotFound."""
        namespace = self.by_http_name.get(namespace_name)
        if namespace is None:
            raise CloudMapError("NamespaceNotFound", f"There is no namespace named {namespace_name!r}")
        service = namespace.services.get(namespace.service_key(service_name))
        if service is None or service.record.name != service_name:
            raise CloudMapError(
                "ServiceNotFound", f"Namespace {namespace_name!r} has no service named {service_name!r}"
            )
        return service


def renews_health(before: ServiceRecord, after: ServiceRecord) -> bool:
    """Whether a change of settings makes or removes the health check, so that all begin anew."""
    return (before.check is None) != (after.check is None)
