"""
Run one command, and never let it outlive the process that asked for it.

Used as a script, `python -I -S supervisor.py LOG REMOVE COMMAND…`, so it imports nothing of ours. Its standard input is
a pipe from its owner. A byte in it is the order to kill the command's whole process group. The pipe ends when the owner
dies, of `kill -9` too: then the group is killed as well, and the folder REMOVE (a dash: none) is deleted. SIGTERM is
passed on to the command. The command's process id goes to standard output, its exit code becomes ours.

On Linux the command also dies with the supervisor itself (PR_SET_PDEATHSIG). That is safe here and not in the owner:
the signal follows the thread that forked, and this process has only one.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> Callable[[], None] | None:
    """Return what a forked child calls so that it is killed when we are, or None where the system can't."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return arrange


def kill_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Signal the command and all that it started and left in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def watch(child: subprocess.Popen[bytes], wakeup: int, owner: int) -> bool:
    """Wait until the command has ended or shall be killed; return whether that is so because its owner died."""
    while child.poll() is None:
        # The time-out is for an owner that forked: its child then holds the pipe open after it.
        ready, _, _ = select.select([0, wakeup], [], [], 1.0)
        if wakeup in ready and signal.SIGTERM in os.read(wakeup, 64):
            kill_group(child, signal.SIGTERM)
        if os.getppid() != owner:
            return True
        if 0 in ready:
            return not os.read(0, 1)  # a byte is the order to kill it, the end of the pipe is the owner's end
    return False


def main(log: str, remove: str, *command: str) -> int:
    """Run the command; return its exit code, or 128 and the number of the signal that ended it."""
    owner = os.getppid()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        with Path(log).open("ab") as out:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,
                preexec_fn=die_with_parent(),  # noqa: PLW1509  # one thread only
            )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)  # noqa: T201  # this is the protocol
        return 127
    print(child.pid, flush=True)  # noqa: T201  # this is the protocol
    orphaned = watch(child, reading, owner)
    kill_group(child, signal.SIGKILL)
    code = child.wait()
    if orphaned and remove != "-":
        shutil.rmtree(remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
