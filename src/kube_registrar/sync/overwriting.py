"""An instance that is there is looked at again before it is written anew.

A register replaces all attributes of an instance, and Cloud Map has no condition to put on one: what somebody else
added since the last list would be lost. So such a change waits for a list that was asked for since it is due. One list
serves all changes of a service; what is new, and what goes, waits for nothing.
"""

from dataclasses import dataclass, field, replace

from kube_registrar.model.changes import Change, Register, Urgency
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.planning.plan import Plan
from kube_registrar.sync.observed import ObservedService


@dataclass(slots=True)
class Overwriting:
    """The instances of one registry that wait to be looked at, and after how many lists of its service that came up."""

    _since: dict[ServiceRef, dict[InstanceId, int]] = field(default_factory=dict)

    def restrain(self, made: Plan, state: ObservedService) -> tuple[Plan, bool]:
        """Return the plan without what still waits, and whether a list is needed for it."""
        now = state.lists - 1 if state.is_just_listed else state.lists  # what a list shows to be wrong needs no other
        state.is_just_listed = False
        before = self._since.pop(state.service, {})
        since = {each.instance_id: before.get(each.instance_id, now) for each in made.changes if _overwrites(each)}
        waiting = {each: lists for each, lists in since.items() if not state.is_seen(each, lists)}
        if not waiting:
            return made, False
        self._since[state.service] = waiting
        return replace(made, changes=[each for each in made.changes if each.instance_id not in waiting]), True


def _overwrites(change: Change) -> bool:
    return isinstance(change, Register) and change.urgency is Urgency.REPAIR
