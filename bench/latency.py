"""How soon a pod that becomes Ready is found over HTTP, beside the least that it could take.

python -m bench.latency [--pods 100] [--runs 3]

The clock starts when the bench's own PATCH of the pod's status returns and stops at the first answer of
DiscoverInstances that holds the pod. The floor is measured in turn with it, in the same run and against the same
registry: a loop that watches pods and does nothing but POST RegisterInstance. The bar: the operator's p99 is at most
150 ms beyond the floor's median. Exit code 1 if it is not kept.
"""

import argparse
import functools
import http.client
import json
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from bench.ground import Client, cpu_seconds, ground, percentile, used
from bench.table import Row, run

from kube_registrar.testing.builders import pod_manifest
from kube_registrar.testing.components import BY_HAND
from tests.scenarios.harness import Operator
from tests.scenarios.place import NODE, Place
from tests.scenarios.registry import Registry

BAR_SECONDS = 0.150
POLL_SECONDS = 0.001
GIVE_UP_SECONDS = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.runs))


def rows(pods: int = 100, runs: int = 3) -> Iterator[Row]:
    """Measure both, several times."""
    measured = [_run(pods) for _ in range(runs)]
    ours, floor = zip(*measured, strict=True)
    p99 = statistics.median(percentile(one, 0.99) for one in ours)
    beyond = statistics.median(percentile(our, 0.99) - statistics.median(its) for our, its in measured)
    least = [statistics.median(statistics.median(one) for one in floor)]
    least.append(statistics.median(percentile(one, 0.99) for one in floor))
    yield Row(
        f"pod Ready until discoverable over HTTP, quiet system, p99 of {pods} pods, median of {runs} runs",
        f"≤ {BAR_SECONDS * 1000:.0f} ms beyond the floor's median",
        f"{p99 * 1000:.1f} ms, {beyond * 1000:.1f} ms beyond",
        beyond <= BAR_SECONDS,
        f"median {least[0] * 1000:.1f} ms, p99 {least[1] * 1000:.1f} ms",
    )


def _run(pods: int) -> tuple[list[float], list[float]]:
    """Return the seconds that each pod took, and each pod of the floor."""
    with ground() as (place, folder):
        operator = Operator(folder, place.plane.kubeconfig).start()
        try:
            place.declare("operator")
            floor_id = Registry(operator.endpoint, place.registry_namespace).create("floor")
            _make_pods(place, pods)
            _BareLoop(place, operator.endpoint, floor_id).start()
            before = cpu_seconds(operator.child.pid)
            ours, floor = _measure(place, Client(operator.endpoint, place.registry_namespace), pods)
            spent = cpu_seconds(operator.child.pid) - before
            print(f"  operator: {used(operator)}; {spent:.2f} s of CPU while measuring, polls and floor included")
        finally:
            operator.kill()
    _say("operator", ours)
    _say("floor   ", floor)
    return ours, floor


def _make_pods(place: Place, count: int) -> None:
    """Make two kinds of pods that are not Ready: those that ask the operator, and those that only the floor sees."""
    for number in range(count):
        place.unready_pod(f"operator-{number}", "operator")
        manifest = pod_manifest(
            f"floor-{number}",
            place.namespace,
            annotations={BY_HAND: "true"},
            labels={"bench": "floor"},
            nodeName=NODE,
        )
        place.plane.api.post(f"/api/v1/namespaces/{place.namespace}/pods", manifest)


def _measure(place: Place, client: Client, count: int) -> tuple[list[float], list[float]]:
    """Make one pod Ready after another, each kind in turn; return the seconds that each took."""
    ours, floor = [], []
    for number in range(count):
        ours.append(_one(place, client, "operator", number))
        floor.append(_one(place, client, "floor", number))
    return ours, floor


def _one(place: Place, client: Client, kind: str, number: int) -> float:
    pod = f"{kind}-{number}"
    place.set_status(pod, ready=True)
    began = time.perf_counter()
    while not client.count(kind, KUBE_POD=pod):
        if time.perf_counter() - began > GIVE_UP_SECONDS:
            raise RuntimeError(f"{pod} was not found within {GIVE_UP_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - began


class _BareLoop(threading.Thread):
    """The least that an operator does: watch, and POST what became Ready."""

    def __init__(self, place: Place, endpoint: str, service_id: str) -> None:
        super().__init__(name="floor", daemon=True)
        self._client = Client(endpoint, place.registry_namespace)
        self._service_id = service_id
        self._seen: set[str] = set()
        server = urlsplit(place.plane.url)
        context = ssl.create_default_context(cafile=str(place.plane.ca_file))
        connection = http.client.HTTPSConnection(server.netloc, context=context)
        path = f"/api/v1/namespaces/{place.namespace}/pods?watch=1&labelSelector=bench%3Dfloor"
        connection.request("GET", path, headers={"Authorization": f"Bearer {place.plane.token}"})
        self._lines = connection.getresponse()

    def run(self) -> None:
        for line in self._lines:
            pod = json.loads(line)["object"]
            conditions = pod["status"].get("conditions", ())
            name = pod["metadata"]["name"]
            if name in self._seen or not any((c["type"], c["status"]) == ("Ready", "True") for c in conditions):
                continue
            self._seen.add(name)
            self._client.call(
                "RegisterInstance",
                ServiceId=self._service_id,
                InstanceId=name,
                Attributes={"AWS_INSTANCE_IPV4": pod["status"]["podIP"], "KUBE_POD": name},
            )


def _say(what: str, seconds: Sequence[float]) -> None:
    figures = {"median": statistics.median(seconds), "p99": percentile(seconds, 0.99), "max": max(seconds)}
    told = ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in figures.items())
    print(f"  {what} Ready to discoverable over {len(seconds)} pods: {told}")


if __name__ == "__main__":
    sys.exit(main())
