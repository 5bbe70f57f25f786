"""The instances of a service, as Consul's catalog has them, and what is remembered of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.consul.client import Client
from kube_registrar.registries.consul.entries import Entry, entry_of
from kube_registrar.registries.consul.records import ServiceRecord
from kube_registrar.registries.consul.shelf import CONSISTENT
from kube_registrar.registries.versions import Versions


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance of ours stands, and the status that it had when it was last read or written."""

    node: str
    health: Health


class Reading:
    """Reads services in full. An instance of ours may stand on another node than this registry's: it was renamed."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self.versions = Versions()
        """By which index each instance of ours was last written, as far as was read."""
        self._places: dict[ServiceRef, dict[InstanceId, Place]] = {}
        self._is_node_ours = False

    async def entries(self, ref: ServiceRef, record: ServiceRecord, *, is_consistent: bool = True) -> Sequence[Entry]:
        """Return all instances; one that stands on two nodes counts where this registry would write it."""
        path = f"/v1/health/service/{quote(record.name, safe='')}"
        about = f"listing the instances of {ref}"
        answer = await self._client.read(path, about, CONSISTENT if is_consistent else {})
        found = dict[InstanceId, Entry]()
        for each in answer.json or ():
            entry = entry_of(each, record.name, has_status=record.custom_health)
            if entry.instance.id not in found or entry.node == self._node:
                found[entry.instance.id] = entry
        if is_consistent:
            self._places[ref] = {
                name: Place(entry.node, entry.instance.health) for name, entry in found.items() if entry.is_ours
            }
            written = {
                each.key: each.index
                for each in found.values()
                if each.key and each.node == self.place_of(ref, each.key).node
            }
            self.versions.listed(ref, written, answer.index)
        return list(found.values())

    async def once(self, ref: ServiceRef, record: ServiceRecord) -> None:
        """Read a service in full unless it was: what is put into it is guarded by what was read."""
        if not self.versions.is_listed(ref):
            await self.entries(ref, record)

    async def check_node(self, about: str) -> None:
        """Raise Refused if the node to write on is an agent's, which would take out what it does not know.

        Agents give their nodes an id, and ours has none. Asked once.
        """
        if self._is_node_ours:
            return
        answer = await self._client.read("/v1/catalog/nodes", about, {"filter": f'Node == "{self._node}"'})
        if any(each.get("ID") for each in answer.json or ()):
            raise self._client.faults.of_agents_node(about)
        self._is_node_ours = True

    def place_of(self, ref: ServiceRef, instance: InstanceId) -> Place:
        """Return where to write an instance, and its status: UNKNOWN where it is not known to be there."""
        return self._places.get(ref, {}).get(instance) or Place(self._node, Health.UNKNOWN)

    def wrote(self, ref: ServiceRef, instance: InstanceId, place: Place | None) -> None:
        """Note what became of an instance; None: it is gone."""
        if place is None:
            self._places.get(ref, {}).pop(instance, None)
        else:
            self._places.setdefault(ref, {})[instance] = place

    def forget(self, ref: ServiceRef) -> None:
        """Forget what was read of a service."""
        self._places.pop(ref, None)
        self.versions.forget(ref)
