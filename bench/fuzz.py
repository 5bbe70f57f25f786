"""Sends the embedded registry requests that are nearly right, or not at all, and looks whether it bears them.

python -m bench.fuzz [--requests 100000] [--packets 100000] [--seed N]

Requests are drawn from the table of shapes: members that fit, members that do not, JSON that is cut or turned, headers
that are missing, twice, endless or wrong, bodies in chunks, pieces and floods. What must hold: no answer is a 500, none
is missing after 10 s, the process lives, and its memory does not grow once it has what is kept. Packets for DNS follow.
"""

import argparse
import functools
import json
import random
import re
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import fuzz_dns
from bench.ground import Client, memory
from bench.registry import Served, attributes, served
from bench.table import Row, run

from kube_registrar.model.cloudmap.shapes import OPERATIONS, SHAPES, Many, Shape, Structure, Table, Text, Whole

_SECONDS = 10.0
_QUIET_SECONDS = 0.2
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d) [A-Z]")
_LAST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""Comes after all others of a connection, so that the server closes it."""
_WARM = 0.3
"""The share of requests after which memory is looked at for the first time: by then caches and operations are full."""
_STRANGE: Sequence[object] = (
    None, True, False, 0, -1, 2**31, 2**64, 10**400, 1.5, 1e308, "", " ", "\0", "ä", "\ud800", "x" * 70, "x" * 5000,
    "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-1", [], [[]], {}, {"": ""}, [None], ["x"] * 300,
)  # fmt: skip


class Requests:
    """Draws requests. `fitting`: by members, what leads somewhere; `known` are more names and ids that do."""

    def __init__(self, dice: random.Random, fitting: Mapping[str, object], known: Sequence[str]) -> None:
        self._dice = dice
        self._fitting = fitting
        self._known = known

    def draw(self) -> bytes:
        """Return the bytes of a request, whole or not."""
        dice = self._dice
        operation = dice.choice(("DiscoverInstances", *OPERATIONS))
        content = self._content(operation)
        target = f"Route53AutoNaming_v20170314.{operation}"
        if dice.random() < 0.03:
            target = dice.choice(
                ("", "x", "Route53AutoNaming_v20170314", target.lower(), target + "\u00e4", "." * 2000)
            )
        headers = [("Host", "127.0.0.1"), ("X-Amz-Target", target), ("Content-Type", "application/x-amz-json-1.1")]
        chunks = dice.random() < 0.05
        headers.append(("Transfer-Encoding", "chunked") if chunks else ("Content-Length", str(len(content))))
        if chunks:
            content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
        line = "POST / HTTP/1.1"
        if dice.random() < 0.1:
            line = self._turned_head(headers, line)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        data = f"{line}\r\n{head}\r\n".encode("utf-8", "surrogatepass") + content
        return self._turned(data) if dice.random() < 0.05 else data

    def _content(self, operation: str) -> bytes:
        shape = OPERATIONS.get(operation) or Structure({}, frozenset())
        content = json.dumps(self._value(shape)).encode()
        return self._turned(content) if self._dice.random() < 0.1 else content

    def _turned_head(self, headers: list[tuple[str, str]], line: str) -> str:
        """Turn some headers; return the request's first line, which may be another one as well."""
        dice = self._dice
        more = dice.choice(
            (
                ("Host", "evil.example"), ("Content-Length", "5"), ("Content-Length", "-1"), ("Expect", "100-continue"),
                ("Connection", "close"), ("Connection", "upgrade"), ("Upgrade", "h2c"), ("Content-Encoding", "gzip"),
                ("Transfer-Encoding", "gzip"), ("smithy-protocol", "rpc-v2-cbor"), ("X", "\0"), ("X" * 9000, "y"),
                ("X", "y" * 9000), ("X Y", "z"), ("Authorization", "AWS4-HMAC-SHA256 Credential=" + "/" * 300),
                ("X-Amz-Target", "x"), ("\u00e4", "\u00e4"),
            )
        )  # fmt: skip
        headers.insert(dice.randrange(len(headers) + 1), more)
        if dice.random() < 0.3:
            headers.pop(dice.randrange(len(headers)))
        if dice.random() < 0.1:
            headers += [(f"X-{number}", "y") for number in range(dice.choice((50, 150)))]
        return dice.choice((line, line, line, "GET / HTTP/1.1", "POST /x HTTP/1.1", "POST / HTTP/1.0", "POST * HTTP/9"))

    def _turned(self, data: bytes) -> bytes:
        """Cut, change or repeat some bytes."""
        dice, place = self._dice, self._dice.randrange(len(data) + 1)
        more = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 9)))
        return dice.choice(
            (
                data[:place],
                data[:place] + more + data[place:],
                data[:place] + more + data[place + len(more) :],
                data * 2,
            )
        )

    def _value(self, shape: Shape) -> Any:
        dice = self._dice
        if dice.random() < 0.02:
            return dice.choice(_STRANGE)
        match shape:
            case Text(values=allowed) if allowed:
                return dice.choice(allowed)
            case Text():
                return dice.choice(self._known) if dice.random() < 0.8 else f"n{dice.randrange(10**6)}"
            case Whole():
                return dice.choice((shape.least, shape.least + 1, shape.most, shape.most + 1))
            case Many():
                return [self._value(SHAPES[shape.of]) for _ in range(dice.randrange(4))]
            case Table():
                keys = ("stage", "AWS_INSTANCE_IPV4", "AWS_INSTANCE_PORT", "AWS_INIT_HEALTH_STATUS", "version")
                values = ("dev", "10.0.0.2", "80", "HEALTHY", "1.0.0", "")
                return {dice.choice(keys): dice.choice(values) for _ in range(dice.randrange(4))}
            case Structure():
                return {
                    name: self._fitting[name]
                    if name in self._fitting and dice.random() < 0.7
                    else self._value(SHAPES[of])
                    for name, of in shape.members.items()
                    if name in shape.required or dice.random() < 0.3
                }


class Sender:
    """One connection after the other, each for some requests; counts what is answered."""

    def __init__(self, port: int, dice: random.Random, draw: Callable[[], bytes]) -> None:
        self.statuses: Counter[str] = Counter()
        self.troubles: list[str] = []
        self._port = port
        self._dice = dice
        self._draw = draw

    def send(self) -> int:
        """Send some requests on a new connection, read what comes until it ends; return how many were sent."""
        count = self._dice.choice((1, 1, 2, 5, 20))
        requests = [self._draw() for _ in range(count)]
        with socket.create_connection(("127.0.0.1", self._port), _SECONDS) as connection:
            connection.settimeout(_SECONDS)
            try:
                self._send(connection, b"".join([*requests, _LAST]))
                self._read(connection)
            except TimeoutError:
                self.troubles.append(f"no answer, and no end, after {_SECONDS:.0f} s: {requests!r}")
            except OSError:
                self.statuses["closed"] += 1  # what it had read was enough for it
        if self.troubles and len(self.troubles) == 1:
            print(self.troubles[0][:2000], file=sys.stderr)
        return count

    def _send(self, connection: socket.socket, data: bytes) -> None:
        if self._dice.random() < 0.05:
            for place in range(0, min(len(data), 600), 50):
                connection.sendall(data[place : place + 50])
            data = data[600:]
        connection.sendall(data)

    def _read(self, connection: socket.socket) -> None:
        """Read until the server closes. Where it waits for the rest of what was cut, tell it that none comes."""
        heard = b""
        connection.settimeout(_QUIET_SECONDS)
        try:
            while more := connection.recv(1 << 20):
                heard += more
        except TimeoutError:
            connection.settimeout(_SECONDS)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(1 << 20):
                heard += more
        finally:
            statuses = [status.decode() for status in _STATUS.findall(heard)]
            self.statuses.update(statuses)
            if any(status.startswith("5") for status in statuses):
                self.troubles.append(heard[-1000:].decode("ascii", "replace"))


def rows(requests: int = 100_000, packets: int = 100_000, seed: int = 1) -> Iterator[Row]:
    """Send so many."""
    if requests:
        yield _requests(requests, seed)
    if packets:
        with tempfile.TemporaryDirectory() as name:
            yield from fuzz_dns.rows(Path(name) / "dns", packets, seed)


def _requests(count: int, seed: int) -> Row:
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        dice = random.Random(seed)
        sender = Sender(server.port, dice, Requests(dice, *_filled(server)).draw)
        sent, first = 0, 0.0
        while sent < count:
            sent += sender.send()
            if not first and sent >= count * _WARM:
                first = memory(server.pid)
        last = memory(server.pid)
        alive = server.client().call("ListNamespaces", MaxResults=1)
        log = (Path(name) / "registry.log").read_text(encoding="utf-8")
    bugs = log.count("this is a bug") + log.count("Traceback")
    if bugs:
        print(log[log.index("Traceback") - 500 :][:3000], file=sys.stderr)
    answers = ", ".join(f"{number:,} × {status}" for status, number in sender.statuses.most_common())
    return Row(
        f"{sent:,} mutated requests: 5xx, hangs and tracebacks; RSS after 30 % and at the end",
        "0; flat (≤ 10 % and 8 MB more)",
        f"{len(sender.troubles) + bugs}; {first:.0f} MB, {last:.0f} MB ({answers})",
        met=not sender.troubles and not bugs and bool(alive) and last - first <= max(8.0, first / 10),
    )


def _filled(server: Served) -> tuple[Mapping[str, object], Sequence[str]]:
    """Make something, and return the names and ids that lead there: by members of requests, and all of them."""
    client: Client = server.client()
    operation = client.call("CreatePrivateDnsNamespace", Name="example.com", Vpc="vpc-1")["OperationId"]
    parent = client.call("GetOperation", OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    made = client.call(
        "CreateService",
        Name="web",
        NamespaceId=parent,
        DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]},
        HealthCheckCustomConfig={},
    )["Service"]
    for number in range(20):
        given = {"ServiceId": made["Id"], "InstanceId": f"i-{number}", "Attributes": attributes(number)}
        client.call("RegisterInstance", **given)
    token = client.call("ListOperations", MaxResults=1)["NextToken"]
    fitting = {"ServiceId": made["Id"], "NamespaceName": "example.com", "ServiceName": "web", "OperationId": operation}
    fitting |= {"NamespaceId": parent, "ResourceARN": made["Arn"]}
    known = [*fitting.values(), token, "i-1", "i-2", "SELF", "SUCCESS"]
    return fitting, known


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.requests, asked.packets, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
