"""What a change comes to, given what etcd holds: the operations that make it, an error, or nothing. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.changes import Change, Deregister, Register, SetHealth
from kube_registrar.model.errors import NotFound, Refused, RegistryError
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.model.specs import HealthCheckType, ServiceSpec
from kube_registrar.registries.etcd import drift, records, rules, wire
from kube_registrar.registries.etcd.layout import FAMILIES, Layout
from kube_registrar.registries.etcd.records import InstanceRecord, ServiceRecord
from kube_registrar.registries.etcd.wire import MOST_OPERATIONS, Entry, Guard, Op

OPERATIONS: Final = 1 + len(FAMILIES)
"""Of one change at most, and guards likewise: an instance's own key, and those that CoreDNS reads."""
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
    shown: drift.Shown = field(default_factory=dict)

    @property
    def service_modified(self) -> int:
        """The revision that wrote the service."""
        return self.entry.modified if self.entry else 0

    def modified(self, instance_id: InstanceId) -> int:
        """Return the revision that wrote an instance; 0: it is not there."""
        return self.instances[instance_id].modified if instance_id in self.instances else 0


class Step(NamedTuple):
    """Operations, and what they were decided by; whether they write the instance's own key."""

    ops: Sequence[Op] = ()
    guards: Sequence[Guard] = ()
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """Decides changes of one service. `lease`: what instances hang on; 0: on nothing."""

    layout: Layout
    ref: ServiceRef
    lease: int = 0

    def of(self, change: Change, seen: Seen) -> Step | RegistryError:
        """Return the step that makes a change, an empty one where it is done already, or why it cannot be made."""
        if seen.service is None:
            if isinstance(change, Deregister):
                return Step()
            return NotFound(f"registry service {self.ref} is not there. Create it first")
        spec, held = seen.service.spec(self.ref), seen.instances.get(change.instance_id)
        match change:
            case Register(instance):
                before = records.read(held, InstanceRecord) if held else None
                health = before.health if before else _first(spec, instance.attributes)
                wanted = InstanceRecord(dict(instance.attributes), health)
            case Deregister(instance_id):
                return self._gone(instance_id, held) if held else Step()
            case SetHealth(instance_id, _, health):
                if refused := rules.refused_status(spec, health):
                    return refused
                if held is None:
                    return NotFound(f"instance {instance_id} is not in {self.ref}. Register it first")
                wanted = InstanceRecord(records.read(held, InstanceRecord).attributes, health)
        return self._held(spec, change.instance_id, wanted, seen)

    def published(self, spec: ServiceSpec, instance_id: InstanceId, record: InstanceRecord) -> Sequence[Op]:
        """Return what brings the keys that CoreDNS reads to what an instance is."""
        keys = drift.wanted(self.layout, self.ref, spec, instance_id, record)
        return [self._shown(key, value) for key, value in keys.items()]

    def _shown(self, key: str, value: bytes | None) -> Op:
        return wire.delete(key) if value is None else wire.put(key, value, self.lease)

    def _held(self, spec: ServiceSpec, instance_id: InstanceId, wanted: InstanceRecord, seen: Seen) -> Step:
        key, held = self.layout.instance(self.ref, instance_id), seen.instances.get(instance_id)
        value, guard = records.written(wanted), wire.unchanged(key, seen.modified(instance_id))
        if held and (held.value, held.lease) == (value, self.lease):
            return self._repaired(drift.wanted(self.layout, self.ref, spec, instance_id, wanted), seen.shown, guard)
        own = wire.put(key, value, self.lease)
        return Step([own, *self.published(spec, instance_id, wanted)], [guard], writes=True)

    def _repaired(self, keys: Mapping[str, bytes | None], shown: drift.Shown, guard: Guard) -> Step:
        """Its keys in DNS were written with it, in one transaction: they differ only if somebody else wrote them."""
        strayed = drift.strayed(keys, self.lease, shown)
        guards = [wire.unchanged(key, shown[key].modified if key in shown else 0) for key in strayed]
        return Step([self._shown(key, keys[key]) for key in strayed], [guard, *guards] if strayed else [])

    def _gone(self, instance_id: InstanceId, held: Entry) -> Step:
        own = wire.delete(held.key)
        families = [wire.delete(self.layout.published(self.ref, instance_id, family)) for family in FAMILIES]
        return Step([own, *families], [wire.unchanged(held.key, held.modified)], writes=True)


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
