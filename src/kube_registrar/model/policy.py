"""How far kube-registrar may go in a registry: one word a registry, chosen by whoever runs the operator.

The idea and three of the words are those of external-dns (`plan/policy.go`): users of it know what they mean.
"""

from enum import StrEnum


class Policy(StrEnum):
    """What may be sent to a registry. A policy only ever takes away: nothing is sent that `sync` would not send."""

    SYNC = "sync"
    """Everything: the registry becomes what the cluster says."""
    UPSERT_ONLY = "upsert-only"
    """Make and change, but remove nothing."""
    CREATE_ONLY = "create-only"
    """Make what is not there, and leave alone what is."""
    OBSERVE = "observe"
    """Nothing: say what would be done."""

    @property
    def makes(self) -> bool:
        """Whether something that is not there may be made."""
        return self is not Policy.OBSERVE

    @property
    def updates(self) -> bool:
        """Whether something of ours that is there may be changed, its health included."""
        return self in {Policy.SYNC, Policy.UPSERT_ONLY}

    @property
    def removes(self) -> bool:
        """Whether something of ours may be removed."""
        return self is Policy.SYNC
