"""Two clusters write one registry service while all goes wrong that can: each keeps its own, and leaves the other's.

python -m bench.two_clusters [--registry etcd|consul|embedded] [--seconds 300] [--seed N]

Two operators, each of a control plane of its own, reach one registry over a wire of their own. Pods come, go and are
not ready for a while in both clusters; meanwhile an operator is killed, the server is killed or stopped, or a wire is
cut. Some pods of each cluster live and are ready all the time, and an instance is nobody's: whether they are there is
looked at all the time. Once it is quiet the service must hold exactly the ready pods of both, and what is nobody's.
"""

import argparse
import functools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.table import Row, run
from bench.wires import TcpWire

from kube_registrar.testing.consul import Consul
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError
from kube_registrar.testing.etcd import EtcdCluster
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import AWS, Operator
from tests.scenarios.judge import Judge, Watched
from tests.scenarios.kinds import written
from tests.scenarios.place import Place, install_kinds
from tests.scenarios.server import Server

REGISTRIES = ("etcd", "consul", "embedded")
SERVICE = "shared"
FOREIGN = {"AWS_INSTANCE_IPV4": "192.0.2.1", "AWS_INSTANCE_PORT": "80", "owner": "nobody"}
STABLE = 5
MOST_PODS = 20
SETTLED_SECONDS = 120.0
"""The brake holds what looks like too many missing pods at once for a minute."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--registry", choices=REGISTRIES, default="etcd")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    return run(functools.partial(rows, asked.registry, asked.seconds, asked.seed))


class Backend:
    """A server of the registry, which can be ended, started again, and stopped for a while."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._server: Any
        if kind == "consul":
            self._server = Consul(folder / kind).start()
            self.url = self._server.address
        elif kind == "etcd":
            self._server = EtcdCluster(folder).start().wait()
            (self.url,) = self._server.endpoints
        else:
            os.environ.update(AWS)  # we ask it as a client of Cloud Map
            self._server = Server(folder)
            self._server.start()
            self.url = self._server.endpoint
        self.port = urlsplit(self.url).port or 0

    def options(self, port: int) -> Mapping[str, Any]:
        """Return how it is opened at this port."""
        url = f"http://127.0.0.1:{port}"
        named: Mapping[str, Mapping[str, Any]] = {
            "consul": {"kind": "consul", "address": url},
            "etcd": {"kind": "etcd", "endpoints": [url]},
            "embedded": {"kind": "cloudmap", "endpointUrl": url, "region": "us-east-1"},
        }
        return named[self.kind]

    def kill(self) -> None:
        """End it as a machine that loses power would."""
        self._server.stop() if self.kind == "embedded" else self._server.kill()

    def start(self) -> None:
        """Start it again on what it held, and wait until it answers."""
        self._server.start()
        if self.kind == "etcd":
            self._server.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        child = self._server.members[0].child if self.kind == "etcd" else self._server.child
        child.signal(number)


@dataclass
class Side:
    """A cluster: its place, its operator, its wire, and the pods that are ready in it."""

    name: str
    place: Place
    operator: Operator
    wire: TcpWire
    ready: set[str] = field(default_factory=set)
    asleep: set[str] = field(default_factory=set)
    made: int = 0

    def pod(self) -> str:
        """Make a pod that is ready; return its name."""
        self.made += 1
        name = f"{self.name}-{self.made}"
        self.place.pod(name, SERVICE)
        self.ready.add(name)
        return name

    def change(self, dice: random.Random, stable: set[str]) -> None:
        """Let a pod come or go, or be ready no more or again."""
        others = sorted(self.ready - stable)
        what = dice.choice(("come", "go", "sleep", "wake"))
        if what == "wake" and self.asleep:
            name = dice.choice(sorted(self.asleep))
            self.place.set_status(name, ready=True)
            self.asleep.remove(name)
            self.ready.add(name)
        elif what == "sleep" and others:
            name = dice.choice(others)
            self.place.set_status(name, ready=False)
            self.ready.remove(name)
            self.asleep.add(name)
        elif (what == "go" and others) or len(self.ready) + len(self.asleep) >= MOST_PODS:
            name = dice.choice(others or sorted(self.asleep))
            self.place.delete("Pod", name, now=True)
            self.ready.discard(name)
            self.asleep.discard(name)
        else:
            self.pod()


@dataclass
class Faults:
    """What goes wrong: each fault begins something, and returns what ends it."""

    backend: Backend
    sides: tuple[Side, Side]
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def begin(self) -> Callable[[], object]:
        """Let something go wrong; return what sets it right."""
        side = self.dice.choice(self.sides)
        kinds: dict[str, Callable[[], Callable[[], object]]] = {
            "operator killed": lambda: self._operator(side),
            "server killed": self._server,
            "wire cut": lambda: self._cut(side),
            "wire down": lambda: self._down(side),
        }
        if self.backend.kind != "embedded":
            kinds["server stopped"] = self._stopped
        name = self.dice.choice(sorted(kinds))
        self.done[name] += 1
        return kinds[name]()

    def _operator(self, side: Side) -> Callable[[], object]:
        side.operator.kill()
        return lambda: side.operator.start(wait=False)

    def _server(self) -> Callable[[], object]:
        self.backend.kill()
        return self.backend.start

    def _stopped(self) -> Callable[[], object]:
        self.backend.signal(signal.SIGSTOP)
        return lambda: self.backend.signal(signal.SIGCONT)

    def _cut(self, side: Side) -> Callable[[], object]:
        side.wire.cut()
        return side.wire.cut

    def _down(self, side: Side) -> Callable[[], object]:
        side.wire.down()
        return side.wire.up


def rows(registry: str = "etcd", seconds: float = 300.0, seed: int = 1) -> Iterator[Row]:
    """Let them write for so long, and look."""
    dice = random.Random(seed)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        backend = Backend(registry, folder)
        stack.callback(backend.kill)
        sides = _sides(stack, backend, folder)
        judge = stack.enter_context(Judge(backend.options(backend.port)))
        space = sides[0].place.registry_namespace
        stable = {side.pod() for side in sides for _ in range(STABLE)}
        judge.register(space, SERVICE, "foreign", FOREIGN)
        before = judge.expect(space, SERVICE, stable | {"foreign"})
        faults = Faults(backend, sides, dice)
        with judge.watching(space, SERVICE, stable | {"foreign"}) as watched:
            _go(faults, stable, seconds)
            ended = time.monotonic()
            wanted = {"foreign", *sides[0].ready, *sides[1].ready}
            is_settled = _settles(lambda: set(judge.instances(space, SERVICE)) == wanted)
            settled = time.monotonic() - ended
        held = judge.instances(space, SERVICE)
        touched = [name for name in stable | {"foreign"} if held.get(name) != before[name]]
        mistakes = [line for side in sides for line in side.operator.unexpected()]
    yield _end_row(faults, seconds, wanted, set(held))
    yield _watch_row(watched, touched, mistakes)
    yield Row(
        "after the last change: until the service holds exactly what it should",
        f"≤ {SETTLED_SECONDS:g} s",
        f"{settled:.1f} s" if is_settled else "never",
        is_settled,
    )


def _sides(stack: ExitStack, backend: Backend, folder: Path) -> tuple[Side, Side]:
    first: Place | None = None
    made = []
    for name in ("blue", "green"):
        plane = stack.enter_context(ControlPlane(nodes=1))
        install_kinds(plane)
        place = Place(plane, first.namespace, first.registry_namespace) if first else Place(plane)
        first = place.make()
        wire = stack.enter_context(TcpWire(backend.port))
        (folder / name).mkdir()
        config = written(folder / name / "operator.yaml", backend.options(wire.port))
        flags = ("--cluster-name", name)
        operator = Operator(folder / name, plane.kubeconfig, *flags, config=config, is_warm=True)
        stack.callback(operator.kill)
        operator.start()
        place.declare(SERVICE)
        made.append(Side(name, place, operator, wire))
    return made[0], made[1]


def _go(faults: Faults, stable: set[str], seconds: float) -> None:
    """Change pods all the time, and let one thing after the other go wrong and right again."""
    dice, end = faults.dice, time.monotonic() + seconds
    while time.monotonic() < end:
        mend = faults.begin()
        _change(faults, stable, dice.uniform(0.5, 4))
        mend()
        _change(faults, stable, dice.uniform(0.5, 6))


def _change(faults: Faults, stable: set[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        faults.dice.choice(faults.sides).change(faults.dice, stable)
        time.sleep(faults.dice.uniform(0.05, 0.4))


def _settles(holds: Callable[[], bool]) -> bool:
    try:
        return wait_until(holds, "quiet", seconds=SETTLED_SECONDS)
    except GroundError:
        return False


def _end_row(faults: Faults, seconds: float, wanted: set[str], held: set[str]) -> Row:
    told = ", ".join(f"{name} {count}" for name, count in sorted(faults.done.items()))
    own = ", ".join(f"{side.name} {len(side.ready & held)} of {len(side.ready)} pods" for side in faults.sides)
    made = sum(side.made for side in faults.sides)
    return Row(
        f"two clusters write one service in {faults.backend.kind} for {seconds:g} s, {made} pods made, "
        f"{faults.done.total()} faults ({told}): what it holds in the end",
        "each sees exactly its own",
        f"{own}; missing {len(wanted - held)}, surplus {len(held - wanted)}",
        wanted == held,
    )


def _watch_row(watched: Watched, touched: list[str], mistakes: list[str]) -> Row:
    for line in mistakes:
        print(line)
    for names in watched.missing[:5]:
        print(f"  missing: {sorted(names)}")
    return Row(
        f"{2 * STABLE} pods that were ready all the time and an instance that is nobody's: answers without one, "
        "how many of them differ in the end, mistakes in logs",
        "0, 0, 0",
        f"{len(watched.missing)} of {watched.answers} answers, {len(touched)}, {len(mistakes)}",
        not watched.missing and not touched and not mistakes,
    )


if __name__ == "__main__":
    sys.exit(main())
