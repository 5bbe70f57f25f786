"""10,000 pods: a tenth of them annotated, then all; what the whole operator process takes to follow them.

python -m bench.many_pods [--pods 10000] [--services 400] [--events 3000] [--no-cloud-map]

The pods have some 9 KB each, and lie in 8 Kubernetes namespaces; their services in 8 registry namespaces. A tenth asks
for a registration at first: memory and CPU of the first sync, and CPU for each event that changes no registration. Then
all ask: how long a cold operator with an empty registry takes, with the embedded registry in its process and with the
Cloud Map backend, whose registry is another process. Its own limits (48 requests a second) then set the time.
"""

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.crowd import Crowd, Member, declare
from bench.floor import Floor
from bench.ground import cpu_seconds, ground, peak_memory, used
from bench.in_pod import InPod
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import DEREGISTER, REGISTER

NAMESPACES = 8
ANNOTATED_EVERY = 10
FEW_MEMORY, FEW_CPU, EVENT_CPU = 130.0, 6.0, 0.0005
ALL_MEMORY, ALL_SECONDS, CLOUD_MAP_MEMORY = 220.0, 30.0, 150.0
RUNS = 3
REGISTERED = 'kube_registrar_instances{registry="default",state="registered"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=400)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--cloud-map", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services, asked.events, cloud_map=asked.cloud_map))


def rows(pods: int = 10_000, services: int = 400, events: int = 3000, *, cloud_map: bool = True) -> Iterator[Row]:
    """Make the pods, and measure with a tenth of them annotated, then with all."""
    with ground(nodes=20) as (place, folder):
        bench = _Bench(place, folder, pods, services)
        yield from bench.few(events)
        yield from bench.all()
        if cloud_map:
            yield bench.cloud_map()


class _Bench:
    """The pods, and what they ask for."""

    def __init__(self, place: Place, folder: Path, pods: int, services: int) -> None:
        self._folder = folder
        self._plane = place.plane
        self._crowd = Crowd(place.plane)
        self._places = [place, *(Place(place.plane).make() for _ in range(NAMESPACES - 1))]
        self._services = [f"service-{number}" for number in range(services // NAMESPACES)]
        self._members = [self._member(number) for number in range(pods)]
        began = time.monotonic()
        for one in self._places:
            declare(one, self._services)
        self._crowd.make(self._members)
        size = len(json.dumps(place.plane.api.get(self._members[0].path), separators=(",", ":")))
        print(f"  {pods} pods of {size} bytes were made in {time.monotonic() - began:.0f} s", flush=True)

    def few(self, events: int) -> Iterator[Row]:
        """Measure with a tenth of them annotated."""
        few = len(range(0, len(self._members), ANNOTATED_EVERY))
        what = f"{len(self._members)} pods, 10 % annotated, whole operator process"
        operator = self._operator("few")
        try:
            _start(operator)
            ready = cpu_seconds(operator.child.pid)
            self._registered(operator, few)
            print(f"  ready after {ready:.2f} s of CPU; all {few} registered: {used(operator)}", flush=True)
            _quiet(operator)
            cost = [self._event(operator, events, run) for run in range(RUNS)]
            memory = peak_memory(operator.child.pid)
        finally:
            operator.kill()
        yield Row(f"{what}: peak RSS (VmHWM)", f"≤ {FEW_MEMORY:g} MB", f"{memory:.0f} MB", memory <= FEW_MEMORY)
        yield Row(f"{what}: first sync", f"≤ {FEW_CPU:g} s CPU", f"{ready:.2f} s CPU", ready <= FEW_CPU)
        ours, floor = (statistics.median(one[index] for one in cost) for index in (0, 1))
        yield Row(
            f"a pod event that changes no registration, whole process, median of {RUNS}",
            f"≤ {EVENT_CPU * 1000:g} ms CPU",
            f"{ours * 1000:.3f} ms CPU",
            ours <= EVENT_CPU,
            f"{floor * 1000:.3f} ms CPU",
        )

    def all(self) -> Iterator[Row]:
        """Measure with all of them annotated, and the registry in the operator's process."""
        numbers = {member.name: number for number, member in enumerate(self._members)}
        self._crowd.annotate(self._members, lambda member: self._asks(numbers[member.name]))
        what = f"{len(self._members)} pods, all annotated, {self._what()}, embedded registry in-process"
        operator = self._operator("all")
        began = time.time()
        try:
            _start(operator)
            ready = time.time() - began
            self._registered(operator, len(self._members))
            took = self._last_registration(operator.data) - began
            memory = peak_memory(operator.child.pid)
            print(f"  ready after {ready:.1f} s, converged after {took:.1f} s; {used(operator)}", flush=True)
        finally:
            operator.kill()
        yield Row(f"{what}: converged after its start", f"≤ {ALL_SECONDS:g} s", f"{took:.1f} s", took <= ALL_SECONDS)
        yield Row(f"{what}: peak RSS", f"≤ {ALL_MEMORY:g} MB", f"{memory:.0f} MB", memory <= ALL_MEMORY)

    def cloud_map(self) -> Row:
        """Measure with all of them annotated, and the Cloud Map backend."""
        registry = RegistryProcess(self._folder / "cloud-map-registry").start()
        operator = self._operator("cloud-map", registry.url)
        began = time.time()
        try:
            _start(operator)
            self._registered(operator, len(self._members), seconds=900)
            took = self._last_registration(registry.data) - began
            calls = registry.requests(began).total() / len(self._members)
            memory = peak_memory(operator.child.pid)
            print(f"  converged after {took:.0f} s, {calls:.2f} calls a registration; {used(operator)}", flush=True)
        finally:
            operator.kill()
            registry.stop()
        return Row(
            f"{len(self._members)} pods, all annotated, {self._what()}, Cloud Map backend: peak RSS",
            f"≤ {CLOUD_MAP_MEMORY:g} MB",
            f"{memory:.0f} MB ({took:.0f} s, {calls:.2f} calls a registration)",
            memory <= CLOUD_MAP_MEMORY,
        )

    def _what(self) -> str:
        return f"{len(self._services) * NAMESPACES} services over {NAMESPACES} registry namespaces"

    def _operator(self, name: str, endpoint: str | None = None) -> Operator:
        folder = self._folder / name
        folder.mkdir()
        return InPod(folder, self._plane, endpoint=endpoint)

    def _member(self, number: int) -> Member:
        asks = self._asks(number) if number % ANNOTATED_EVERY == 0 else {}
        namespace = self._places[number % NAMESPACES].namespace
        return Member(namespace, f"web-7c9f8d6b5-{number:05}", f"node-{number % 20}", asks)

    def _asks(self, number: int) -> dict[str, str]:
        service = self._services[number // NAMESPACES % len(self._services)]
        return self._places[number % NAMESPACES].asks(service, attributes="stage=dev,version=1.0.0")

    def _registered(self, operator: Operator, count: int, seconds: float = 300.0) -> None:
        wait_until(
            lambda: operator.metric(REGISTERED) == count,
            lambda: f"{count} to be registered; {operator.metric(REGISTERED)} are",
            seconds=seconds,
            every=0.5,
        )

    def _last_registration(self, data: Path) -> float:
        """Return when the last pod was registered, after a look that each was once and none went."""
        entries = history(data)
        sent = [entry for entry in entries if entry.operation == REGISTER]
        gone = [entry for entry in entries if entry.operation == DEREGISTER]
        assert (len(sent), len(gone)) == (len(self._members), 0), (len(sent), len(gone))
        return max(entry.updated for entry in sent)

    def _event(self, operator: Operator, events: int, number: int) -> tuple[float, float]:
        """Change an annotation of somebody else on pods in turn; return CPU seconds an event, ours and the floor's."""
        some: Sequence[Member] = self._members[number * events : (number + 1) * events] or self._members
        with Floor(self._plane) as floor:
            pid = operator.child.pid
            before, heard = cpu_seconds(pid), floor.heard
            spent = floor.cpu_seconds
            self._crowd.annotate(some, lambda _: {"example.com/touched": str(number)})
            wait_until(lambda: floor.heard - heard >= len(some), "the events to be heard", seconds=60)
            return (cpu_seconds(pid) - before) / len(some), (floor.cpu_seconds - spent) / len(some)


def _quiet(operator: Operator) -> None:
    """Wait until it does next to nothing: a start with many services goes on long after its first sync."""

    def is_quiet() -> bool:
        before = cpu_seconds(operator.child.pid)
        time.sleep(2.0)
        return cpu_seconds(operator.child.pid) - before < 0.1

    wait_until(is_quiet, "the operator to be quiet", seconds=300)


def _start(operator: Operator) -> None:
    """Start it and wait until it has read all, however long a busy machine takes for that."""
    operator.start(wait=False)
    wait_until(lambda: operator.why_not_ready() == "", operator.why_not_ready, seconds=300, every=0.1)


if __name__ == "__main__":
    sys.exit(main())
