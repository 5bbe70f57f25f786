"""The API server away for two minutes, the registry, and both, with half the pods changed meanwhile.

A third of those that change is not ready any more, a third has another attribute, and a third was deleted and made anew
under the same name. In a last outage half the pods are deleted and others come: nobody saw that, so the brake holds the
instances of the deleted ones until a second list, a minute later, lacks them too (docs/safety.md).

python -m bench.outages [--seconds 120] [--pods 200] [--services 20]

The operator has the Cloud Map backend, its registry is a process of its own, and it sees the API server through a
proxy. In an outage of the API server that is really killed, comes back for the bench to change pods, and stays
unreachable for the operator until the two minutes are over.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.crowd import Crowd, Member, declare
from bench.ground import ground, used
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import DEREGISTER, REGISTER, changes

BAR_SECONDS = 35.0
BRAKE_SECONDS = 60.0
SERVE_SECONDS = 20.0
"""So long before the end of an outage the API server runs again, for the bench alone."""
REVISION = "kube-registrar.dev/attributes"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--services", type=int, default=20)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.seconds, asked.pods, asked.services))


def rows(seconds: float = 120.0, pods: int = 200, services: int = 20) -> Iterator[Row]:
    """Have the outages, one after the other."""
    with ground() as (place, folder), FaultProxy.before(place.plane) as proxy:
        crowd = Pods(place, pods, services)
        bench = _Bench(place, folder, proxy, crowd)
        try:
            bench.begin()
            yield bench.outage("API server down", seconds, crowd.change, api_server=True)
            yield bench.outage("registry down", seconds, crowd.change, registry=True)
            yield bench.outage("both down", seconds, crowd.change, api_server=True, registry=True)
            yield bench.outage(
                "API server down, pods deleted that nobody saw go",
                seconds,
                crowd.replace,
                bar=BAR_SECONDS + BRAKE_SECONDS,
                api_server=True,
            )
            wrong = bench.wrong()
            yield Row("in all of these outages: live ready pods deregistered", "0", str(len(wrong)), not wrong)
            print(f"  at the end: {used(bench.operator)}", flush=True)
        finally:
            bench.end()


class Pods:
    """The pods, half of which change in each outage. `may_go`: the UIDs of those that were not ready or not there."""

    def __init__(self, place: Place, pods: int, services: int) -> None:
        self.services = [f"service-{number}" for number in range(services)]
        self.may_go: set[str] = set()
        self._place = place
        self._crowd = Crowd(place.plane)
        self._unready: set[str] = set()
        self._made = 0
        self._rounds = 0
        self._living = self._new(pods)

    def __len__(self) -> int:
        return len(self._living)

    def make(self) -> None:
        """Make all."""
        self._crowd.make(self._living)

    def change(self) -> None:
        """Let a sixth change their readiness, a sixth their attributes, and make a sixth anew under their names."""
        self._rounds += 1
        half, rest = self._halves()
        third = len(half) // 3
        turns, edits, again = half[:third], half[third : 2 * third], half[2 * third :]
        self._may_go([*turns, *again])
        for ready in (True, False):
            self._crowd.set_ready([one for one in turns if (one.name in self._unready) is ready], ready=ready)
        self._unready ^= {one.name for one in turns}
        self._crowd.annotate(edits, lambda _: {REVISION: f"revision={self._rounds}"})
        self._crowd.delete(again)
        self._crowd.make(again)
        self._unready -= {one.name for one in again}
        self._living = [*rest, *half]

    def replace(self) -> None:
        """Delete half, and make as many with other names."""
        half, rest = self._halves()
        self._may_go(half)
        comes = self._new(len(half))
        self._crowd.delete(half)
        self._crowd.make(comes)
        self._living = [*rest, *comes]

    def wanted(self) -> dict[str, str]:
        """Return the UIDs that are to be registered, each with what its attributes say."""
        pods = self._place.list("Pod")
        ready = [one for one in pods if one["metadata"]["name"] not in self._unready]
        return {one["metadata"]["uid"]: one["metadata"]["annotations"].get(REVISION, "") for one in ready}

    def _halves(self) -> tuple[list[Member], list[Member]]:
        half = len(self._living) // 2
        return self._living[:half], self._living[half:]

    def _may_go(self, members: Sequence[Member]) -> None:
        names = {member.name for member in members}
        pods = self._place.list("Pod")
        self.may_go |= {one["metadata"]["uid"] for one in pods if one["metadata"]["name"] in names}

    def _new(self, count: int) -> list[Member]:
        numbers = range(self._made, self._made + count)
        self._made += count
        names, namespace = self.services, self._place.namespace
        return [
            Member(namespace, f"web-{number:05}", annotations=self._place.asks(names[number % len(names)]))
            for number in numbers
        ]


class _Bench:
    """An operator and its registry."""

    def __init__(self, place: Place, folder: Path, proxy: FaultProxy, pods: Pods) -> None:
        self._place = place
        self._proxy = proxy
        self._pods = pods
        self._registry = RegistryProcess(folder / "registry")
        kubeconfig = proxy.write_kubeconfig(folder / "kubeconfig")
        self.operator = Operator(folder, kubeconfig, endpoint=self._registry.url)

    def begin(self) -> None:
        """Start, and wait until all are registered."""
        declare(self._place, self._pods.services)
        self._pods.make()
        self._registry.start()
        self.operator.start()
        self._converged()

    def end(self) -> None:
        """Kill the operator and the registry."""
        self.operator.kill()
        self._registry.stop()

    def outage(
        self,
        what: str,
        seconds: float,
        change: Callable[[], None],
        *,
        bar: float = BAR_SECONDS,
        api_server: bool = False,
        registry: bool = False,
    ) -> Row:
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
            change()
            _until(began + seconds)
            if registry:
                self._registry.start()
        ended = time.monotonic()
        self._converged()
        took = time.monotonic() - ended
        print(f"  {what} for {ended - began:.0f} s: converged {took:.1f} s after its end", flush=True)
        return Row(
            f"{what} for {ended - began:.0f} s, half of {len(self._pods)} pods changed meanwhile: converged",
            f"≤ {bar:g} s after its end",
            f"{took:.1f} s",
            took <= bar,
        )

    def wrong(self) -> set[str]:
        """Return the UIDs of pods that were deregistered though they lived and were ready."""
        gone = {change.uid for change in changes(self._registry.data) if change.type == DEREGISTER}
        return gone - self._pods.may_go

    def _converged(self) -> None:
        wanted = self._pods.wanted()
        wait_until(
            lambda: found(self._registry.data) == wanted,
            lambda: (
                f"the registry to be right; wrong are {_few(wanted.items() ^ found(self._registry.data).items())}; "
                f"the log ends with\n{self.operator.tail()}"
            ),
            seconds=240,
            every=0.25,
        )


def found(data: Path) -> dict[str, str]:
    """Return whose instances a registry holds, each with its attribute, as its own history tells it."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in history(data):
        key = (entry.service, entry.instance_id)
        if entry.operation == REGISTER:
            revision = entry.attributes.get("revision")
            found[key] = entry.attributes["KUBE_POD_UID"], f"revision={revision}" if revision else ""
        elif entry.operation == DEREGISTER:
            found.pop(key, None)
    return dict(found.values())


def _few(wrong: Collection[tuple[str, str]]) -> str:
    return f"{len(wrong)}: {sorted(wrong)[:3]}"


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
