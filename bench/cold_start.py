"""How long a cold operator takes: from "caches are synced" until every pod that was there before it is discoverable.

python -m bench.cold_start [--pods 1000] [--services 100] [--runs 3]

Everything is cold in each run: the process, and the registry, whose namespace and services have to be made from their
RegistryService objects in the same time. The bar is 5 seconds. Exit code 1 if it is not kept.
"""

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.ground import Client, ground, used
from bench.table import Row, run

from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import OURS, Place
from tests.scenarios.registry import deregistered, registered

BAR_SECONDS = 5.0
POLL_SECONDS = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services, asked.runs))


def rows(pods: int = 1000, services: int = 100, runs: int = 3) -> Iterator[Row]:
    """Start cold, several times."""
    with ground() as (place, folder):
        began = time.monotonic()
        populate(place, services, pods // services)
        print(f"  {pods} pods in {services} services are Ready after {time.monotonic() - began:.1f} s")
        taken = [_run(place, folder / str(number), services, pods) for number in range(runs)]
    median = statistics.median(taken)
    yield Row(
        f"{pods} annotated pods in {services} services, operator and registry cold: all discoverable after "
        f"caches are synced, median of {runs}",
        f"≤ {BAR_SECONDS:g} s",
        f"{median:.2f} s (worst {max(taken):.2f} s)",
        median <= BAR_SECONDS,
    )


def populate(
    place: Place,
    services: int,
    replicas: int,
    *,
    namespace: Mapping[str, Any] = MappingProxyType({}),
    service: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Make the services and a Deployment for each, and wait until kwok has made all pods Ready.

    `namespace` and `service`: what the specs of the registry namespace and of its services have beside the usual.
    """
    api = place.plane.api
    api.post(f"{OURS}/registrynamespaces", place.registry_namespace_manifest(**namespace))
    names = [f"service-{number}" for number in range(services)]

    def make(name: str) -> None:
        api.post(
            f"{OURS}/namespaces/{place.namespace}/registryservices", place.registry_service_manifest(name, **service)
        )
        annotations = place.asks(name, attributes="stage=dev,version=1.0.0")
        manifest = deployment_manifest(name, place.namespace, replicas=replicas, annotations=annotations)
        api.post(f"/apis/apps/v1/namespaces/{place.namespace}/deployments", manifest)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, names))
    wait_until(
        lambda: all(one["status"].get("readyReplicas") == replicas for one in place.list("Deployment")),
        "all pods to be Ready",
        seconds=300,
        every=0.5,
    )


def _run(place: Place, folder: Path, services: int, pods: int) -> float:
    """Start an operator on an empty registry; return the seconds from its synced caches to the last discovery."""
    folder.mkdir()
    operator = Operator(folder, place.plane.kubeconfig)
    began = time.time()
    operator.start(wait=False)
    try:
        wait_until(lambda: operator.address("api"), "the operator to listen", every=POLL_SECONDS)
        client = Client(operator.endpoint, place.registry_namespace)
        for number in range(services):
            # Instances only come: when the last service was found whole, all are.
            found = _whole(client, f"service-{number}", pods // services)
            wait_until(found, f"service-{number} to be whole", seconds=120, every=POLL_SECONDS)
        ended = time.time()
        line = next(line for line in operator.lines() if str(line["message"]).startswith("caches are synced"))
        synced = datetime.fromisoformat(str(line["time"])).timestamp()
        assert str(pods) in str(line["message"]), line
        assert len(registered(operator.data)) == pods
        assert deregistered(operator.data) == []
        print(
            f"  process start to caches synced {synced - began:.2f} s; from there to all {pods} discoverable "
            f"{ended - synced:.2f} s; {used(operator)}; {len(registered(operator.data))} registrations were sent"
        )
        return ended - synced
    finally:
        operator.kill()


def _whole(client: Client, service: str, count: int) -> Callable[[], bool]:
    return lambda: client.count(service) == count


if __name__ == "__main__":
    sys.exit(main())
