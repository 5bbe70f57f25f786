"""What a change comes to, given what etcd holds: the operations that make it, an error, or nothing. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.changes import Change, Deregister, Register, SetHealth
from kube_registrar.model.errors import NotFound, Refused, RegistryError
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.model.specs import HealthCheckType, ServiceSpec
from kube_registrar.registries.etcd import records, rules, skydns, wire
from kube_registrar.registries.etcd.layout import FAMILIES, Layout
from kube_registrar.registries.etcd.records import InstanceRecord, ServiceRecord
from kube_registrar.registries.etcd.wire import MOST_OPERATIONS, Entry, Op

OPERATIONS: Final = 1 + len(FAMILIES)
"""Of one change at most: an instance's own key, and those that CoreDNS reads."""
MOST_CHANGES: Final = (MOST_OPERATIONS - 1) // OPERATIONS
"""Of one transaction; one guard more is the service's."""
_MOST_BYTES: Final = 1_000_000
"""Of one transaction, by the worst that JSON makes of a character; etcd takes 1.5 MiB."""
_BYTES_OF_CHARACTER: Final = 6
_BYTES_BESIDE: Final = 3_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What etcd holds of a service and of the instances that were asked for."""

    entry: Entry | None
    service: ServiceRecord | None
    instances: Mapping[InstanceId, Entry] = field(default_factory=dict)

    @property
    def service_modified(self) -> int:
        """The revision that wrote the service."""
        return self.entry.modified if self.entry else 0

    def modified(self, instance_id: InstanceId) -> int:
        """Return the revision that wrote an instance; 0: it is not there."""
        return self.instances[instance_id].modified if instance_id in self.instances else 0


@dataclass(frozen=True, slots=True)
class Steps:
    """Decides changes of one service. `lease`: what instances hang on; 0: on nothing."""

    layout: Layout
    ref: ServiceRef
    lease: int = 0

    def of(self, change: Change, seen: Seen) -> Sequence[Op] | RegistryError:
        """Return the operations of a change, none where it is done already, or why it cannot be made."""
        if seen.service is None:
            if isinstance(change, Deregister):
                return ()
            return NotFound(f"registry service {self.ref} is not there. Create it first")
        spec, held = seen.service.spec(self.ref), seen.instances.get(change.instance_id)
        match change:
            case Register(instance):
                before = records.read(held, InstanceRecord) if held else None
                health = before.health if before else _first(spec, instance.attributes)
                wanted = InstanceRecord(dict(instance.attributes), health)
            case Deregister(instance_id):
                return self._gone(instance_id) if held else ()
            case SetHealth(instance_id, _, health):
                if refused := rules.refused_status(spec, health):
                    return refused
                if held is None:
                    return NotFound(f"instance {instance_id} is not in {self.ref}. Register it first")
                wanted = InstanceRecord(records.read(held, InstanceRecord).attributes, health)
        return self._held(spec, change.instance_id, wanted, held)

    def published(self, spec: ServiceSpec, instance_id: InstanceId, record: InstanceRecord) -> Sequence[Op]:
        """Return what brings the keys that CoreDNS reads to what an instance is."""
        shown = skydns.published(spec, record.instance(instance_id))
        keys = {family: self.layout.published(self.ref, instance_id, family) for family in FAMILIES if spec.dns}
        return [
            wire.put(key, shown[family], self.lease) if family in shown else wire.delete(key)
            for family, key in keys.items()
        ]

    def _held(
        self, spec: ServiceSpec, instance_id: InstanceId, wanted: InstanceRecord, held: Entry | None
    ) -> Sequence[Op]:
        value = records.written(wanted)
        if held and (held.value, held.lease) == (value, self.lease):
            return ()  # its keys in DNS were written with it, in one transaction
        own = wire.put(self.layout.instance(self.ref, instance_id), value, self.lease)
        return [own, *self.published(spec, instance_id, wanted)]

    def _gone(self, instance_id: InstanceId) -> Sequence[Op]:
        own = wire.delete(self.layout.instance(self.ref, instance_id))
        return [own, *(wire.delete(self.layout.published(self.ref, instance_id, family)) for family in FAMILIES)]


def refused(change: Change) -> Refused | None:
    """Return why a change is never taken, wherever it is to be made; None if it is."""
    return rules.refused_instance(change.instance) if isinstance(change, Register) else None


def batches(changes: Sequence[Change]) -> Sequence[Sequence[Change]]:
    """Cut changes into what fits into one transaction, the most urgent first."""
    cut: list[list[Change]] = []
    left = 0
    for change in sorted(changes, key=lambda each: each.urgency):
        size = _size(change)
        if not cut or len(cut[-1]) == MOST_CHANGES or size > left:
            cut.append([])
            left = _MOST_BYTES
        cut[-1].append(change)
        left -= size
    return cut


def _size(change: Change) -> int:
    characters = rules.size(change.instance.attributes) if isinstance(change, Register) else 0
    return _BYTES_BESIDE + characters * _BYTES_OF_CHARACTER


def _first(spec: ServiceSpec, attributes: Mapping[str, str]) -> Health:
    if spec.health_check is HealthCheckType.NONE:
        return Health.UNKNOWN
    return Health(attributes.get(INIT_HEALTH, Health.HEALTHY))
