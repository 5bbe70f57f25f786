"""The operator on a real Consul: how long a cold start takes, and how soon a Ready pod is in the health API.

python -m bench.consul [--pods 1000] [--services 100] [--runs 3] [--single 100]

Consul is one server, kept to one core, with its data on this disk. The bars are 5 s from "caches are synced" until all
are in the catalog, and 300 ms at p99 from the PATCH of a status to the first answer of the health API that holds the
pod as passing. Exit code 1 if one is not kept.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from bench.cold_start import populate
from bench.ground import ground, percentile, used
from bench.table import Row, run

from kube_registrar.testing.consul import Consul
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place

BAR_SECONDS = 5.0
LATENCY_BAR_SECONDS = 0.3
POLL_SECONDS = 0.01
NODE_SERVICES = "/v1/catalog/node-services/kube-registrar"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--single", type=int, default=100)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services, asked.runs, asked.single))


def rows(pods: int = 1000, services: int = 100, runs: int = 3, single: int = 100) -> Iterator[Row]:
    """Start cold, several times; then make pods Ready one by one."""
    with ground() as (place, folder):
        delays = _latencies(place, folder / "latency", single)
        p99 = percentile(delays, 0.99)
        yield Row(
            f"pod Ready until it passes in Consul's health API, quiet system, p99 of {single} pods",
            f"≤ {LATENCY_BAR_SECONDS * 1000:.0f} ms",
            f"{p99 * 1000:.1f} ms (median {statistics.median(delays) * 1000:.1f} ms)",
            p99 <= LATENCY_BAR_SECONDS,
        )
    with ground() as (place, folder):
        populate(place, services, pods // services)
        taken = [_cold(place, folder / str(number), pods) for number in range(runs)]
    median = statistics.median(taken)
    yield Row(
        f"{pods} annotated pods in {services} services, operator and Consul cold: all in the catalog after caches are "
        f"synced, median of {runs}",
        f"≤ {BAR_SECONDS:g} s",
        f"{median:.2f} s (worst {max(taken):.2f} s)",
        median <= BAR_SECONDS,
    )


def _consul(folder: Path) -> Consul:
    consul = Consul(folder / "consul").start()
    os.sched_setaffinity(consul.child.pid, {max(os.sched_getaffinity(0))})
    return consul


def _operator(place: Place, folder: Path, consul: Consul) -> Operator:
    config = folder / "config.yaml"
    registries = {"edge": {"kind": "consul", "address": consul.address}}
    config.write_text(yaml.safe_dump({"defaultRegistry": "edge", "registries": registries}), encoding="utf-8")
    return Operator(folder, place.plane.kubeconfig, config=config)


def _cold(place: Place, folder: Path, pods: int) -> float:
    """Start an operator on an empty Consul; return the seconds from its synced caches to the last entry."""
    folder.mkdir()
    consul = _consul(folder)
    operator = _operator(place, folder, consul)
    try:
        operator.start(wait=False)
        wait_until(lambda: _count(consul) == pods, f"{pods} entries", seconds=120, every=0.05)
        ended = time.time()
        line = next(line for line in operator.lines() if str(line["message"]).startswith("caches are synced"))
        seconds = ended - datetime.fromisoformat(str(line["time"])).timestamp()
        server = _cpu(consul.child.pid)
        print(f"  all {pods} after {seconds:.2f} s; operator {used(operator)}; Consul {server:.2f} s of CPU in all")
        return seconds
    finally:
        operator.kill()
        consul.kill()


def _count(consul: Consul) -> int:
    found: Any = consul.get(NODE_SERVICES)
    return len(found["Services"] or ()) if found else 0


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _latencies(place: Place, folder: Path, count: int) -> list[float]:
    """Make pods Ready one after the other; return how long each took to be seen."""
    folder.mkdir()
    consul = _consul(folder)
    operator = _operator(place, folder, consul).start()
    try:
        place.declare("single")
        path = f"/v1/health/service/{place.registry_namespace}-single?passing"
        delays = list[float]()
        for number in range(count):
            name = f"single-{number}"
            place.unready_pod(name, "single")
            place.set_status(name, ready=True)
            began = time.monotonic()
            wait_until(functools.partial(_holds, consul, path, name), name, seconds=30, every=0.002)
            delays.append(time.monotonic() - began)
        print(f"  {json.dumps({'worst': round(max(delays), 4)})}; {used(operator)}")
        return delays
    finally:
        operator.kill()
        consul.kill()
        place.clear()


def _holds(consul: Consul, path: str, pod: str) -> bool:
    return any(each["Service"]["Meta"].get("KUBE_POD") == pod for each in consul.get(path))


if __name__ == "__main__":
    sys.exit(main())
