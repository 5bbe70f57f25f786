"""The brake: deregistrations that may be somebody's mistake are held when there are many of them at once.

A mark as unhealthy counts as one, for most clients find who is marked no more than who is gone.

| evidence | held when there are many | released by |
|---|---|---|
| seen ending, replaced, moved, its address belongs to another pod, not ready | never | |
| missing: nobody saw it go | yes | a second full list of pods, a minute later, that lacks it too |
| configuration: it lives, and no longer asks | yes | the configuration still saying so after five minutes |
| unreachable: not ready, on a node that does not answer | yes | the same after five minutes |

Many: more than 5, and more than 30 % of the own instances, within 60 s, in the registry service or in the registry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from kube_registrar.model.changes import takes_out
from kube_registrar.model.refs import InstanceId
from kube_registrar.planning.evidence import Cause
from kube_registrar.planning.plan import Plan

WINDOW_SECONDS = 60.0
LEAST = 5
"""So many may always go within the window."""
PERCENT = 30
SECOND_LIST_SECONDS = 60.0
"""A second list counts if it was asked for so long after a hold began."""
STANDING_SECONDS = 300.0
"""What configuration or nodes say is taken as meant after so long."""

BRAKED = frozenset({Cause.MISSING, Cause.CONFIGURATION, Cause.UNREACHABLE})
ABSENCE = frozenset({Cause.MISSING, Cause.REPLACED})
"""What a read did not find: worth nothing where somebody else writes with our identity."""


class Scope(StrEnum):
    """Where there are too many."""

    SERVICE = "registry service"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Extent:
    """How many want to go now, how many went within the window, and how many are there, in a service or registry."""

    going: int
    recent: int
    present: int

    @property
    def allowance(self) -> int:
        """How many may go within the window."""
        return max(LEAST, (self.present + self.recent) * PERCENT // 100)

    @property
    def is_too_much(self) -> bool:
        """Whether all of those that want to go are to be held."""
        return self.going + self.recent > self.allowance


def judged(service: Extent, registry: Extent) -> Scope | None:
    """Return where there are too many, None if they may go."""
    if registry.is_too_much:
        return Scope.REGISTRY
    return Scope.SERVICE if service.is_too_much else None


def held_back(made: Plan, held: Mapping[InstanceId, str]) -> Plan:
    """Return the plan without what takes out those in `held`; they are kept as they are, for the reasons given."""
    if not held:
        return made
    changes = [c for c in made.changes if not (takes_out(c) and c.instance_id in held)]
    return replace(made, changes=changes, kept={**made.kept, **held})
