"""The state of a FakeRegistry: registry namespaces, services and instances in dictionaries, without time or faults."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Register
from kube_registrar.model.errors import Conflict, NotFound, Refused
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.ownership import owns
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.registries.refusals import refused_instance, refused_spec

Spec = NamespaceSpec | ServiceSpec
Ref = NamespaceRef | ServiceRef


@dataclass(frozen=True, slots=True)
class Effect:
    """One write that took effect, at monotonic time `at`.

    `attributes` and `health` are what the instance has afterwards; `attributes` None: it is gone.
    `foreign`: written by `put` or `drop`, so by somebody else.
    """

    at: float
    service: ServiceRef
    instance: InstanceId
    attributes: Mapping[str, str] | None
    health: Health = Health.UNKNOWN
    foreign: bool = False


class Memory:
    """Everything synchronous; errors are those of the port. `now` gives the time for the history."""

    def __init__(self, capabilities: Capabilities, now: Callable[[], float]) -> None:
        self.history: list[Effect] = []
        self._capabilities = capabilities
        self._now = now
        self._ids = itertools.count(1)
        self._found: dict[Ref, Found] = {}
        self._instances: dict[ServiceRef, dict[InstanceId, Instance]] = {}

    def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one; NotFound."""
        if parent is None:
            return tuple(found for ref, found in self._found.items() if isinstance(ref, NamespaceRef))
        self._namespace(parent)
        return tuple(self._found[ref] for ref in self._instances if ref.namespace == parent)

    def create(self, spec: Spec, creator: str | None) -> Found:
        """Make it; NotFound, Refused."""
        namespace = self._namespace(spec.ref.namespace) if isinstance(spec, ServiceSpec) else None
        if refused := refused_spec(spec, namespace, self._capabilities):
            raise refused
        kind = "srv" if isinstance(spec, ServiceSpec) else "ns"
        found = Found(spec, f"{kind}-{next(self._ids):016}", created_by=creator)
        self._found[spec.ref] = found
        if isinstance(spec, ServiceSpec):
            self._instances[spec.ref] = {}
        return found

    def ensure(self, spec: Spec, creator: str, policy: CreationPolicy) -> Found:
        """Make, use or update it, as the port says; NotFound, Conflict, Refused."""
        found = self._found.get(spec.ref)
        if isinstance(spec, NamespaceSpec) and spec.arn and (found is None or found.arn != spec.arn):
            raise NotFound(f"there is no {spec.ref} of the ARN {spec.arn}. Correct it, or leave it out")
        if found is None and policy is CreationPolicy.ADOPT:
            raise NotFound(
                f"{spec.ref} is not there, and its creation policy is Adopt. Create it, or change the policy"
            )
        if found is None:
            return self.create(spec, creator)
        if difference := _difference(found.spec, spec):
            raise Conflict(
                f"{spec.ref} exists with {difference}. Choose another name, or ask for the same", found=found
            )
        if owns(found.spec.tags, spec.tags, made=found.created_by == creator):
            tags = {**found.spec.tags, **spec.tags}
            self._found[spec.ref] = dataclasses.replace(found, spec=dataclasses.replace(spec, tags=tags))
        elif policy is CreationPolicy.CREATE:
            raise Conflict(f"{spec.ref} exists and was made by {found.created_by or 'somebody else'}", found=found)
        return self._found[spec.ref]

    def remove(self, ref: Ref) -> None:
        """Remove it if it is empty; what is gone is done. Conflict."""
        inside = (
            self._instances.get(ref)
            if isinstance(ref, ServiceRef)
            else [s for s in self._instances if s.namespace == ref]
        )
        if inside:
            raise Conflict(
                f"{ref} is not empty: it holds {len(inside)}. Remove what it holds first", found=tuple(inside)
            )
        self._found.pop(ref, None)
        if isinstance(ref, ServiceRef):
            self._instances.pop(ref, None)

    def instances(self, service: ServiceRef) -> dict[InstanceId, Instance]:
        """Return a copy of what a service holds; NotFound."""
        self._service(service)
        return dict(self._instances[service])

    def change(self, service: ServiceRef, change: Change) -> None:
        """Make one change; NotFound, Refused."""
        if isinstance(change, Deregister) and service not in self._instances:
            return
        self._service(service)
        if isinstance(change, Register):
            self._register(service, change.instance)
        elif isinstance(change, Deregister):
            self.erase(service, change.instance_id)
        else:
            self._set_health(service, change.instance_id, change.health)

    def write(self, service: ServiceRef, instance: Instance, *, foreign: bool = False) -> None:
        """Write an instance past all rules; NotFound if the service is not there."""
        self._service(service)
        self._instances[service][instance.id] = instance
        self.history.append(
            Effect(self._now(), service, instance.id, dict(instance.attributes), instance.health, foreign)
        )

    def erase(self, service: ServiceRef, instance_id: InstanceId, *, foreign: bool = False) -> None:
        """Remove an instance; nothing happens if it is gone."""
        if self._instances[service].pop(instance_id, None) is not None:
            self.history.append(Effect(self._now(), service, instance_id, None, foreign=foreign))

    def _register(self, service: ServiceRef, instance: Instance) -> None:
        held, limit = self._instances[service], self._capabilities.max_instances
        if refused := refused_instance(instance, self._capabilities):
            raise refused
        if limit is not None and instance.id not in held and len(held) >= limit:
            rule = f"at most {limit} instances in a service"
            raise Refused(f"{service} is full; allowed: {rule}. Use a second service", field="instances", rule=rule)
        before = held.get(instance.id)
        health = before.health if before else _first_health(self._spec(service), instance)
        self.write(service, Instance(instance.id, dict(instance.attributes), health))

    def check_health(self, service: ServiceRef, instance_id: InstanceId, health: Health) -> Instance:
        """Return the instance whose status may be set; NotFound, Refused."""
        self._service(service)
        if self._spec(service).health_check is not HealthCheckType.CUSTOM or health is Health.UNKNOWN:
            rule = "HEALTHY or UNHEALTHY, in a service with custom health checks"
            raise Refused(f"{service} takes no status {health}; allowed: {rule}", field="health", rule=rule)
        held = self._instances[service].get(instance_id)
        if held is None:
            raise NotFound(f"instance {instance_id} is not in {service}. Register it first")
        return held

    def _set_health(self, service: ServiceRef, instance_id: InstanceId, health: Health) -> None:
        held = self.check_health(service, instance_id, health)
        self.write(service, dataclasses.replace(held, health=health))

    def _namespace(self, ref: NamespaceRef) -> NamespaceSpec:
        found = self._found.get(ref)
        if found is None or not isinstance(found.spec, NamespaceSpec):
            raise NotFound(f"registry namespace {ref} is not there. Create it first")
        return found.spec

    def _service(self, ref: ServiceRef) -> None:
        self._namespace(ref.namespace)
        if ref not in self._instances:
            raise NotFound(f"registry service {ref} is not there. Create it first")

    def _spec(self, ref: ServiceRef) -> ServiceSpec:
        spec = self._found[ref].spec
        assert isinstance(spec, ServiceSpec)  # noqa: S101 - service refs lead to service specs
        return spec


def _difference(there: Spec, asked: Spec) -> str:
    if isinstance(there, NamespaceSpec) and isinstance(asked, NamespaceSpec):
        return "" if there.type is asked.type else f"type {there.type}, not {asked.type}"
    if isinstance(there, ServiceSpec) and isinstance(asked, ServiceSpec) and there.record_types != asked.record_types:
        return f"records {sorted(there.record_types)}, not {sorted(asked.record_types)}"
    return ""


def _first_health(service: ServiceSpec, instance: Instance) -> Health:
    if service.health_check is HealthCheckType.NONE:
        return Health.UNKNOWN
    return Health(instance.attributes.get(keys.INIT_HEALTH, Health.HEALTHY))
