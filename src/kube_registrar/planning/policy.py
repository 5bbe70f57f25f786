"""Safety as something that can only subtract: a policy splits changes into those to send and those to withhold.

| policy | register, not there | register, there | set health | deregister |
|---|---|---|---|---|
| sync | sent | sent | sent | sent |
| upsert-only | sent | sent | sent | withheld |
| create-only | sent | withheld | withheld | withheld |
| observe | withheld | withheld | withheld | withheld |
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from kube_registrar.model.changes import Change, Deregister, Register
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import InstanceId
from kube_registrar.planning.plan import Plan

WITHHELD = "the policy of its registry withholds its deregistration"


@dataclass(frozen=True, slots=True)
class Split:
    """Every change is in one of the two, in its order."""

    allowed: Sequence[Change]
    withheld: Sequence[Change]


def split(changes: Sequence[Change], there: Container[InstanceId], policy: Policy) -> Split:
    """Split changes as the policy says; `there`: the ids of the instances that the registry service holds."""
    if policy is Policy.SYNC:  # the usual case
        return Split(changes, ())
    allowed = [change for change in changes if is_allowed(change, there, policy)]
    return Split(allowed, [change for change in changes if not is_allowed(change, there, policy)])


def is_allowed(change: Change, there: Container[InstanceId], policy: Policy) -> bool:
    """Whether the policy lets this change be sent."""
    match change:
        case Register():
            return policy.updates if change.instance_id in there else policy.makes
        case Deregister():
            return policy.removes
        case _:
            return policy.updates


def restrained(made: Plan, there: Container[InstanceId], policy: Policy) -> Plan:
    """Return the plan without what the policy withholds. An instance that stays for it counts as kept."""
    parts = split(made.changes, there, policy)
    if not parts.withheld:
        return made
    stay = {change.instance_id: WITHHELD for change in parts.withheld if isinstance(change, Deregister)}
    return replace(made, changes=parts.allowed, withheld=parts.withheld, kept={**made.kept, **stay})
