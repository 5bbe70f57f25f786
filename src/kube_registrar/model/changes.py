"""What a plan asks of a registry, and what came of it."""

from dataclasses import dataclass
from enum import IntEnum

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, Origin


class Urgency(IntEnum):
    """The order in which a limiter serves changes: smallest first."""

    EVICT = 0
    REGISTER = 1
    REPAIR = 2


@dataclass(frozen=True, slots=True)
class Register:
    """Make or replace (upsert) an instance."""

    instance: Instance
    origin: Origin
    urgency: Urgency = Urgency.REGISTER

    @property
    def instance_id(self) -> InstanceId:
        """The instance it is about."""
        return self.instance.id


@dataclass(frozen=True, slots=True)
class Deregister:
    """Take an instance out; one that is gone already is done. `why` is a sentence for people."""

    instance_id: InstanceId
    origin: Origin
    why: str
    urgency: Urgency = Urgency.EVICT


@dataclass(frozen=True, slots=True)
class SetHealth:
    """Set the status of an instance in a service with custom health checks. `why`: a sentence, where it is ill."""

    instance_id: InstanceId
    origin: Origin
    health: Health
    urgency: Urgency = Urgency.REGISTER
    why: str = ""


Change = Register | Deregister | SetHealth


def takes_out(change: Change) -> bool:
    """Whether most clients no longer find the instance after this change: it goes, or is marked as unhealthy."""
    return isinstance(change, Deregister) or (isinstance(change, SetHealth) and change.health is Health.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one change. Without an error it is confirmed by the registry, not merely accepted."""

    change: Change
    error: RegistryError | None = None
