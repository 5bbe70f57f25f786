"""What changes from one answer of a registry to the next: for `discover --watch`. Values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId


class Event(StrEnum):
    """What happened to an instance, in the words of a Kubernetes watch; `sign` is for people."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"

    @property
    def sign(self) -> str:
        """One character."""
        return {"ADDED": "+", "MODIFIED": "~", "DELETED": "-"}[self.value]


@dataclass(frozen=True, slots=True)
class Seen:
    """An event, and the instance as it is; as it was, if it is gone."""

    event: Event
    instance: Instance


def by_id(found: Sequence[Instance]) -> dict[InstanceId, Instance]:
    """Return instances by their id."""
    return {instance.id: instance for instance in found}


def changes(before: Mapping[InstanceId, Instance], after: Mapping[InstanceId, Instance]) -> Iterator[Seen]:
    """Yield what is gone, then what is new or different, each in the order of the ids."""
    for instance_id in sorted(before.keys() - after.keys()):
        yield Seen(Event.DELETED, before[instance_id])
    for instance_id in sorted(after):
        now = after[instance_id]
        if instance_id not in before:
            yield Seen(Event.ADDED, now)
        elif before[instance_id] != now:
            yield Seen(Event.MODIFIED, now)
