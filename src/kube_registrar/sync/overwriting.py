"""An instance that is there is looked at again before it is written anew.

A register replaces all attributes of an instance, and Cloud Map has no condition to put on one: what somebody else
added since the last list would be lost. So such a change waits for a list that was asked for since it is due. One list
serves all changes of a service; what is new, and what goes, waits for nothing.
"""

from dataclasses import replace

from kube_registrar.model.changes import Change, Register, Urgency
from kube_registrar.planning.plan import Plan
from kube_registrar.sync.observed import ObservedService


def without_unseen(made: Plan, state: ObservedService) -> tuple[Plan, bool]:
    """Return the plan without what waits to be looked at, and whether a list is needed for it."""
    unseen = state.unseen(each.instance_id for each in made.changes if _overwrites(each))
    if not unseen:
        return made, False
    return replace(made, changes=[each for each in made.changes if each.instance_id not in unseen]), True


def _overwrites(change: Change) -> bool:
    return isinstance(change, Register) and change.urgency is Urgency.REPAIR
