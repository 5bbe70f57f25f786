"""Changes of instances, made in transactions of Consul: all operations of one, or none.

A transaction has 64 operations at most, which every version of Consul takes. Where it is rolled back Consul says which
operations it did not take: these changes get their errors, and the others are sent again without them. The first
operation names the index of the service's record, so nothing is put into a service that is gone, or another one; each
register names that of the entry which was listed, so it replaces nothing that somebody else has written since.

A write of whose end nobody heard may land later. Before the next write of that service its record is written anew
(`Resources.renew`), which keeps such a straggler from landing ever after: so what is done then stays done.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Forbidden, NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.consul import rules
from kube_registrar.registries.consul.client import Client, RolledBack
from kube_registrar.registries.consul.entries import check_json, service_json
from kube_registrar.registries.consul.names import service_id
from kube_registrar.registries.consul.reading import Place, Reading
from kube_registrar.registries.consul.records import ServiceRecord, Stored, unchanged
from kube_registrar.registries.consul.resources import Resources
from kube_registrar.registries.consul.shelf import Shelf
from kube_registrar.registries.versions import overtaken

MOST_OPERATIONS: Final = 64
MOST_BYTES: Final = 400_000
"""Of one transaction; Consul takes 512 KiB (txn_max_req_len)."""
_MOST_OF_A_CHANGE: Final = 2
_CHANGES: Final = (MOST_OPERATIONS - 2) // _MOST_OF_A_CHANGE  # less the record's index, and the node
_TRIES: Final = 8
_NODE_META: Final = {"external-source": "kube-registrar"}
_NODE_ADDRESS: Final = "127.0.0.1"  # it stands for no machine: every instance has an address of its own

_STALE: Final = "index is stale"
"""What Consul says where an entry is not as it was when it was listed."""

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A change with its operations; `place`: where its instance stands once they are made, None if nowhere."""

    change: Change
    operations: Sequence[JsonObject]
    place: Place | None


@dataclass(slots=True)
class _Batch:
    """A transaction: its operations, and of which change each is; None: of all."""

    operations: list[JsonObject] = field(default_factory=list)
    owners: list[_Prepared | None] = field(default_factory=list)

    def add(self, operations: Sequence[JsonObject], owner: _Prepared | None) -> None:
        """Put operations at the end."""
        self.operations += operations
        self.owners += [owner] * len(operations)


@dataclass(frozen=True, slots=True)
class _Committed:
    """A transaction that was made: by which index each entry was written, by its id in Consul."""

    indexes: Mapping[str, int]


class Changes:
    """What `apply` does."""

    def __init__(self, client: Client, shelf: Shelf, reading: Reading, resources: Resources, node: str) -> None:
        self._client = client
        self._shelf = shelf
        self._reading = reading
        self._resources = resources
        self._node = node
        self._stragglers: Counter[ServiceRef] = Counter()
        """How many writes of a service have no known end."""

    async def apply(self, ref: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Make all changes, the most urgent first, and yield their outcomes, transaction by transaction."""
        waiting = sorted(changes, key=lambda change: change.urgency)
        for start in range(0, len(waiting), _CHANGES):
            for outcome in await self._make(ref, waiting[start : start + _CHANGES]):
                yield outcome

    async def _make(self, ref: ServiceRef, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Make changes that fit into one transaction."""
        about = f"changing {_named(changes)} in {ref}"
        outcomes, left = list[Outcome](), list(changes)
        for _ in range(_TRIES):
            try:
                self._client.fence.check(about)
                there = await self._service(ref, about)
                if any(isinstance(change, Register) for change in left):
                    await self._reading.check_node(about)
                    await self._reading.once(ref, there.record)
            except NotFound as error:
                return outcomes + [_absent(change, error) for change in left]
            except RegistryError as error:
                return outcomes + [Outcome(change, error) for change in left]
            prepared, refusals = self._prepared(ref, there.record, left)
            outcomes += refusals
            if not prepared:
                return outcomes
            batch = self._batch(there, prepared)
            if len(prepared) > 1 and len(msgspec.json.encode(batch.operations)) > MOST_BYTES:
                return outcomes + await self._halves(ref, [each.change for each in prepared])
            failed = await self._send(ref, batch, about)
            if isinstance(failed, _Committed):
                return outcomes + self._made(ref, there.record.name, prepared, failed)
            if isinstance(failed, RegistryError):
                return outcomes + [Outcome(each.change, failed) for each in prepared]
            outcomes += failed
            done = {outcome.change.instance_id for outcome in failed}
            left = [each.change for each in prepared if each.change.instance_id not in done]
            if not left:
                return outcomes
        contended = Retryable(f"{about}: others write there all the time", after=0.5)
        return outcomes + [Outcome(change, contended) for change in left]

    async def _halves(self, ref: ServiceRef, changes: Sequence[Change]) -> list[Outcome]:
        middle = len(changes) // 2
        return [*await self._make(ref, changes[:middle]), *await self._make(ref, changes[middle:])]

    async def _service(self, ref: ServiceRef, about: str) -> Stored[ServiceRecord]:
        """Return the service's record; where stragglers may land, once they no more can. Raises NotFound."""
        if stragglers := self._stragglers[ref]:
            try:
                there: Stored[ServiceRecord] | None = await self._resources.renew(ref, about)
            except NotFound:
                there = None  # then nothing of it can land
            if self._stragglers[ref] == stragglers:
                del self._stragglers[ref]
        else:
            there = self._shelf.known(ref)
            if there is None or there.record.removing:  # somebody may have given that up
                there = await self._shelf.service(ref)
        if there is None:
            raise self._shelf.no_service(ref)
        if there.record.removing:
            raise Retryable(f"{about}: the service is about to be removed", after=1.0)
        return there

    # What is sent.

    def _prepared(
        self, ref: ServiceRef, record: ServiceRecord, changes: Sequence[Change]
    ) -> tuple[list[_Prepared], list[Outcome]]:
        prepared, refusals = list[_Prepared](), list[Outcome]()
        for change in changes:
            try:
                prepared.append(self._prepare(ref, record, change))
            except Refused as error:
                refusals.append(Outcome(change, error))
        return prepared, refusals

    def _prepare(self, ref: ServiceRef, record: ServiceRecord, change: Change) -> _Prepared:
        place = self._reading.place_of(ref, change.instance_id)
        match change:
            case Register(instance):
                return self._register(ref, record, change, instance, place)
            case Deregister(instance_id):
                gone = {"ID": service_id(record.name, instance_id), "Service": record.name}
                operation = {"Service": {"Verb": "delete", "Node": place.node, "Service": gone}}
                return _Prepared(change, [operation], None)
            case SetHealth(instance_id, _, health):
                _check_status(ref, record, health)
                check = check_json(place.node, record.name, instance_id, health)
                return _Prepared(change, [{"Check": {"Verb": "set", "Check": check}}], Place(place.node, health))

    def _register(
        self, ref: ServiceRef, record: ServiceRecord, change: Register, instance: Instance, place: Place
    ) -> _Prepared:
        """Prepare an upsert. The status of an instance that is there stays, unless a first one is given."""
        rules.check_instance(instance)
        first = instance.attributes.get(INIT_HEALTH)
        service = service_json(ref, record.name, instance, self._reading.versions.of(ref, instance.id))
        operations: list[JsonObject] = [{"Service": {"Verb": "cas", "Node": place.node, "Service": service}}]
        health = place.health
        if record.custom_health and (first or health is Health.UNKNOWN):
            health = Health(first) if first else Health.HEALTHY
            check = check_json(place.node, record.name, instance.id, health)
            operations.append({"Check": {"Verb": "set", "Check": check}})
        elif first and not record.custom_health:
            rule = f"none in {ref}, which has no custom health check"
            raise rules.refused(INIT_HEALTH, f"attributes.{INIT_HEALTH}", rule, "Leave it out")
        return _Prepared(change, operations, Place(place.node, health))

    def _batch(self, there: Stored[ServiceRecord], prepared: Sequence[_Prepared]) -> _Batch:
        batch = _Batch()
        batch.add([unchanged(there.key, there.index)], None)
        if any(isinstance(each.change, Register) for each in prepared):
            node = {"Node": self._node, "Address": _NODE_ADDRESS, "Meta": _NODE_META}
            batch.add([{"Node": {"Verb": "set", "Node": node}}], None)
        for each in prepared:
            batch.add(each.operations, each)
        return batch

    # What came of it.

    async def _send(self, ref: ServiceRef, batch: _Batch, about: str) -> RegistryError | list[Outcome] | _Committed:
        """Return what was made; the error of all; or that of some, so that the others may be sent again."""
        is_clear = False
        try:
            results = await self._client.transact(batch.operations, about)
            is_clear = True
        except RolledBack as failure:
            is_clear = True
            return self._rolled_back(ref, batch, failure.errors, about)
        except RegistryError as error:
            is_clear = not (isinstance(error, Unreachable) and error.doubtful)
            return error
        finally:
            if not is_clear:  # also where whoever waited for it went away
                self._stragglers[ref] += 1
        written = [each["Service"] for each in results if each.get("Service")]
        return _Committed({each["ID"]: each["ModifyIndex"] for each in written})

    def _rolled_back(
        self, ref: ServiceRef, batch: _Batch, errors: Mapping[int, str], about: str
    ) -> RegistryError | list[Outcome]:
        faults = self._client.faults
        failed = dict[str, Outcome]()
        common: RegistryError | None = None
        for place, what in errors.items():
            owner = batch.owners[place] if place < len(batch.owners) else None
            if owner is not None:
                instance_id = owner.change.instance_id
                error: RegistryError = overtaken(f"registering {instance_id} in {ref}")
                if _STALE not in what:
                    error = faults.of_operation(what, f"changing {instance_id} in {ref}")
                failed.setdefault(owner.change.instance_id, Outcome(owner.change, error))
            elif place == 0 and ("current modify index" in what or "doesn't exist" in what):
                self._shelf.forget(ref)  # the record was written meanwhile: it is read anew, and all is tried again
            else:
                common = faults.of_operation(what, about)
        if common is not None and (not failed or isinstance(common, Forbidden)):
            return common
        return list(failed.values())

    def _made(self, ref: ServiceRef, name: str, prepared: Sequence[_Prepared], committed: _Committed) -> list[Outcome]:
        for each in prepared:
            instance_id = each.change.instance_id
            self._reading.wrote(ref, instance_id, each.place)
            if not isinstance(each.change, SetHealth):
                index = committed.indexes.get(service_id(name, instance_id), 0)
                self._reading.versions.wrote(ref, instance_id, index)
        return [Outcome(each.change) for each in prepared]


def _named(changes: Sequence[Change]) -> str:
    first = changes[0].instance_id
    return first if len(changes) == 1 else f"{first} and {len(changes) - 1} more"


def _absent(change: Change, error: NotFound) -> Outcome:
    """Return the outcome in a service that is not there: what is gone with it is gone."""
    return Outcome(change) if isinstance(change, Deregister) else Outcome(change, error)


def _check_status(ref: ServiceRef, record: ServiceRecord, health: Health) -> None:
    if health is Health.UNKNOWN:
        raise rules.refused("the health UNKNOWN", "health", "HEALTHY or UNHEALTHY", "Give one of these")
    if not record.custom_health:
        rule = "a status only in a registry service with custom health checks"
        raise rules.refused(f"a status in {ref}", "health", rule, "Make the service anew with healthCheck Custom")
