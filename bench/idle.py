"""What an operator costs when nothing happens: registry calls, counted on the wire, and its share of a core.

python -m bench.idle [--seconds 600] [--pods 1000] [--services 100]

The Cloud Map backend, against an embedded registry in a process of its own. The time begins a minute after all pods are
registered, so that nothing of the start is counted.
"""

import argparse
import functools
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.crowd import Crowd, Member, declare
from bench.ground import cpu_seconds, ground, used
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place

CALLS_BAR, CORE_BAR = 12.0, 0.01
REGISTERED = 'kube_registrar_instances{registry="default",state="registered"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--settle", type=float, default=60.0)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.seconds, asked.settle, asked.pods, asked.services))


def rows(seconds: float = 600.0, settle: float = 60.0, pods: int = 1000, services: int = 100) -> Iterator[Row]:
    """Start, settle, and count."""
    with ground() as (place, folder):
        registry = RegistryProcess(folder / "registry").start()
        operator = Operator(folder, place.plane.kubeconfig, endpoint=registry.url)
        try:
            populate(place, pods, services)
            operator.start()
            wait_until(lambda: operator.metric(REGISTERED) == pods, "all to be registered", seconds=300, every=0.5)
            time.sleep(settle)
            began, before = time.time(), cpu_seconds(operator.child.pid)
            time.sleep(seconds)
            spent = cpu_seconds(operator.child.pid) - before
            calls = registry.requests(began)
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
