"""One at a time, over all processes of this user."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_one(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """
    Hold a lock file; tell `say` when that means waiting for another process.

    The system takes the lock back when we die. The file stays: deleting it would let two in.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process makes it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
