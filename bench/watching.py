"""What list-and-watch costs: CPU to list 10,000 pods of 9 KB, a tenth of them annotated, and for each event after.

python -m bench.watching [--pods 10000] [--events 20000] [--runs 3]

An API server of a few lines, in a process of its own, sends bytes that were made before. bench/many_pods.py has the
figures of the whole process.
"""

import argparse
import asyncio
import functools
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from bench.table import Row, run

from kube_registrar.cluster.credentials import Credentials
from kube_registrar.cluster.resources import PODS
from kube_registrar.cluster.session import open_session
from kube_registrar.cluster.watching import Reflector
from kube_registrar.model.records import Pod
from kube_registrar.testing.watched import eventually, running

PAGE = 500
ANNOTATED_EVERY = 10
LIST_BAR, EVENT_BAR = 6.0, 0.0005
"""Those of the whole process: this is a part of it."""


def manifest(number: int) -> dict[str, Any]:
    ours = {"kube-registrar.dev/service": "shop/web"} if number % ANNOTATED_EVERY == 0 else {}
    fields: dict[str, Any] = {f"f:field-{index}": {"f:value": {}, ".": {}} for index in range(110)}
    return {
        "metadata": {
            "name": f"web-7c9f8d6b5-{number:05}",
            "namespace": f"shop-{number % 20}",
            "uid": f"00000000-0000-0000-0000-{number:012}",
            "resourceVersion": str(number),
            "labels": {"app.kubernetes.io/name": "web", "pod-template-hash": "7c9f8d6b5"},
            "annotations": {"checksum/config": "0" * 64, **ours},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7c9f8d6b5", "uid": "x"}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {
            "nodeName": f"node-{number % 100}",
            "containers": [
                {
                    "name": "web",
                    "image": "registry.example/web:1.0.0",
                    "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                    "env": [{"name": f"SETTING_{index}", "value": "x" * 40} for index in range(60)],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.0.{number % 250}.{number // 250}"}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    }


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def pages(pods: int) -> list[bytes]:
    made: list[bytes] = []
    for first in range(0, pods, PAGE):
        items = [manifest(number) for number in range(first, min(first + PAGE, pods))]
        last = first + PAGE >= pods
        metadata = {"resourceVersion": "1", **({} if last else {"continue": str(len(made) + 1)})}
        made.append(
            json.dumps({"kind": "PodList", "metadata": metadata, "items": items}, separators=(",", ":")).encode()
        )
    return made


def serve(port: Connection, pods: int, events: int) -> None:
    listed = pages(pods)
    lines = [compact({"type": "MODIFIED", "object": manifest(number)}) + b"\n" for number in range(1, 10)]
    told = [b"%x\r\n%s\r\n" % (len(line), line) for line in lines]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"watch=1" in head:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for number in range(events):
                    writer.write(told[number % len(told)])
                    await writer.drain()
                await asyncio.sleep(3600)
            token = head.partition(b"continue=")[2].split(b" ")[0].split(b"&")[0] if b"continue=" in head else b"0"
            body = listed[int(token)]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class Counting:
    """A listener that only counts; `slowest` is the longest time, in seconds, that the loop was away."""

    heard = 0
    slowest = 0.0

    def applied(self, record: object) -> None:  # noqa: ARG002  # the listener's interface
        """Count."""
        self.heard += 1

    def deleted(self, record: object, seen: bool) -> None:  # noqa: ARG002, FBT001  # the listener's interface
        """Count."""
        self.heard += 1

    def synced(self) -> None:
        """Nothing is waited for here."""


async def blocked(counting: Counting) -> None:
    """Measure how long the loop was away at most."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0)
        counting.slowest = max(counting.slowest, time.perf_counter() - before)
        await asyncio.sleep(0.005)


async def measure(port: int, pods: int, events: int) -> tuple[float, float]:
    """Return the CPU seconds of the list, and of each event."""
    credentials = Credentials(server=f"http://127.0.0.1:{port}", source="bench")
    counting = Counting()
    before = memory()
    async with open_session(load=lambda: credentials) as session:
        reflector = Reflector(session, PODS, counting, keep=lambda record: isinstance(record, Pod))
        begun, wall = time.process_time(), time.perf_counter()
        async with running(lambda: blocked(counting)), running(reflector.run):
            await eventually(lambda: reflector.has_synced, "the list", within=600)
            cpu, took = time.process_time() - begun, time.perf_counter() - wall
            print(f"  list of {pods} pods: {cpu:.2f} s CPU, {took:.2f} s")
            print(f"  the loop was away for {counting.slowest * 1000:.0f} ms at most")
            print(
                f"  kept {reflector.kept} records; VmHWM {memory():.0f} MB, of it {memory() - before:.0f} MB for this"
            )
            begun = time.process_time()
            await eventually(lambda: counting.heard == pods + events, "the events", within=600)
            return cpu, (time.process_time() - begun) / events


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.events, asked.runs))


def rows(pods: int = 10_000, events: int = 20_000, runs: int = 3) -> Iterator[Row]:
    """Measure several times."""
    print(f"  a pod has {len(compact(manifest(0)))} bytes")
    listed, told = zip(*(_run(pods, events) for _ in range(runs)), strict=True)
    cpu, each = statistics.median(listed), statistics.median(told)
    yield Row(
        f"list-and-watch alone, {pods} pods, 10 % annotated: the list, median of {runs}",
        f"≤ {LIST_BAR:g} s CPU",
        f"{cpu:.2f} s CPU",
        cpu <= LIST_BAR,
    )
    yield Row(
        f"list-and-watch alone: a pod event, median of {runs}",
        f"≤ {EVENT_BAR * 1000:g} ms CPU",
        f"{each * 1000:.3f} ms CPU",
        each <= EVENT_BAR,
    )


def _run(pods: int, events: int) -> tuple[float, float]:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, pods, events), daemon=True)
    server.start()
    try:
        return asyncio.run(measure(ours.recv(), pods, events))
    finally:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
