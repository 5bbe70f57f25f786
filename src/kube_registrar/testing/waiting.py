"""Wait on conditions: the only place of the test ground that lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

from kube_registrar.testing.errors import GroundError

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    what: str | Callable[[], str],
    *,
    seconds: float = 30.0,
    every: float = 0.05,
) -> T:
    """
    Call `condition` until it returns something true, and return that.

    `what` completes the sentence "waited 30 s for …"; a function is asked at the end, so that it can say what was last
    seen. Raises GroundError when `seconds` are over. Whatever `condition` raises is passed on.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() >= deadline:
            raise GroundError(f"waited {seconds:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(every)
