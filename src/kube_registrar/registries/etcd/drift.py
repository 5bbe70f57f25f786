"""What CoreDNS reads of an instance, compared with what it should: somebody may have changed it there by hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.model.specs import ServiceSpec
from kube_registrar.registries.etcd import records, skydns
from kube_registrar.registries.etcd.layout import FAMILIES, Layout, name_in
from kube_registrar.registries.etcd.records import InstanceRecord, ServiceRecord
from kube_registrar.registries.etcd.wire import Entry

Shown = Mapping[str, Entry]
"""What was read under the path of CoreDNS, by key."""


def wanted(
    layout: Layout, ref: ServiceRef, spec: ServiceSpec, instance_id: InstanceId, record: InstanceRecord
) -> Mapping[str, bytes | None]:
    """Return what the keys of an instance should hold; None for one that should not be there."""
    if spec.dns is None:
        return {}
    values, prefix = skydns.published(spec, record.instance(instance_id)), layout.shown(ref, instance_id)
    return {f"{prefix}{family}": values.get(family) for family in FAMILIES}


def strayed(keys: Mapping[str, bytes | None], lease: int, shown: Shown) -> Collection[str]:
    """Return the keys that hold something else, or hang on another lease."""
    return [key for key, value in keys.items() if _held(shown.get(key)) != (value and (value, lease))]


def instances(
    layout: Layout, ref: ServiceRef, service: ServiceRecord, entries: Sequence[Entry], shown: Shown
) -> Sequence[Instance]:
    """Read the instances of a service: one of which CoreDNS reads something else is not whole.

    While the service's settings change, what CoreDNS reads is brought to them by whoever changes them.
    """
    spec = service.spec(ref)
    found = []
    for entry in entries:
        instance_id, record = InstanceId(name_in(entry.key)), records.read(entry, InstanceRecord)
        instance = record.instance(instance_id)
        keys = {} if service.unpublished else wanted(layout, ref, spec, instance_id, record)
        found.append(replace(instance, is_whole=False) if strayed(keys, entry.lease, shown) else instance)
    return found


def _held(entry: Entry | None) -> tuple[bytes, int] | None:
    return (entry.value, entry.lease) if entry else None
