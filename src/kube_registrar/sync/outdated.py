"""What was sent, or has just become of it, beside what is wished by now: wishes change while a registry works."""

from collections.abc import Mapping, Sequence

from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.instances import Health, Instance, Registration, Wanted
from kube_registrar.model.refs import InstanceId
from kube_registrar.planning.compare import is_true_to
from kube_registrar.planning.plan import is_met


def unwished(in_flight: Mapping[InstanceId, Change], wanted: Wanted) -> Sequence[InstanceId]:
    """Return the instances whose registers nobody wishes any more as they are: once made, they would be undone."""
    return [
        instance_id
        for instance_id, change in in_flight.items()
        if isinstance(change, Register)
        and change.origin.uid not in wanted.held
        and not _is_wished(change, wanted.registrations.get(instance_id))
    ]


def is_outdated(outcome: Outcome, wish: Registration | None, there: Instance | None, *, is_blocked: bool) -> bool:
    """Whether something else can be done now than before: a plan looks at the whole service, so not for nothing.

    `there`: what is known of the instance. `is_blocked`: a registration of its service waits for an address.
    """
    match outcome.change:
        case Register() as change:
            if wish is None or not _is_wished(change, wish):
                return True
            kept = there or change.instance  # whose health it has kept
            return wish.instance.health not in {Health.UNKNOWN, kept.health}
        case Deregister():
            return wish is not None or (outcome.error is None and is_blocked)
        case SetHealth() as change:
            if wish is None or wish.instance.health is not change.health:
                return True
            return not is_met(wish, there)  # its attributes waited for this


def _is_wished(change: Register, wish: Registration | None) -> bool:
    """Whether what a register makes is what is wished by now."""
    return wish is not None and is_true_to(change.instance, wish.instance)
