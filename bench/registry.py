"""What the embedded registry does a second, and what it costs: discoveries, durable registrations, 50,000 instances.

python -m bench.registry [discover | signed | register | many …] [--seconds N]

The registry has a process and a core of its own, the client the other core. The client is wrk (`apt-get install wrk`):
it keeps N connections, each with one request under way.
"""

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
from bench.ground import Client, cpu_seconds, memory, peak_memory, percentile
from bench.table import Row, run

from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.place import ROOT
from tests.server.access.signing import KEY, signed

SERVER_CORE, CLIENT_CORE = 0, 1
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

KUBERNETES = {
    "KUBE_CLUSTER": "prod",
    "KUBE_CLUSTER_UID": "5d1f0c5e-7a55-4f0e-9c8f-0c1d2e3f4a5b",
    "KUBE_NAMESPACE": "default",
    "KUBE_WORKLOAD": "Deployment/web",
    "KUBE_ATTRIBUTES": "stage,version",
    "REGION": "eu-west-1",
}
"""What the operator adds to what users ask for."""

_HEADERS = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-amz-json-1.1"
wrk.headers["X-Amz-Target"] = "Route53AutoNaming_v20170314.{operation}"
"""
_SIGNED = """
local signed = {{
{headers}
}}
local requests, count = {{}}, 0
function init()
  for each, headers in ipairs(signed) do
    requests[each] = wrk.format("POST", "/", headers, '{body}')
  end
end
function request()
  count = count + 1
  return requests[count % #requests + 1]
end
"""
_DISCOVER = _HEADERS.format(operation="DiscoverInstances") + "wrk.body = '{body}'\n"
_REGISTER = (
    _HEADERS.format(operation="RegisterInstance")
    + """
local services = {{ {services} }}
local count = 0
function request()
  count = count + 1
  local service = services[count % #services + 1]
  local id = math.floor(count / #services) % 1000
  return wrk.format(nil, nil, nil, string.format('{{"ServiceId":"%s","InstanceId":"i-%d","CreatorRequestId":"%d",' ..
    '"Attributes":{{"AWS_INSTANCE_IPV4":"10.0.%d.%d","AWS_INSTANCE_PORT":"8080","stage":"dev","version":"1.0.%d",' ..
    '"AVAILABILITY_ZONE":"eu-west-1a"}}}}', service, id, count, id / 250, id % 250, count % 10))
end
"""
)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk said: requests a second, latencies in milliseconds, and how many were not answered with 200.

    `each`: the server's CPU for a request, in microseconds: what a busy machine leaves alone, nearly.
    """

    rate: float
    each: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True, slots=True)
class Served:
    """A registry that runs. `start_seconds`: from the start of its process to its first answer."""

    port: int
    pid: int
    start_seconds: float

    def client(self, namespace: str = "") -> Client:
        """Return a client with a connection of its own."""
        return Client(f"http://127.0.0.1:{self.port}", namespace)


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[Served]:
    """Run the registry with its data in `folder`, on its core, without Cloud Map's quotas."""
    port = free_port()
    command = [sys.executable, "-m", "bench.registry_server", str(SERVER_CORE), "--data", str(folder / "data")]
    command += ["--api-listen", f"127.0.0.1:{port}", "--listen", "127.0.0.1:0", "--quotas", "none", *flags]
    began = time.monotonic()
    child = Child("the registry", command, folder / "registry.log", cwd=ROOT)
    try:
        wait_until(lambda: _answers(port), "the registry to answer", seconds=60.0)
        yield Served(port, child.pid, time.monotonic() - began)
    finally:
        child.kill()


def _answers(port: int) -> bool:
    try:
        _DIRECT.open(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()  # a request that names no operation is refused: it is there
        return True
    except OSError:
        return False
    return True


def made(client: Client, namespace: str, services: int) -> list[str]:
    """Make a namespace with so many services, and return their ids."""
    operation = client.call("CreateHttpNamespace", Name=namespace)["OperationId"]
    parent = client.call("GetOperation", OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    return [
        client.call("CreateService", Name=f"service-{number}", NamespaceId=parent)["Service"]["Id"]
        for number in range(services)
    ]


def attributes(number: int, stages: int = 4) -> dict[str, str]:
    """Return the attributes of instance `number`: of each `stages` that follow each other one is in a stage."""
    return {
        "AWS_INSTANCE_IPV4": f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250}",
        "AWS_INSTANCE_PORT": "8080",
        "AVAILABILITY_ZONE": f"eu-west-1{'abc'[number % 3]}",
        "stage": ("dev", "test", "staging", "prod")[number % stages],
        "version": f"1.0.{number // stages % 2}",
    }


def loaded(server: Served, script: str, connections: int, seconds: float) -> Load:
    """Have wrk ask, from its core. Raises RuntimeError when it cannot be understood."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        before = cpu_seconds(server.pid)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", file.name]
        # It sets the affinity in the child: of this process it stays as it is.
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}/"],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=functools.partial(os.sched_setaffinity, 0, {CLIENT_CORE}),
        )
        return read(done.stdout, cpu_seconds(server.pid) - before)


def read(text: str, cpu: float) -> Load:
    """Read what wrk prints; `cpu`: the seconds that the server has used meanwhile."""

    def milliseconds(share: str) -> float:
        found = re.search(rf"^\s*{share}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
        if not found:
            raise RuntimeError(f"wrk said no latency of {share} %: {text}")
        return float(found[1]) * _UNITS[found[2]]

    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", text, re.MULTILINE)
    if not rate:
        raise RuntimeError(f"wrk said no rate: {text}")
    count = re.search(r"^\s+(\d+) requests in ", text, re.MULTILINE)
    each = cpu / max(1, int(count[1])) * 1e6 if count else 0.0
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    failed += sum(int(n) for line in re.findall(r"Socket errors: (.*)", text) for n in re.findall(r"\d+", line))
    return Load(float(rate[1]), each, milliseconds("50"), milliseconds("99"), failed)


_NAMES = {"host": "Host"}
"""wrk adds one of its own where it does not find it so spelled."""
_BODY = '{"NamespaceName":"bench","ServiceName":"service-0","QueryParameters":{"stage":"dev"}}'


def discover(seconds: float) -> Iterator[Row]:
    """Discover a quarter of a service of 100."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        _hundred(server)
        loaded(server, _DISCOVER.format(body=_BODY), 32, 1.0)
        found = loaded(server, _DISCOVER.format(body=_BODY), 32, seconds)
    yield Row(
        "DiscoverInstances over HTTP, 25 of 100 match, server on one core, 32 connections: requests a second; p99",
        "≥ 18,000; ≤ 6 ms",
        f"{found.rate:,.0f}; {found.p99:.1f} ms ({_more(found)})",
        met=found.rate >= 18_000 and found.p99 <= 6 and not found.failed,
    )


def _hundred(server: Served) -> None:
    client = server.client("bench")
    [service] = made(client, "bench", 1)
    for number in range(100):
        client.call("RegisterInstance", ServiceId=service, InstanceId=f"i-{number}", Attributes=attributes(number))
    assert client.count("service-0", stage="dev") == 25


def signed_discover(seconds: float) -> Iterator[Row]:
    """Do it with requests that were signed before, at sixty different times: each is verified in full."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder) as server:
            _hundred(server)
        keys = folder / "keys.yaml"
        keys.write_text(f"- {{accessKeyID: {KEY.id}, secretAccessKey: {KEY.secret}, role: read}}")
        keys.chmod(0o600)
        with served(folder, "--access-keys", str(keys)) as server:
            loaded(server, _signed(server), 32, 1.0)
            found = loaded(server, _signed(server), 32, seconds)
    yield Row(
        "the same, each request signed and verified in full: requests a second; p99",
        "≥ 12,000; ≤ 6 ms",
        f"{found.rate:,.0f}; {found.p99:.1f} ms ({_more(found)})",
        met=found.rate >= 12_000 and found.p99 <= 6 and not found.failed,
    )


def _signed(server: Served) -> str:
    """Return a script of requests that were signed within the last minute."""
    now, host = time.time(), f"127.0.0.1:{server.port}"
    given = (
        signed(_BODY.encode(), operation="DiscoverInstances", key=KEY, at=now - second, host=host)
        for second in range(60)
    )
    tables = (", ".join(f'["{_NAMES.get(name, name)}"] = "{value}"' for name, value in one.items()) for one in given)
    return _SIGNED.format(headers=",\n".join(f"{{ {table} }}" for table in tables), body=_BODY)


def register(seconds: float) -> Iterator[Row]:
    """Register durably, by 16 clients and by one."""
    with tempfile.TemporaryDirectory(dir=_disk()) as name, served(Path(name)) as server:
        client = server.client()
        services = [each for number in range(8) for each in made(client, f"bench-{number}", 2)]
        script = _REGISTER.format(services=", ".join(f'"{each}"' for each in services))
        many, one = (loaded(server, script, clients, seconds) for clients in (16, 1))
    yield Row(
        "RegisterInstance, durable (synchronous=FULL), 16 clients over HTTP: a second; p99",
        "≥ 3,000; ≤ 30 ms",
        f"{many.rate:,.0f}; {many.p99:.1f} ms ({_more(many)})",
        met=many.rate >= 3000 and many.p99 <= 30 and not many.failed,
    )
    yield Row(
        "the same, one client",
        "is said",
        f"{one.rate:,.0f}; {one.p99:.1f} ms ({_more(one)})",
        met=not one.failed,
    )


def many(seconds: float) -> Iterator[Row]:  # noqa: ARG001 - it takes as long as it takes
    """Start with 50,000 instances, and change some."""
    with tempfile.TemporaryDirectory(dir=_disk()) as name:
        _fill(Path(name))
        dns_port = free_port()
        with served(Path(name), "--dns-listen", f"127.0.0.1:{dns_port}") as server:
            used, start = memory(server.pid), server.start_seconds
            cpu = cpu_seconds(server.pid)
            visible = _changes(server, 200)
            resolved = _resolved(server, dns_port, 200)
            peak = peak_memory(server.pid)
    what = "50,000 instances in 500 services over 25 registry namespaces"
    yield Row(
        f"{what}: RSS after the start; peak, after 200 changes",
        "≤ 300 MB",
        f"{used:.0f} MB; {peak:.0f} MB",
        met=peak <= 300,
    )
    yield Row(
        "the same: process started until the first answer", "≤ 5 s", f"{start:.1f} s ({cpu:.1f} s CPU)", met=start <= 5
    )
    yield Row(
        "the same: RegisterInstance sent until DiscoverInstances shows it, p99 of 200",
        "≤ 20 ms",
        f"{percentile(visible, 0.99):.1f} ms (median {percentile(visible, 0.5):.1f} ms)",
        met=percentile(visible, 0.99) <= 20,
    )
    yield Row(
        "the same: RegisterInstance sent until DNS answers it, p99 of 200",
        "≤ 20 ms",
        f"{percentile(resolved, 0.99):.1f} ms (median {percentile(resolved, 0.5):.1f} ms)",
        met=percentile(resolved, 0.99) <= 20,
    )


def _fill(folder: Path) -> None:
    """Register 50,000 instances, through a server that then ends."""
    with served(folder) as server:
        client = server.client()
        services = [each for number in range(25) for each in made(client, f"bench-{number}", 20)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(functools.partial(_register_all, server), range(8), [services[part::8] for part in range(8)]))


def _register_all(server: Served, part: int, services: Sequence[str]) -> None:
    client = server.client()
    for place, service in enumerate(services):
        for number in range(100):
            given = attributes((part * 1000 + place) * 100 + number) | KUBERNETES
            given |= {"KUBE_POD": f"web-{part}-{place}-{number}", "KUBE_POD_UID": str(uuid.uuid4())}
            instance_id = f"web-{part}-{place}-{number}"
            client.call("RegisterInstance", ServiceId=service, InstanceId=instance_id, Attributes=given)


def _changes(server: Served, count: int) -> list[float]:
    """Register instances anew so many times; return how long each took to be seen, in milliseconds."""
    client, reader = server.client(), server.client("bench-0")
    parent = next(each["Id"] for each in _pages(client, "ListNamespaces", "Namespaces") if each["Name"] == "bench-0")
    where = {"Filters": [{"Name": "NAMESPACE_ID", "Values": [parent]}]}
    found = client.call("ListServices", **where)["Services"]
    service = next(each["Id"] for each in found if each["Name"] == "service-0")
    ids = [each["Id"] for each in client.call("ListInstances", ServiceId=service)["Instances"]]
    took = []
    for number in range(count):
        given = attributes(number) | {"mark": str(number)}
        began = time.monotonic()
        client.call("RegisterInstance", ServiceId=service, InstanceId=ids[number % 100], Attributes=given)
        while reader.count("service-0", mark=str(number)) != 1:
            pass
        took.append((time.monotonic() - began) * 1000)
    return took


def _resolved(server: Served, port: int, count: int) -> list[float]:
    """Register an instance with another address so many times; return how long each took to be answered, in ms."""
    client = server.client()
    operation = client.call("CreatePrivateDnsNamespace", Name="bench.local", Vpc="vpc-1")["OperationId"]
    parent = client.call("GetOperation", OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    records = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
    service = client.call("CreateService", Name="web", NamespaceId=parent, DnsConfig=records)["Service"]["Id"]
    query = dns.message.make_query("web.bench.local", dns.rdatatype.A)
    took = []
    for number in range(count):
        address = f"10.1.0.{number + 1}"
        given = {"AWS_INSTANCE_IPV4": address}
        began = time.monotonic()
        client.call("RegisterInstance", ServiceId=service, InstanceId="web", Attributes=given)
        while address not in str(dns.query.udp(query, "127.0.0.1", port=port, timeout=5.0)):
            pass
        took.append((time.monotonic() - began) * 1000)
    return took


def _pages(client: Client, operation: str, member: str) -> Iterator[Mapping[str, Any]]:
    answer = client.call(operation)
    yield from answer[member]
    while "NextToken" in answer:
        answer = client.call(operation, NextToken=answer["NextToken"])
        yield from answer[member]


def _disk() -> Path:
    """Return a folder on a real disk: what is stored in memory shows no sync."""
    return ROOT


def _more(found: Load) -> str:
    failures = f", {found.failed} FAILED" if found.failed else ""
    return f"p50 {found.p50:.1f} ms, {found.each:.0f} µs of CPU each{failures}"


BENCHES = {"discover": discover, "signed": signed_discover, "register": register, "many": many}


def rows(names: Sequence[str] = tuple(BENCHES), seconds: float = 10.0) -> Iterator[Row]:
    """Measure these."""
    for name in names:
        if shutil.which("wrk") is None:
            yield Row(name, "", "wrk is not installed: apt-get install wrk", met=None)
        else:
            yield from BENCHES[name](seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(BENCHES)}")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    asked = parser.parse_args()
    if unknown := [name for name in asked.what if name not in BENCHES]:
        parser.error(f"there is no bench {', '.join(unknown)}")
    return run(functools.partial(rows, asked.what or list(BENCHES), asked.seconds))


if __name__ == "__main__":
    sys.exit(main())
