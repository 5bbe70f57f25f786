"""May a write begin now? What a leader asks before each one, in the thread that is about to send it.

A lease that is not renewed ends by itself, and another replica takes over. So a write may begin only if its time-out
ends before the lease does, and that has to be asked at the very last moment: whatever was asked before may be old, for
a thread can wait, a process be stopped (SIGSTOP) and a machine be paused between any two lines.
"""

import math
from typing import Final

from kube_registrar.model.errors import NotLeading
from kube_registrar.runtime.clock import Clock

WRITE_SECONDS: Final = 4.0
"""The longest that a write takes from here to its time-out: a lease of 10 s less a renew deadline of 6 s."""


class Fence:
    """Open for ever until somebody moves it: a process without an election has no other to fear.

    One thread moves it and any thread may ask. Python stores and reads one float at a time, so it needs no lock.
    """

    def __init__(self, clock: Clock, *, shut: bool = False) -> None:
        """`clock`: its `monotonic` is asked in any thread. `shut`: nothing is ever to be written, whoever leads."""
        self.is_shut = shut
        self._clock = clock
        self._until = -math.inf if shut else math.inf

    def open_until(self, moment: float) -> None:
        """Let writes begin that end before `moment` (monotonic seconds)."""
        self._until = -math.inf if self.is_shut else moment

    def close(self) -> None:
        """Let no write begin."""
        self._until = -math.inf

    def admits(self, seconds: float = WRITE_SECONDS) -> bool:
        """Whether a write that takes at most `seconds` may begin now."""
        return self._clock.monotonic() + seconds <= self._until

    def check(self, about: str, seconds: float = WRITE_SECONDS) -> None:
        """Return if such a write may begin now, else raise NotLeading. `about`: what it would do, for the message."""
        if self.is_shut:
            raise NotLeading(f"{about}: not sent, for this registry is only observed")
        if not self.admits(seconds):
            raise NotLeading(f"{about}: not sent, for this replica does not lead, or not for long enough to be sure")
