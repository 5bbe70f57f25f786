"""Which instances belong to a cluster, and what a takeover makes of one: values in, values out.

Names and UIDs are compared whole: the instances of `prod` are never those of `prod-eu`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused, UserError
from kube_registrar.model.identity import is_estranged, is_own, origin_of
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, Origin, ServiceRef, Uid
from kube_registrar.registries.port import Capabilities


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance that names its cluster, as it was read. `custom_health`: of its registry service."""

    service: ServiceRef
    instance: Instance
    custom_health: bool = False

    @property
    def uid(self) -> Uid:
        """The UID of its cluster."""
        return Uid(self.instance.attributes[keys.CLUSTER_UID])

    @property
    def name(self) -> str:
        """The name of its cluster; empty where it has none."""
        return self.instance.attributes.get(keys.CLUSTER, "")

    @property
    def origin(self) -> Origin:
        """The Kubernetes object that it stands for."""
        return origin_of(self.instance.attributes)


def entry_of(service: ServiceRef, instance: Instance, *, custom_health: bool = False) -> Entry | None:
    """Return the instance with its service if it is some cluster's own; None: somebody else made it."""
    uid = instance.attributes.get(keys.CLUSTER_UID, "")
    if not uid or not is_own(instance.attributes, Uid(uid)):
        return None
    return Entry(service, instance, custom_health)


def of_cluster(entries: Iterable[Entry], cluster: str, connected: Uid | None) -> Sequence[Entry]:
    """Return the instances of the cluster with this UID or, where no instance has that UID, with this name.

    Raises UserError where the name is that of several clusters, and where it is the one that we are connected to.
    """
    entries = list(entries)
    found = [entry for entry in entries if entry.uid == cluster]
    found = found or [entry for entry in entries if entry.name == cluster]
    uids = Counter(entry.uid for entry in found)
    if len(uids) > 1:
        listed = ", ".join(_counted(uid, count, connected) for uid, count in sorted(uids.items()))
        raise UserError(f"{len(uids)} clusters are called {cluster!r}: {listed}. Choose one of these UIDs")
    if connected is not None and connected in {*uids, cluster}:
        after = (
            ""
            if cluster == connected
            else f"; what has another name, after `kube-registrar takeover --from {connected}`"
        )
        raise UserError(f"{cluster!r} is the cluster you are connected to ({connected}): its operator does that{after}")
    return found


def _counted(uid: Uid, count: int, connected: Uid | None) -> str:
    what = f"{uid} with {instances(count)}"
    return f"{what} (the one you are connected to)" if uid == connected else what


def to_take_over(entries: Iterable[Entry], old: Uid, new: Uid, name: str) -> Sequence[Entry]:
    """Return the instances of cluster `old`; if that is `new` itself, those with another name than its `name`."""
    found = [entry for entry in entries if entry.uid == old]
    return found if old != new else [entry for entry in found if is_estranged(entry.instance.attributes, new, name)]


def taken_over(entry: Entry, new: Uid, name: str, can: Capabilities) -> Instance:
    """Return the instance as `new` will own it, all other attributes as they are.

    `name`: that of the cluster; where it has none the instance loses the one it has, or nobody would own it. Where the
    registry has no room for one more, what is for people makes room: KUBE_CLUSTER, then KUBE_WORKLOAD. Raises Refused
    where that is not enough.
    """
    attributes = {**entry.instance.attributes, keys.CLUSTER_UID: new, keys.TAKEN_OVER: entry.uid, keys.CLUSTER: name}
    if not name:
        del attributes[keys.CLUSTER]
    if entry.custom_health and entry.instance.health is not Health.UNKNOWN:
        # A register sets the status anew: it must not become healthy by changing hands.
        attributes[keys.INIT_HEALTH] = entry.instance.health.value
    for key in (keys.CLUSTER, keys.WORKLOAD):
        if not _has_room(attributes, can):
            attributes.pop(key, None)
    if not _has_room(attributes, can):
        # Without the note a running operator would take it for the work of a clone of its cluster, and stop removing.
        raise Refused(f"it has no room for {keys.TAKEN_OVER}: remove it with `kube-registrar gc --cluster {entry.uid}`")
    return Instance(entry.instance.id, attributes, entry.instance.health)


def _has_room(attributes: Mapping[str, str], can: Capabilities) -> bool:
    custom = sum(map(keys.is_custom, attributes))
    characters = sum(len(key) + len(value) for key, value in attributes.items())
    return (can.max_attributes is None or custom <= can.max_attributes) and (
        can.max_attribute_characters is None or characters <= can.max_attribute_characters
    )


def clusters(entries: Iterable[Entry]) -> str:
    """Say which clusters have instances, each with its names and count; empty where none has any."""
    names: dict[Uid, set[str]] = {}
    counts: Counter[Uid] = Counter()
    for entry in entries:
        names.setdefault(entry.uid, set()).add(entry.name)
        counts[entry.uid] += 1
    return ", ".join(_named(uid, names[uid] - {""}, counts[uid]) for uid in sorted(counts))


def _named(uid: Uid, names: Iterable[str], count: int) -> str:
    called = f" ({', '.join(sorted(names))})" if names else ""
    return f"{uid}{called} with {instances(count)}"


def signs_of_life(before: Iterable[Entry], after: Iterable[Entry]) -> Sequence[str]:
    """Say what came or changed between two readings of one cluster's instances: somebody writes them.

    What went is none: it may be what this program does, or a registry service that was removed.
    """
    known = {(entry.service, entry.instance.id): entry for entry in before}
    found = []
    for entry in after:
        earlier = known.get((entry.service, entry.instance.id))
        if earlier is None:
            found.append(f"{entry.instance.id} came to {entry.service}")
        elif earlier.instance.attributes != entry.instance.attributes:
            found.append(f"{entry.instance.id} in {entry.service} changed")
    return found


@dataclass(frozen=True, slots=True)
class Sorted:
    """What a second look at shown instances of one service says of each."""

    same: Sequence[Entry] = ()
    gone: Sequence[Entry] = ()
    moved: Sequence[Entry] = ()
    """It is another cluster's now, or nobody's: left alone."""
    changed: Sequence[Entry] = ()
    """Somebody has written it since: left alone."""
    newcomers: Sequence[Entry] = ()
    """Instances of the same cluster that were not shown: it lives, or something writes in its name."""


def looked_again(shown: Sequence[Entry], known: Iterable[InstanceId], listed: Iterable[Instance]) -> Sorted:
    """Compare instances that were shown, all of one service and one cluster, with what is there now.

    `known`: the ids of all that were shown in this service, not only of those that are dealt with now.
    """
    there = {instance.id: instance for instance in listed}
    known = set(known)
    same, gone, moved, changed = [], [], [], []
    for entry in shown:
        now = there.get(entry.instance.id)
        if now is None:
            gone.append(entry)
        elif _cluster_of(now) != _cluster_of(entry.instance):
            moved.append(entry)
        elif now.attributes != entry.instance.attributes:
            changed.append(entry)
        else:
            same.append(Entry(entry.service, now, entry.custom_health))  # its health is that of now
    whose = {_cluster_of(entry.instance) for entry in shown}
    fresh = [entry_of(shown[0].service, one) for one in there.values() if one.id not in known] if shown else []
    newcomers = [one for one in fresh if one is not None and _cluster_of(one.instance) in whose]
    return Sorted(same, gone, moved, changed, newcomers)


def _cluster_of(instance: Instance) -> tuple[str, str]:
    return instance.attributes.get(keys.CLUSTER_UID, ""), instance.attributes.get(keys.CLUSTER, "")


def instances(count: int) -> str:
    """Return `1 instance`, `2 instances`."""
    return f"{count} instance" if count == 1 else f"{count} instances"
