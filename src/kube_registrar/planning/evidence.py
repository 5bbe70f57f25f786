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


@dataclass(frozen=True, slots=True)
class Evidence:
    """A standing and, in plain words for events and explanations, how it is known."""

    standing: Standing
    why: str

    @property
    def is_final(self) -> bool:
        """Whether the pod will never serve again: its instance goes at once, whatever else is pending."""
        return self.standing in {Standing.GONE, Standing.ENDING}


UNKNOWN = Evidence(Standing.UNKNOWN, "nothing is known of the pod yet")
