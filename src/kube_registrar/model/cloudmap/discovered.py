"""What a discovery has found, in a form that can be sent as often as it is asked for, until something changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Subject(Protocol):
    """What was looked at. Its number is another one whenever the same question could have another answer."""

    @property
    def changes(self) -> int:
        """A number that only rises."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """The answer to DiscoverInstances or DiscoverInstancesRevision.

    `rows`: all that match, each an HttpInstanceSummary in JSON, of which `most` are wanted, in random order; None where
    the revision alone was asked for. `seen`: the subject's number when it was looked at.
    """

    rows: Sequence[bytes] | None
    most: int
    revision: int
    subject: Subject
    seen: int

    @property
    def is_current(self) -> bool:
        """Whether the answer is still the same."""
        return self.subject.changes == self.seen
