"""Sends the embedded registry's DNS port packets that are nearly queries, or not at all, over UDP and TCP.

What must hold: a query that is whole is answered after each batch of them, the process lives and logs no mistake, and
its memory does not grow.
"""

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rdatatype
from bench.ground import Client, memory
from bench.registry import served
from bench.table import Row

from kube_registrar.testing.processes import free_port

_ZONE, _BATCH, _SECONDS = "example.local", 200, 10.0
_STREAMS = 0.05
"""The share of packets that go over TCP: each is a connection of its own."""
_WARM = 0.3
_SEEDS = [
    dns.message.make_query(name, type_, **options).to_wire()  # type: ignore[arg-type]
    for name in (f"web.{_ZONE}", f"WEB.{_ZONE}", f"x.{_ZONE}", _ZONE, "example.org")
    for type_ in ("A", "SRV", "ANY", "SOA", "AXFR")
    for options in ({}, {"use_edns": 0, "payload": 1232}, {"use_edns": 1})
]


def rows(folder: Path, count: int, seed: int) -> Iterator[Row]:
    """Send so many."""
    port, dice = free_port(), random.Random(seed)
    folder.mkdir()
    with served(folder, "--dns-listen", f"127.0.0.1:{port}") as server:
        _fill(server.client())
        first, unanswered = 0.0, 0
        for sent in range(0, count, _BATCH):
            unanswered += _batch(port, dice)
            if not first and sent >= count * _WARM:
                first = memory(server.pid)
        last = memory(server.pid)
        log = (folder / "registry.log").read_text(encoding="utf-8")
    bugs = log.count("this is a bug") + log.count("Traceback")
    yield Row(
        f"{count:,} mutated DNS packets, 5 % of them over TCP: queries without an answer and tracebacks; RSS after "
        "30 % and at the end",
        "0; flat (≤ 10 % and 8 MB more)",
        f"{unanswered + bugs}; {first:.0f} MB, {last:.0f} MB",
        met=not unanswered and not bugs and last - first <= max(8.0, first / 10),
    )


def _fill(client: Client) -> None:
    operation = client.call("CreatePrivateDnsNamespace", Name=_ZONE, Vpc="vpc-1")["OperationId"]
    parent = client.call("GetOperation", OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    records = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
    service = client.call("CreateService", Name="web", NamespaceId=parent, DnsConfig=records)["Service"]["Id"]
    for number in range(8):
        given = {"AWS_INSTANCE_IPV4": f"10.0.0.{number + 1}"}
        client.call("RegisterInstance", ServiceId=service, InstanceId=f"i-{number}", Attributes=given)


def _batch(port: int, dice: random.Random) -> int:
    """Send a batch from one socket, then ask properly; return 1 if that is not answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", port))
        for _ in range(_BATCH):
            packet = _mutated(dice)
            if dice.random() < _STREAMS:
                _stream(port, packet, dice)
            else:
                datagrams.send(packet)
    return int(not _answers(port))


def _mutated(dice: random.Random) -> bytes:
    packet = bytearray(dice.choice(_SEEDS))
    for _ in range(dice.randint(1, 6)):
        packet[dice.randrange(len(packet))] = dice.randrange(256)
    return bytes(packet[: dice.randint(0, len(packet))] if dice.random() < 0.1 else packet)


def _stream(port: int, packet: bytes, dice: random.Random) -> None:
    """Send it over TCP, now and then with a wrong length, and hang up at once or when it has been answered."""
    length = len(packet) if dice.random() < 0.9 else dice.randrange(1 << 16)
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(struct.pack("!H", length) + packet)
        if dice.random() < 0.5:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass


def _answers(port: int) -> bool:
    """Whether a proper query is answered; it is asked several times, for the flood may have filled the queue."""
    query = dns.message.make_query(f"web.{_ZONE}", dns.rdatatype.A)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(_SECONDS / 20)
        for _ in range(20):
            asking.send(query.to_wire())
            try:
                return len(dns.message.from_wire(asking.recv(4096)).answer) == 1
            except TimeoutError:
                continue
    return False
