"""The API server away for two minutes, the registry, and both, with half the pods changed meanwhile.

python -m bench.outages [--seconds 120] [--pods 200] [--services 20]

The operator has the Cloud Map backend, its registry is a process of its own, and it sees the API server through a
proxy. In an outage of the API server that is really killed, comes back for the bench to change pods, and stays
unreachable for the operator until the two minutes are over.
"""

import argparse
import functools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.crowd import Crowd, Member, declare
from bench.ground import ground, used
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import changes, deregistered

BAR_SECONDS = 35.0
SERVE_SECONDS = 20.0
"""So long before the end of an outage the API server runs again, for the bench alone."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--services", type=int, default=20)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.seconds, asked.pods, asked.services))


def rows(seconds: float = 120.0, pods: int = 200, services: int = 20) -> Iterator[Row]:
    """Have the three outages, one after the other."""
    with ground() as (place, folder), FaultProxy.before(place.plane) as proxy:
        bench = _Bench(place, folder, proxy, pods, services)
        try:
            bench.begin()
            yield bench.outage("API server down", seconds, api_server=True)
            yield bench.outage("registry down", seconds, registry=True)
            yield bench.outage("both down", seconds, api_server=True, registry=True)
            wrong = bench.wrong()
            yield Row("in all of these outages: live pods that were deregistered", "0", str(len(wrong)), not wrong)
            print(f"  at the end: {used(bench.operator)}", flush=True)
        finally:
            bench.end()


class _Bench:
    """An operator, its registry, and the pods, half of which change in each outage."""

    def __init__(self, place: Place, folder: Path, proxy: FaultProxy, pods: int, services: int) -> None:
        self._place = place
        self._proxy = proxy
        self._crowd = Crowd(place.plane)
        self._services = [f"service-{number}" for number in range(services)]
        self._made = 0
        self._gone: set[str] = set()
        self._living = self._new(pods)
        self._registry = RegistryProcess(folder / "registry")
        kubeconfig = proxy.write_kubeconfig(folder / "kubeconfig")
        self.operator = Operator(folder, kubeconfig, endpoint=self._registry.url)

    def begin(self) -> None:
        """Start, and wait until all are registered."""
        declare(self._place, self._services)
        self._crowd.make(self._living)
        self._registry.start()
        self.operator.start()
        self._converged()

    def end(self) -> None:
        """Kill the operator and the registry."""
        self.operator.kill()
        self._registry.stop()

    def outage(self, what: str, seconds: float, *, api_server: bool = False, registry: bool = False) -> Row:
        """Have an outage, change half the pods in it, and measure from its end until the registry is right."""
        began = time.monotonic()
        with ExitStack() as outage:
            if registry:
                self._registry.stop()
            if api_server:
                outage.enter_context(self._proxy.down())
                self._place.plane.stop_api_server()
                _until(began + max(0.0, seconds - SERVE_SECONDS))
                self._place.plane.start_api_server()
            self._change()
            _until(began + seconds)
            if registry:
                self._registry.start()
        ended = time.monotonic()
        self._converged()
        took = time.monotonic() - ended
        half = len(self._living) // 2
        print(f"  {what} for {ended - began:.0f} s: converged {took:.1f} s after its end", flush=True)
        return Row(
            f"{what} for {ended - began:.0f} s, {half} of {len(self._living)} pods changed meanwhile: converged",
            f"≤ {BAR_SECONDS:g} s after its end",
            f"{took:.1f} s",
            took <= BAR_SECONDS,
        )

    def wrong(self) -> set[str]:
        """Return the pods that were deregistered though they live."""
        return set(deregistered(self._registry.data)) - self._gone

    def _new(self, count: int) -> list[Member]:
        names = self._services
        numbers = range(self._made, self._made + count)
        self._made += count
        return [
            Member(self._place.namespace, f"web-{number:05}", annotations=self._place.asks(names[number % len(names)]))
            for number in numbers
        ]

    def _change(self) -> None:
        """Delete half the pods, and make as many new ones."""
        half = len(self._living) // 2
        goes, stays = self._living[:half], self._living[half:]
        comes = self._new(half)
        self._gone |= {member.name for member in goes}
        self._living = [*stays, *comes]
        self._crowd.delete(goes)
        self._crowd.make(comes)

    def _converged(self) -> None:
        wanted = {member.name for member in self._living}
        wait_until(
            lambda: self._found() == wanted,
            lambda: (
                f"the registry to be right; missing {_few(wanted - self._found())}, "
                f"surplus {_few(self._found() - wanted)}; the log ends with\n{self.operator.tail()}"
            ),
            seconds=180,
            every=0.25,
        )

    def _found(self) -> set[str]:
        """Return whose instances there are, as the registry's own history tells it."""
        found: dict[tuple[str, str], str] = {}
        for change in changes(self._registry.data):
            key = (change.service, change.instance_id)
            if change.type == "REGISTER_INSTANCE":
                found[key] = change.pod
            else:
                found.pop(key, None)
        return set(found.values())


def _few(names: Sequence[str] | set[str]) -> str:
    return f"{len(names)} {sorted(names)[:3]}"


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
