"""What one time of leading knows of the registries: made anew for each, so that everything is looked at first.

Others may have led in between. What this process knew of the registries from before says nothing any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from kube_registrar.model.instances import Instance, Registration
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import InstanceId, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import HealthCheckType
from kube_registrar.planning.gate import Seen
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.evidence import EvidenceOfPods
from kube_registrar.sync.following import RegistryFollower
from kube_registrar.sync.gates import Gates
from kube_registrar.sync.guarded import Guarded
from kube_registrar.sync.hints import HintFollower
from kube_registrar.sync.holds import Holds
from kube_registrar.sync.latency import Latency
from kube_registrar.sync.progress import Progress
from kube_registrar.sync.reconcile import GATHER_SECONDS, RegistrySync
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.second_list import SecondLists
from kube_registrar.sync.terms import Terms
from kube_registrar.sync.wanted import WantedState


class Leading:
    """All registries, and what is known of them. `run` works; without it this is a place where nothing is known."""

    def __init__(
        self,
        registries: Sequence[Guarded],
        catalog: Catalog,
        wanted: WantedState,
        *,
        evidence: EvidenceOfPods,
        second: SecondLists,
        reporter: Reporter,
        clock: Clock,
        terms: Terms,
        is_unresolved: Callable[[], bool],
        is_unsettled: Callable[[], bool],
        is_reading: Callable[[str], bool],
        latency: Latency,
    ) -> None:
        """`is_unsettled`, `is_reading`: see `RegistrySync`. `is_unresolved`: whether references lead nowhere."""
        self.gates = Gates(
            wanted,
            self._see,
            terms.gate_writer,
            reporter,
            clock,
            terms.draw,
            self._observes_all,
            is_reading=lambda namespace: is_unsettled() or is_reading(namespace),
        )
        self.progress = Progress(wanted, self.instances, self.enqueue_soon, catalog.forget, self.gates)
        self.syncs: Mapping[RegistryName, RegistrySync] = {
            registry.name: RegistrySync(
                registry=registry,
                cluster_uid=catalog.world.cluster_uid,
                wanted=wanted,
                evidence=evidence,
                reporter=reporter,
                clock=clock,
                hears=self.progress,
                draw=terms.draw,
                second=second,
                policy=terms.policies.get(registry.name, Policy.SYNC),
                straggler_seconds=terms.straggler_seconds,
                cluster_name=catalog.world.cluster_name,
                is_unsettled=is_unsettled,
                is_reading=is_reading,
                is_checked=partial(_has_check, catalog, HealthCheckType.ROUTE53),
                is_custom=partial(_has_check, catalog, HealthCheckType.CUSTOM),
                latency=latency,
                measures=terms.measures,
            )
            for registry in registries
        }
        self.holds = Holds({name: sync.brake for name, sync in self.syncs.items()}, catalog, reporter, clock)
        self._followers = [
            RegistryFollower(sync, catalog, clock, terms.draw, is_unresolved, resync_seconds=terms.resync_seconds)
            for sync in self.syncs.values()
        ]
        self._hints = [
            HintFollower(sync, clock, terms.draw, follower.look_soon)
            for sync, follower in zip(self.syncs.values(), self._followers, strict=True)
        ]

    async def run(self) -> None:
        """Keep the registries true until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.gates.run(), name="readiness gates")
            for sync in self.syncs.values():
                tasks.create_task(sync.run(), name=f"registry {sync.registry.name}")
            for follower, name in zip(self._followers, self.syncs, strict=True):
                tasks.create_task(follower.run(), name=f"catalog of {name}")
            for hints, name in zip(self._hints, self.syncs, strict=True):
                tasks.create_task(hints.run(), name=f"hints of {name}")

    @property
    def is_quiet(self) -> bool:
        """Whether every registry was tried, and all work is done; what waits for its next try does not count."""
        tried = all(follower.has_tried for follower in self._followers)
        return tried and self.gates.is_quiet and all(sync.is_quiet for sync in self.syncs.values())

    @property
    def has_looked(self) -> bool:
        """Whether every registry was tried, and what it was found to have was read."""
        tried = all(follower.has_tried for follower in self._followers)
        return tried and not any(sync.is_looking for sync in self.syncs.values())

    def instances(self, service: ServiceRef) -> Mapping[InstanceId, Instance]:
        """Return what a service is known to hold."""
        sync = self.syncs.get(service.namespace.registry)
        return sync.observed.instances(service) if sync else {}

    def _observes_all(self) -> bool:
        """Whether what is not there in any registry will not be made, as far as each of them could be read."""
        tried = all(follower.has_tried for follower in self._followers)
        return tried and all(sync.policy is Policy.OBSERVE for sync in self.syncs.values())

    def _see(self, registration: Registration) -> Seen:
        """Return what is known of the instance of a registration."""
        service, instance_id = registration.service, registration.instance.id
        sync = self.syncs.get(service.namespace.registry)
        if sync is None:
            return Seen(None)
        return Seen(
            current=sync.observed.instances(service).get(instance_id),
            settled=sync.observed.is_settled(service, instance_id),
            policy=sync.policy,
        )

    def holding(self, uid: Uid) -> frozenset[ServiceRef]:
        """Return the services that are known to hold instances of a pod."""
        return frozenset[ServiceRef]().union(*(sync.observed.holding(uid) for sync in self.syncs.values()))

    def enqueue(self, services: Iterable[ServiceRef]) -> None:
        """Have services planned anew, now."""
        self.progress.outdated(services)
        for service in services:
            sync = self.syncs.get(service.namespace.registry)
            if sync is not None:
                sync.queue.add(service)

    def enqueue_soon(self, services: Iterable[ServiceRef]) -> None:
        """Have services planned anew, with what else comes within a moment: it comes in swarms and is not urgent."""
        for service in services:
            self.syncs[service.namespace.registry].queue.add_after(service, GATHER_SECONDS)


def _has_check(catalog: Catalog, check: HealthCheckType, service: ServiceRef) -> bool:
    """Whether a service has this kind of health check."""
    known = catalog.world.services.get(service)
    return known is not None and known.health_check is check
