"""What an operator costs when nothing happens: registry calls, counted on the wire, and its share of a core.

python -m bench.idle [--pods 1000] [--services 100]

The Cloud Map backend, against an embedded registry in a process of its own. What is counted is one whole period of the
resync, from its first list of instances to the first of the next one: some ten minutes, of which each looks alike. Ten
minutes from any other moment hold no resync, or two.
"""

import argparse
import functools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.crowd import Crowd, Member, declare
from bench.ground import cpu_seconds, ground, used
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.sync.following import RESYNC_SECONDS, SPREAD_SECONDS
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place

CALLS_BAR, CORE_BAR = 12.0, 0.01
AFTER_START_SECONDS = 60.0
"""By then nothing of the start goes on: services that are read in a leader's first seconds are read twice."""
REGISTERED = 'kube_registrar_instances{registry="default",state="registered"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services))


def rows(pods: int = 1000, services: int = 100) -> Iterator[Row]:
    """Start, wait for a resync, and count until the next."""
    with ground() as (place, folder):
        registry = RegistryProcess(folder / "registry").start()
        operator = Operator(folder, place.plane.kubeconfig, endpoint=registry.url)
        try:
            populate(place, pods, services)
            operator.start()
            wait_until(lambda: operator.metric(REGISTERED) == pods, "all to be registered", seconds=300, every=0.5)
            began = next_resync(registry, time.time() + AFTER_START_SECONDS)
            before = cpu_seconds(operator.child.pid)
            ended = next_resync(registry, began + SPREAD_SECONDS)
            spent = cpu_seconds(operator.child.pid) - before
            calls, seconds = calls_between(registry, began, ended), ended - began
            print(f"  {dict(calls)}; {used(operator)}", flush=True)
        finally:
            operator.kill()
            registry.stop()
    what = f"idle, {pods} registrations in {services} services without custom health, {seconds:.0f} s"
    a_minute, share = calls.total() / seconds * 60, spent / seconds
    yield Row(f"{what}: registry calls on the wire", f"≤ {CALLS_BAR:g} a minute", f"{a_minute:.1f}", _met(a_minute))
    yield Row(
        f"{what}: user and system time",
        f"≤ {CORE_BAR * 100:g} % of a core",
        f"{share * 100:.2f} % ({spent:.2f} s)",
        share <= CORE_BAR,
    )


def next_resync(registry: RegistryProcess, after: float) -> float:
    """Wait until a list of instances is asked for later than `after`, and return when it was (Unix seconds)."""
    time.sleep(max(0.0, after - time.time()))

    def first() -> float:
        return next((one.came for one in registry.noted(after, "ListInstances")), 0.0)

    return wait_until(first, "the next resync", seconds=2 * RESYNC_SECONDS, every=0.25)


def calls_between(registry: RegistryProcess, began: float, ended: float) -> Counter[str]:
    """Count the requests of one period, by operation."""
    return Counter(one.operation for one in registry.noted(began - 0.001) if one.came < ended)


def populate(place: Place, pods: int, services: int, **spec: Any) -> list[Member]:
    """Declare the services, of this spec, and make Ready pods that ask for them in turn; return them."""
    names = [f"service-{number}" for number in range(services)]
    declare(place, names, **spec)
    members = [
        Member(place.namespace, f"web-{number:05}", annotations=place.asks(names[number % services]))
        for number in range(pods)
    ]
    Crowd(place.plane).make(members)
    return members


def _met(a_minute: float) -> bool:
    return a_minute <= CALLS_BAR


if __name__ == "__main__":
    sys.exit(main())
