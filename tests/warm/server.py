"""A process that has imported all of kube-registrar, and forks into the command itself as often as it is asked.

Starting one anew takes seconds of CPU for imports alone, a third of what all tests cost. It is asked over the socket
on standard input: a datagram of JSON with the arguments and the environment, and with it standard input, output and
error. It answers with the process id, and tells of each end. When the socket ends, all that it started is killed.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

from kube_registrar.cluster import credentials, lease

MODULES = (
    "kube_registrar.cli.composition",
    "kube_registrar.cli.serve",
    *(
        f"kube_registrar.cli.commands.{name}"
        for name in ("run", "plan", "explain", "approve", "discover", "gc", "release", "serve")
    ),
    "kube_registrar.registries.cloudmap.registry",
    "kube_registrar.registries.embedded.registry",
)
MOST_BYTES = 1 << 17
ACCOUNT = "WARM_SERVICE_ACCOUNT"
"""A variable that the command never sees: the folder of the service account of the pod that it plays."""
STANDARD = 3
"""Standard input, output and error."""


def serve(owner: socket.socket) -> list[str] | None:
    """Fork as asked. Return None when the owner is gone; in a forked child the arguments of its command."""
    wakeup, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running = set[int]()
    while True:
        ready, _, _ = select.select([owner.fileno(), wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 1024)
            _tell_ends(owner, running)
        if owner.fileno() not in ready:
            continue
        text, handles, _, _ = socket.recv_fds(owner, MOST_BYTES, STANDARD)
        if not text:
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for each in (wakeup, alarm):
                os.close(each)
            owner.close()
            return _become(json.loads(text), handles)
        for each in handles:
            os.close(each)
        running.add(pid)
        owner.send(json.dumps({"began": pid}).encode())


def _tell_ends(owner: socket.socket, running: set[int]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            owner.send(json.dumps({"ended": pid, "code": 128 - code if code < 0 else code}).encode())


def _become(asked: dict[str, Any], handles: list[int]) -> list[str]:
    """Be a process as it would have been started: its own session, environment, standard streams and signals."""
    os.setsid()
    for number, each in enumerate(handles):
        os.dup2(each, number)
        os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["env"])
    account = os.environ.pop(ACCOUNT, "")
    if account:
        _mount(Path(account))
    _find(os.environ.get("PYTHONPATH", ""))
    sys.argv = ["kube-registrar", *asked["args"]]
    arguments: list[str] = asked["args"]
    return arguments


def _find(path: str) -> None:
    """Have the packages that the environment names, as an interpreter has them that starts with it."""
    sys.path[1:1] = [each for each in path.split(os.pathsep) if each and each not in sys.path]
    invalidate_caches()


def _mount(account: Path) -> None:
    """Read the service account of a pod where it is here: there are no mounts without a container."""
    assert credentials.load.__kwdefaults__ is not None
    credentials.load.__kwdefaults__["service_account"] = account
    lease.own_namespace.__defaults__ = (account / "namespace",)


if __name__ == "__main__":
    for module in MODULES:
        import_module(module)
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    with socket.socket(fileno=os.dup(0)) as socket_of_owner:
        wanted = serve(socket_of_owner)
    if wanted is not None:
        from kube_registrar.cli.main import main

        main()
