"""What is wedged in this process: work that is there and is not got on with. Nothing else can mend that but a restart.

Quiet is not wedged, and neither is what waits for somebody else: an API server or a registry that is away.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WATCH_SECONDS = 270.0
"""A silent watch is cut after 90 s and tried again; after two of these all is listed, which may take 60 s, and each of
the three may take 10 s to connect. Whatever comes of it is an answer, or a trouble that is noted."""
LOOP_SECONDS = 60.0
"""Each loop of ours takes what waits for it in less than a second."""

ELECTION_SECONDS = 30.0
"""The lease is tried for every two seconds, each attempt has three, and the work of who leads no more ends in a few."""


@dataclass(frozen=True, slots=True)
class WatchSight:
    """A watch of the Kubernetes API: for how long it has heard nothing, and what it knows to be wrong with it."""

    name: str
    silent_seconds: float
    trouble: str = ""


def wedges(watches: Iterable[WatchSight], loops: Mapping[str, float]) -> Sequence[str]:
    """Return a sentence for each thing that is wedged.

    `loops`: by name, for how many seconds each has had work that it did not get on with.
    """
    silent = [
        f"{watch.name} has heard nothing for {watch.silent_seconds:.0f} s, not even a bookmark, and no error either"
        for watch in watches
        if not watch.trouble and watch.silent_seconds > WATCH_SECONDS
    ]
    stuck = [
        f"{name} has not been got on with for {seconds:.0f} s"
        for name, seconds in loops.items()
        if seconds > LOOP_SECONDS
    ]
    return [*silent, *stuck]


def idle_election(seconds: float) -> Sequence[str]:
    """Return a sentence if no attempt at the lease was made for so many seconds, and it should have been."""
    said = f"the election loop has made no attempt for {seconds:.0f} s"
    return [said] if seconds > ELECTION_SECONDS else []
