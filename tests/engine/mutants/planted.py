"""Bugs that an engine like ours could have, each planted into the real modules for as long as a context lasts."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from kube_registrar.model.changes import Deregister, Outcome
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.identity import instance_id
from kube_registrar.model.records import BarePod, Endpoint, Pod, Slice
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.sources.asked import Asked
from kube_registrar.sources.endpoints import EndpointIndex, ServiceKey
from kube_registrar.sources.pods import _Wishing
from kube_registrar.sync.brake import Brake
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.hearing import Hearing
from kube_registrar.sync.interest import Interest
from kube_registrar.sync.leading import Leading
from kube_registrar.sync.observed import Attempt, ObservedService
from kube_registrar.sync.reconcile import RegistrySync

Mutant = Callable[[], AbstractContextManager[None]]


@contextmanager
def deletes_before_sync() -> Iterator[None]:
    """It begins with the first kind that is read in full, and takes the others for empty."""
    with patch.object(Hearing, "missing", property(lambda _: frozenset())):
        yield


@contextmanager
def names_instances_by_address() -> Iterator[None]:
    """An instance is named by its pod's address, as if that were the pod's for ever."""

    def mutant(self: _Wishing, asked: Asked) -> InstanceId:
        service = asked.target.service.ref
        address = next(iter(self.pod.ips), "")
        return instance_id(self.world.cluster_uid, Uid(address), service, asked.port, "pod")

    with patch.object(_Wishing, "_id", mutant):
        yield


@contextmanager
def swallows_failures() -> Iterator[None]:
    """Whatever was sent is taken as done."""
    take = RegistrySync._take

    def mutant(self: RegistrySync, state: ObservedService, outcome: Outcome) -> None:
        take(self, state, Outcome(outcome.change))

    with patch.object(RegistrySync, "_take", mutant):
        yield


@contextmanager
def forgets_what_may_still_land() -> Iterator[None]:
    """A deregistration of what is not there is taken as done, though a register that timed out is still to land."""
    take = ObservedService.take

    def mutant(self: ObservedService, outcome: Outcome, now: float) -> Attempt | None:
        error, instance = outcome.error, outcome.change.instance_id
        is_open = isinstance(error, Unreachable) and "may still land" in str(error)
        if not (is_open and isinstance(outcome.change, Deregister)):
            return take(self, outcome, now)
        self.doubtful.pop(instance, None)
        return take(self, Outcome(outcome.change), now)

    with patch.object(ObservedService, "take", mutant):
        yield


@contextmanager
def takes_missing_for_deleted() -> Iterator[None]:
    """A pod that a list lacks is taken for one that was seen deleted."""
    deleted = Engine.pod_deleted

    def mutant(self: Engine, pod: Pod | BarePod, *, seen: bool) -> None:
        deleted(self, pod, seen=True)

    with patch.object(Engine, "pod_deleted", mutant):
        yield


@contextmanager
def acts_before_it_has_read() -> Iterator[None]:
    """A selector changes, and the pods that it selected go before those are read that it selects now."""
    with patch.object(Interest, "is_unread", lambda _self, _namespace: False):
        yield


@contextmanager
def sees_one_slice_of_a_service() -> Iterator[None]:
    """Of a Service's slices only the first counts."""
    holding = EndpointIndex.holding

    def mutant(self: EndpointIndex, pod: Pod) -> Mapping[ServiceKey, Sequence[tuple[Slice, Endpoint]]]:
        first = {key: self.slices_of(key)[:1] for key in self.services}
        found = holding(self, pod)
        return {key: [one for one in ends if one[0] in first.get(key, ())] for key, ends in found.items()}

    with patch.object(EndpointIndex, "holding", mutant):
        yield


@contextmanager
def writes_while_it_stands_by() -> Iterator[None]:
    """Losing the lead ends nothing."""
    run = Leading.run

    async def mutant(self: Leading) -> None:
        await asyncio.shield(asyncio.ensure_future(run(self)))

    with patch.object(Leading, "run", mutant):
        yield


@contextmanager
def has_no_brake() -> Iterator[None]:
    """However many go at once, all of them go."""
    with patch.object(Brake, "restrain", lambda _self, made, _state: (made, float("inf"))):
        yield


@contextmanager
def sends_twice() -> Iterator[None]:
    """What is in flight is planned and sent again."""
    busy = ObservedService.busy

    def mutant(self: ObservedService, wanted: Any, now: float) -> AbstractSet[InstanceId]:
        return busy(self, wanted, now) - self.in_flight.keys()

    with patch.object(ObservedService, "busy", mutant):
        yield


@contextmanager
def forgets_policies() -> Iterator[None]:
    """Policies withhold nothing."""
    with patch("kube_registrar.sync.reconcile.restrained", lambda made, _there, _policy: made):
        yield


@contextmanager
def overwrites_unseen() -> Iterator[None]:
    """What is there is written anew on the strength of an old list."""
    with patch("kube_registrar.sync.reconcile.without_unseen", lambda made, _state: (made, False)):
        yield
