"""DNS on the wire: names, records, the numbers of RFC 1035 and its successors."""

import socket
from typing import Final

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
AAAA: Final = 28
SRV: Final = 33
OPT: Final = 41
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255
TYPES: Final = {"A": A, "AAAA": AAAA, "SRV": SRV, "CNAME": CNAME, "NS": NS, "SOA": SOA, "ANY": ANY}

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
BADVERS: Final = 16
CODES: Final = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    BADVERS: "BADVERS",
}

HEADER: Final = 12
"""Octets of a message before its question."""
PLAIN_SIZE: Final = 512
"""The largest answer over UDP to who says nothing else."""
LARGEST: Final = 1232
"""The largest answer over UDP to anybody (RFC 9715): it is never fragmented. More is asked for over TCP."""
STREAM_SIZE: Final = 65535

QUESTION: Final = b"\xc0\x0c"
"""Points to the name that was asked for: every message has it at the same place."""
ROOT: Final = b"\0"

LONGEST_NAME: Final = 255
"""Octets of a name on the wire."""
LONGEST_LABEL: Final = 63


def wire_labels(name: str) -> bytes:
    """Return labels joined by dots as they stand in a packet, without the root. Raises ValueError for what is none."""
    labels = [label.encode("ascii") for label in name.split(".")]
    if not all(1 <= len(label) <= LONGEST_LABEL for label in labels):
        raise ValueError(f"{name!r} has a label that is empty or longer than {LONGEST_LABEL}")
    return b"".join(bytes((len(label),)) + label for label in labels)


def wire_name(name: str) -> bytes:
    """Return a name as it stands in a packet, uncompressed. Raises ValueError for what is no domain name."""
    wire = wire_labels(name.removesuffix(".")) + ROOT
    if len(wire) > LONGEST_NAME:
        raise ValueError(f"{name!r} is longer than a domain name may be")
    return wire


def parent(name: bytes) -> bytes:
    """Return a name without its first label; the root has none."""
    return name[name[0] + 1 :]


def type_octets(type_: int) -> bytes:
    """Return a type as it stands behind a name."""
    return type_.to_bytes(2, "big")


def record(type_: int, ttl: int, data: bytes) -> bytes:
    """Return a record of class IN without its owner's name."""
    return b"%b\0\x01%b%b%b" % (type_octets(type_), ttl.to_bytes(4, "big"), len(data).to_bytes(2, "big"), data)


def address_records(ttl: int, ipv4: str, ipv6: str) -> list[tuple[int, bytes]]:
    """Return the types and records, without owners, of the addresses that are there. Raises OSError for no address."""
    found = []
    if ipv4:
        found.append((A, record(A, ttl, socket.inet_pton(socket.AF_INET, ipv4))))
    if ipv6:
        found.append((AAAA, record(AAAA, ttl, socket.inet_pton(socket.AF_INET6, ipv6))))
    return found
