"""Hears what the engine has to say, posts none of it, and remembers what its plans leave undone."""

from collections.abc import Set as AbstractSet

from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import InstanceId, ObjectRef, RegistryName, ServiceRef
from kube_registrar.planning.plan import Plan
from kube_registrar.sync.brake import LOOKING
from kube_registrar.sync.reporting import EventType, Reporter


class Silence:
    """A recorder of events and a counter of changes that keep all to themselves."""

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str) -> None:  # noqa: A002 - the signature
        """Post nothing."""

    def changed(self, registry: RegistryName, action: str, result: str) -> None:
        """Count nothing."""

    def withheld(self, registry: RegistryName, action: str, policy: Policy) -> None:
        """Count nothing."""

    def blocked(self, registry: RegistryName, guard: str) -> None:
        """Count nothing."""


class Collector(Reporter):
    """The last plan of each registry service."""

    def __init__(self, recorder: Silence, metrics: Silence) -> None:
        super().__init__(recorder, metrics)
        self.plans: dict[ServiceRef, Plan] = {}
        self.estranged: dict[ServiceRef, AbstractSet[InstanceId]] = {}

    def planned(self, service: ServiceRef, made: Plan, estranged: AbstractSet[InstanceId] = frozenset()) -> None:
        """Remember a plan."""
        self.plans[service], self.estranged[service] = made, estranged
        super().planned(service, made, estranged)

    @property
    def is_counting(self) -> bool:
        """Whether the brake still looks how many are to go."""
        return any(why == LOOKING for made in self.plans.values() for why in made.kept.values())
