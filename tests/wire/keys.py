"""A server that asks for keys, and those that a test has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.doors import KeyedDoor
from kube_registrar.server.access.keys import AccessKey, KeyRing, Role
from kube_registrar.server.access.rates import ClientRates, parse
from kube_registrar.server.access.verifying import Verifier
from tests.wire.harness import Server, running


def key_of(role: Role, *namespaces: str) -> AccessKey:
    """Return a key of a role, limited to these registry namespaces if there are any."""
    name = f"AKID{role.upper()}{'LIMITED' if namespaces else ''}"
    return AccessKey(name, f"secret-of-{name}-{'x' * 20}", role, frozenset(namespaces) or None)


READ, WRITE, ADMIN = (key_of(role) for role in Role)


class Shifted(SystemClock):
    """The machine's time, and so many seconds."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def time(self) -> float:
        return super().time() + self.seconds


@contextmanager
def keyed(folder: Path, *keys: AccessKey, clock: SystemClock | None = None, rate: str = "") -> Iterator[Server]:
    """Run a server that knows these keys; `clock`: by which signatures are judged."""
    time = clock or SystemClock()
    door = KeyedDoor(Verifier(KeyRing(keys or (READ, WRITE, ADMIN)), time), ClientRates(parse(rate), time))
    with running(folder, door=door, customHealthDelaySeconds=0) as server:
        yield server


def client(server: Server, key: AccessKey) -> Any:
    """Return a boto3 client with a key."""
    return server.client(key=key.id, secret=key.secret)
