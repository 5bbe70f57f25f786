"""What is known of a pod whose instance nobody wants any more.

Deregistering needs positive evidence about that very pod: an error, a refusal or silence is none.
"""

from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    """How a pod stands, as far as removing its instances goes."""

    GONE = "gone"
    """Seen deleted, or a direct read says NotFound or shows another UID under its name."""
    ENDING = "ending"
    """Terminating, Succeeded or Failed."""
    DECLINED = "declined"
    """It lives, and what it says no longer asks for this."""
    UNKNOWN = "unknown"
    """Nobody knows, or what it says cannot be read just now: the instance stays."""


class Cause(Enum):
    """Of what kind the evidence is: `planning.brake` says which kinds are held when there is much of them at once."""

    SEEN = "seen"
    """Its deletion was seen, or it is terminating, Succeeded or Failed."""
    REPLACED = "replaced"
    """A direct read shows another pod under its name."""
    MISSING = "missing"
    """A direct read says NotFound, and nobody saw its deletion."""
    CONFIGURATION = "configuration"
    """It lives, and what is written no longer asks for this."""
    NOT_READY = "not-ready"
    """It lives and asks for this, and is not ready."""
    UNREACHABLE = "unreachable"
    """It lives and asks for this, and is not ready on a node that is unreachable: it may serve all the same."""
    ADDRESS = "address"
    """Its address belongs to another live pod."""
    MOVED = "moved"
    """It lives, and another instance stands for it in the same registry service."""
    ASKS = "asks"
    """It lives and asks for this: evidence that its instance must stay."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A standing and, in plain words for events and explanations, how it is known. No cause: nothing is known."""

    standing: Standing
    why: str
    cause: Cause | None = None

    @property
    def is_final(self) -> bool:
        """Whether the pod will never serve again: its instance goes at once, whatever else is pending."""
        return self.standing in {Standing.GONE, Standing.ENDING}


UNSEEN = Evidence(
    Standing.UNKNOWN,
    "a direct read shows that the pod lives and asks for it, though no watch tells of it",
    Cause.ASKS,
)
UNKNOWN = Evidence(Standing.UNKNOWN, "nothing is known of the pod yet")
ASKED = Evidence(Standing.UNKNOWN, "the API server is being asked about the pod")
