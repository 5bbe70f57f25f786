"""DNS of the embedded registry: answers a second of a service of eight, with a still registry and while it changes.

python -m bench.dns [--seconds 10]

The registry is a process on one core; dnsperf and whoever registers are on the other. Half of the 200 registrations a
second are of the service that is asked for, half of one with 500 instances. The floor is a loop in Python that receives
and sends packets of the same sizes, and reads nothing: what is left to us is the part between.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from bench.ground import Client, cpu_seconds
from bench.table import Row, run

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import Simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve
from kube_registrar.server.dns import serving
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.place import ROOT

ZONE = "example.local"
SERVICES = {"a": "A", "srv": "SRV"}
INSTANCES, CROWD = 8, 500
A_BAR, SRV_BAR, BUSY_BAR = 80_000, 75_000, 50_000
STEADY = 20_000
REGISTRATIONS, CLIENTS = 200, 4
OUTSTANDING = 100
CORES = sorted(os.sched_getaffinity(0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10, help="for each figure")
    parser.add_argument("--serve", nargs=3, metavar=("FOLDER", "API", "DNS"), help=argparse.SUPPRESS)
    parser.add_argument("--echo", nargs=2, metavar=("PORT", "OCTETS"), type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.echo:
        asyncio.run(_echo(*options.echo))
    if options.serve:
        folder, api, dns = options.serve
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(Path(folder), int(api), int(dns)))
    return run(functools.partial(rows, options.seconds))


def rows(seconds: int = 10) -> Iterator[Row]:
    """Measure."""
    what = f"DNS over UDP, a service of {INSTANCES}, one core"
    if shutil.which("dnsperf") is None:
        yield Row(what, f"≥ {A_BAR:,} answers/s", "dnsperf is not installed: apt-get install dnsperf", None)
        return
    with tempfile.TemporaryDirectory() as folder, _registry(Path(folder)) as registry:
        for name, bar in (("a", A_BAR), ("srv", SRV_BAR)):
            asked = _ask(registry.process, name, seconds)
            with _floor(Path(folder), asked.octets) as bare:
                floor = _ask(bare, name, seconds)
            row = asked.against(bar)
            yield Row(f"{what}, still registry: {SERVICES[name]}", *row, f"{floor.rate:,.0f}; {floor.per_cpu:,.0f}")
        for name, type_ in SERVICES.items():
            with _registering(registry.client, name) as made:
                asked = _ask(registry.process, name, seconds)
            figure = f"; {made.rate():.0f} registrations/s meanwhile"
            yield Row(f"the same, {REGISTRATIONS} registrations/s: {type_}", *asked.against(BUSY_BAR, figure))
        for name, type_ in SERVICES.items():
            with _registering(registry.client, name):
                asked = _ask(registry.process, name, seconds, "-Q", str(STEADY))
            figure = f"{asked.lost} ({asked.rate:,.0f}/s were sent)"
            met = None if asked.rate < STEADY * 0.99 else asked.lost == 0
            yield Row(f"lost at {STEADY:,} queries/s, {REGISTRATIONS} registrations/s: {type_}", "0", figure, met)


@dataclass(frozen=True, slots=True)
class _Process:
    """What answers on a port."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class _Registry:
    """A registry that runs."""

    process: _Process
    client: Client


@dataclass(frozen=True, slots=True)
class _Asked:
    """What dnsperf counted: answers a second, and queries without one. `per_cpu`: answers for each second of CPU."""

    rate: float
    lost: int
    per_cpu: float
    octets: int

    def against(self, bar: int, more: str = "") -> tuple[str, str, bool]:
        """Return bar, figure and whether it is met. Answers a second of CPU are what other work leaves of it."""
        lost = f"; {self.lost} lost" if self.lost else ""
        figure = f"{self.rate:,.0f}; {self.per_cpu:,.0f} a second of the process's CPU{more}{lost}"
        return f"≥ {bar:,} answers/s", figure, self.rate >= bar


def _ask(process: _Process, name: str, seconds: int, *more: str) -> _Asked:
    """Ask for as long, and check that the answers are whole."""
    command = [
        "dnsperf",
        "-s",
        "127.0.0.1",
        "-p",
        str(process.port),
        "-l",
        str(seconds),
        "-q",
        str(OUTSTANDING),
        "-b",
        "4096",
    ]
    # SRV records of eight may be longer than 512 octets: whoever asks for them over UDP says that more may come.
    command += [*(["-e"] if SERVICES[name] == "SRV" else []), *more]
    began = cpu_seconds(process.pid)
    with tempfile.NamedTemporaryFile("w", suffix=".queries") as queries:
        queries.write(f"{name}.{ZONE} {SERVICES[name]}\n")
        queries.flush()
        told = subprocess.run([*command, "-d", queries.name], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(process.pid) - began
    completed, lost, size = (
        int(found[1]) if (found := re.search(pattern, told)) else 0
        for pattern in (r"Queries completed:\s+(\d+)", r"Queries lost:\s+(\d+)", r"packet size:.*response (\d+)")
    )
    rate = re.search(r"Queries per second:\s+([\d.]+)", told)
    if rate is None or f"NOERROR {completed}" not in told or size < 16 * INSTANCES:
        raise RuntimeError(f"dnsperf said\n{told}")
    return _Asked(float(rate[1]), lost, completed / used, size)


class _Made:
    """Registers as often as it should, until it is told to end.

    A few clients do it, each with a connection and instances of its own: one that waits for each answer before it asks
    again would ask less often, the longer an answer takes.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._services = (_id(client, name), _id(client, "crowd"))
        self._ends = threading.Event()
        self._counts = [0] * CLIENTS
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._work, args=(client.another(), part), daemon=True) for part in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def rate(self) -> float:
        """Return how many were made a second."""
        return sum(self._counts) / (time.monotonic() - self._began)

    def end(self) -> None:
        """Make no more."""
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _work(self, client: Client, part: int) -> None:
        for turn in itertools.count():
            each, service = divmod(turn, 2)
            number = (each * CLIENTS + part) % (CROWD if service else INSTANCES)
            _register(client, self._services[service], number, each // 2)  # another address each time
            self._counts[part] += 1
            due = self._began + (self._counts[part] * CLIENTS + part) / REGISTRATIONS
            if self._ends.wait(max(0.0, due - time.monotonic())):
                return


@contextmanager
def _registering(client: Client, name: str) -> Iterator[_Made]:
    made = _Made(client, name)
    try:
        yield made
    finally:
        made.end()


def _id(client: Client, name: str) -> str:
    found = client.call("ListServices")["Services"]
    return next(str(service["Id"]) for service in found if service["Name"] == name)


def _register(client: Client, service_id: str, number: int, turn: int = 0) -> None:
    address = f"10.{turn % 2}.{number // 250}.{number % 250 + 1}"
    attributes = {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": "8080", "turn": str(turn)}
    client.call(
        "RegisterInstance", ServiceId=service_id, InstanceId=f"web-7c9f8d6b5-{number:04}", Attributes=attributes
    )


@contextmanager
def _registry(folder: Path) -> Iterator[_Registry]:
    """Run a registry on the first core, filled; everything else goes to the others."""
    api, dns = free_port(), free_port()
    with _on_one_core(folder / "registry.log", "--serve", str(folder / "data"), str(api), str(dns)) as pid:
        wait_until(functools.partial(_listens, api), "the registry to listen")
        client = Client(f"http://127.0.0.1:{api}", ZONE)
        client.call("CreatePublicDnsNamespace", Name=ZONE)
        parent = client.call("ListNamespaces")["Namespaces"][0]["Id"]
        for name, type_ in (*SERVICES.items(), ("crowd", "A")):
            records = {"DnsRecords": [{"Type": type_, "TTL": 60}]}
            made = client.call("CreateService", Name=name, NamespaceId=parent, DnsConfig=records)["Service"]["Id"]
            for number in range(CROWD if name == "crowd" else INSTANCES):
                _register(client, made, number)
        yield _Registry(_Process(dns, pid), client)


@contextmanager
def _floor(folder: Path, octets: int) -> Iterator[_Process]:
    """Run a loop that sends so many octets for each packet."""
    port = free_port()
    with _on_one_core(folder / "floor.log", "--echo", str(port), str(octets)) as pid:
        wait_until(functools.partial(_listens, port), "the bare loop to listen")
        yield _Process(port, pid)


@contextmanager
def _on_one_core(log: Path, *arguments: str) -> Iterator[int]:
    """Run this module anew on the first core, and everything else on the others."""
    os.sched_setaffinity(0, CORES[:1])
    child = Child("the server", [sys.executable, "-m", "bench.dns", *arguments], log, cwd=ROOT)
    os.sched_setaffinity(0, CORES[1:] or CORES)
    try:
        yield child.pid
    finally:
        child.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def _serve(folder: Path, api: int, dns: int) -> None:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry({"data": folder}, DEFAULT_REGISTRY, clock))
        await stack.enter_async_context(serve(app(registry, Simulation(), clock), "127.0.0.1", api))
        await stack.enter_async_context(serving.serve(registry.zones, "127.0.0.1", dns))
        await asyncio.Event().wait()


async def _echo(port: int, octets: int) -> None:
    """Answer each packet with its id and as many octets as asked, and listen over TCP to show that we do."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)  # noqa: FBT003 - its only parameter
    rest = b"\x84\0\0\0\0\0\0\0\0\0".ljust(octets - 2, b"\0")

    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                packet, address = sock.recvfrom(4096)
                sock.sendto(packet[:2] + rest, address)

    asyncio.get_running_loop().add_reader(sock, readable)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
