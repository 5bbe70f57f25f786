"""How long the operator takes on etcd: cold, and from Ready until CoreDNS answers.

python -m bench.etcd [--pods 1000] [--services 100] [--runs 3]

One member of etcd, on one core, with fsync as it is by itself. Cold: process, etcd's data and all objects are new; the
clock starts when caches are synced and stops when every pod has its key in SkyDNS's layout. Ready to visible: from the
return of the bench's own PATCH until the key is there, and until a CoreDNS without cache answers the address (where it
is built).
Exit code 1 if a bar is missed.
"""

import argparse
import functools
import os
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import dns.message
import dns.query
import yaml
from bench.cold_start import populate
from bench.ground import ground, percentile, used
from bench.table import Row, load, run

from kube_registrar.testing import binaries
from kube_registrar.testing.etcd import EtcdCluster
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import OURS, Place

COLD_SECONDS = 5.0
VISIBLE_SECONDS = 0.3
POLL_SECONDS = 0.002
ZONE = "bench.example.com"
RECORDS = {"dns": {"records": [{"type": "A", "ttlSeconds": 5}]}}
PATH = "/skydns/com/example/bench/"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services, asked.runs))


def rows(pods: int = 1000, services: int = 100, runs: int = 3) -> Iterator[Row]:
    """Measure cold starts, then single pods."""
    with ground() as (place, folder):
        place.registry_namespace = ZONE
        populate(place, services, pods // services, namespace={"type": "DNSPublic"}, service=RECORDS)
        taken = [_cold(place, folder / str(number), pods) for number in range(runs)]
        yield Row(
            f"etcd, {pods} annotated pods in {services} services, operator and registry cold: all in SkyDNS's layout "
            f"after caches are synced, median of {runs}",
            f"≤ {COLD_SECONDS:g} s",
            f"{statistics.median(taken):.2f} s (worst {max(taken):.2f} s)",
            statistics.median(taken) <= COLD_SECONDS,
        )
    with ground() as (place, folder):
        place.registry_namespace = ZONE
        keys, answers = _visible(place, folder, 100)
    yield _visible_row("in etcd", keys)
    yield _visible_row("in CoreDNS's answer, without its cache", answers)


def _visible_row(where: str, seconds: Sequence[float]) -> Row:
    what, bar = f"pod Ready until visible {where}, p99 of 100 pods", f"≤ {VISIBLE_SECONDS * 1000:.0f} ms"
    if not seconds:
        return Row(what, bar, "CoreDNS is not built (`make test-coredns` builds it)", None)
    p99 = percentile(seconds, 0.99)
    figure = f"{p99 * 1000:.0f} ms (median {statistics.median(seconds) * 1000:.0f} ms)"
    return Row(what, bar, figure, p99 <= VISIBLE_SECONDS)


def _service(place: Place, name: str) -> None:
    path = f"{OURS}/namespaces/{place.namespace}/registryservices"
    place.plane.api.post(path, place.registry_service_manifest(name, **RECORDS))


def _operator(place: Place, folder: Path, etcd: EtcdCluster) -> Operator:
    config = folder / "config.yaml"
    registries = {"default": {"kind": "etcd", "endpoints": list(etcd.endpoints)}}
    config.write_text(yaml.safe_dump({"registries": registries}), encoding="utf-8")
    return Operator(folder, place.plane.kubeconfig, config=config)


def _pin(etcd: EtcdCluster) -> None:
    """Keep each member on one core, the same one."""
    for member in etcd.members:
        assert member.child is not None
        os.sched_setaffinity(member.child.pid, {max(os.sched_getaffinity(0))})


def _count(etcd: EtcdCluster, prefix: str) -> int:
    key, end = (b64encode(text.encode()).decode() for text in (prefix, f"{prefix[:-1]}0"))
    body = {"key": key, "range_end": end, "count_only": True, "serializable": True}
    return int(etcd.call("/v3/kv/range", body).get("count", "0"))


def _cold(place: Place, folder: Path, pods: int) -> float:
    """Start an operator on an empty etcd; return the seconds from its synced caches to the last key."""
    folder.mkdir()
    with EtcdCluster(folder, is_durable=True) as etcd:
        _pin(etcd)
        operator = _operator(place, folder, etcd)
        operator.start(wait=False)
        try:
            wait_until(lambda: _count(etcd, PATH) == pods, f"{pods} keys", seconds=120, every=0.1)
            ended = time.time()
            line = next(line for line in operator.lines() if str(line["message"]).startswith("caches are synced"))
            synced = datetime.fromisoformat(str(line["time"])).timestamp()
            print(f"  cold: {ended - synced:.2f} s; {used(operator)}; load average {load()}", flush=True)
            return ended - synced
        finally:
            operator.kill()


def _visible(place: Place, folder: Path, pods: int) -> tuple[list[float], list[float]]:
    """Make pods Ready one by one; return the seconds until each is in etcd, and until CoreDNS answers it."""
    binary = binaries.find(["coredns"])["coredns"]
    with ExitStack() as stack:
        etcd = stack.enter_context(EtcdCluster(folder, is_durable=True))
        port, corefile = free_port(), folder / "Corefile"
        corefile.write_text(f"{ZONE}:{port} {{\n etcd {{\n endpoint {etcd.endpoints[0]}\n }}\n}}\n", encoding="utf-8")
        if binary:
            stack.enter_context(Child("CoreDNS", [binary, "-conf", corefile], folder / "coredns.log"))
        operator = _operator(place, folder, etcd).start()
        stack.callback(operator.kill)
        place.plane.api.post(f"{OURS}/registrynamespaces", place.registry_namespace_manifest(type="DNSPublic"))
        for name in ("keys", "answers"):
            _service(place, name)
            place.wait_condition("RegistryService", name, "Ready", "True")
            for number in range(pods):
                place.unready_pod(f"{name}-{number}", name)
        keys = [_one(place, f"keys-{n}", lambda n=n: _count(etcd, f"{PATH}keys/") == n + 1) for n in range(pods)]  # type: ignore[misc]
        answers = [
            _one(place, f"answers-{n}", lambda n=n: len(_answer(port, "answers")) == n + 1)  # type: ignore[misc]
            for n in range(pods if binary else 0)
        ]
        print(f"  operator: {used(operator)}; load average {load()}", flush=True)
        return keys, answers


def _one(place: Place, pod: str, visible: Callable[[], bool]) -> float:
    place.set_status(pod, ready=True)
    began = time.perf_counter()
    wait_until(visible, f"{pod} to be visible", every=POLL_SECONDS)
    return time.perf_counter() - began


def _answer(port: int, service: str) -> set[str]:
    query = dns.message.make_query(f"{service}.{ZONE}", "A")
    reply, _ = dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=10)
    return {item.to_text() for each in reply.answer for item in each}


if __name__ == "__main__":
    sys.exit(main())
